import type { Bench } from '../contestants.ts';
import { documentedEvents, largestEvent } from '../events.ts';
import { type Bodies, openLoop } from '../load.ts';
import { drained, type Service, startService } from '../processes.ts';
import { type Figure, Turns } from '../result.ts';
import { median, percentile } from '../statistics.ts';

const TURNS = 3;
const BYTES = 5_000_000;
const SMALL_PER_SECOND = 100;
const LARGE_EVERY_MS = 2_000;
const PROBES_PER_SECOND = 50;
const IDLE_MS = 4_000;
const MEASURED_MS = 10_000;
const SCENARIO = `A body of 5 MB (1,000 access units) every 2 s, beside ${SMALL_PER_SECOND} small webhooks a second`;

export async function measureLargeBody({ azure, versions }: Bench): Promise<Figure[]> {
  const services: { readonly name: string; readonly service: Service }[] = [];
  for (const { name, folder } of versions) services.push({ name, service: await startService(azure, { folder }) });
  const [small, large, idle, probes] = [new Turns(), new Turns(), new Turns(), new Turns()];
  // The first turn warms up.
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const { name, service } of services) {
      const bodies = Array.from({ length: MEASURED_MS / LARGE_EVERY_MS }, (_, index) =>
        Buffer.from(largestEvent(BYTES, `${turn}-${index}`)),
      );
      const idleMs = await probe(service, IDLE_MS);
      const [smallMs, largeMs, probeMs] = await Promise.all([
        send(service, documentedEvents(`beside-${turn}`), SMALL_PER_SECOND, 32),
        send(service, (index) => bodies[index] ?? '', 1_000 / LARGE_EVERY_MS, 2),
        probe(service, MEASURED_MS),
      ]);
      await drained(service);
      if (turn === 0) continue;
      small.add(name, percentile(smallMs, 0.99));
      large.add(name, median(largeMs));
      idle.add(name, percentile(idleMs, 0.99));
      probes.add(name, percentile(probeMs, 0.99));
    }
  }
  for (const { service } of services) await service.stop();
  return [
    ...small.figures(SCENARIO, { prefix: 'small webhooks, p99, ', unit: 'ms' }),
    ...large.figures(SCENARIO, { prefix: 'the large one, p50, ', unit: 'ms' }),
    ...idle.figures(SCENARIO, { prefix: '/livez while idle, p99, ', unit: 'ms' }),
    ...probes.figures(SCENARIO, { prefix: '/livez meanwhile, p99, ', unit: 'ms' }),
  ];
}

async function send({ target }: Service, bodies: Bodies, perSecond: number, connections: number) {
  return (await openLoop(target, bodies, { perSecond, durationMs: MEASURED_MS, connections })).latenciesMs;
}

async function probe({ target }: Service, durationMs: number): Promise<readonly number[]> {
  const load = { perSecond: PROBES_PER_SECOND, durationMs, connections: 8 };
  return (await openLoop({ port: target.port, method: 'GET', path: '/livez', headers: {} }, () => '', load))
    .latenciesMs;
}
