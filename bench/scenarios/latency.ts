import { type Bench, baseline, EXPRESS, startVersions, stopAll, warmUp } from '../contestants.ts';
import { documentedEvents } from '../events.ts';
import { openLoop } from '../load.ts';
import { startBaseline } from '../processes.ts';
import { type Figure, Turns } from '../result.ts';
import { percentile } from '../statistics.ts';

const TURNS = 3;
const PER_SECOND = 100;
const CONNECTIONS = 64;
const WARM_UP_MS = 5_000;
const MEASURED_MS = 8_000;
const SCENARIO = `Latency of the answer at ${PER_SECOND} webhooks a second`;

/** A request counts from when it was due. */
export async function measureLatency(bench: Bench): Promise<Figure[]> {
  const express = baseline(EXPRESS, await startBaseline('express', bench.azure));
  const contestants = [express, ...(await startVersions(bench))];
  const [p50, p99] = [new Turns(), new Turns()];
  for (const contestant of contestants) await warmUp(contestant, contestant.name, WARM_UP_MS);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const { name, receiver, settle } of contestants) {
      const load = { perSecond: PER_SECOND, durationMs: MEASURED_MS, connections: CONNECTIONS };
      const { latenciesMs } = await openLoop(receiver.target, documentedEvents(`${name}-${turn}`), load);
      p50.add(name, percentile(latenciesMs, 0.5));
      p99.add(name, percentile(latenciesMs, 0.99));
      await settle();
    }
  }
  await stopAll(contestants);
  return [
    ...p50.figures(SCENARIO, { prefix: 'p50, ', unit: 'ms', base: EXPRESS }),
    ...p99.figures(SCENARIO, { prefix: 'p99, ', unit: 'ms', base: EXPRESS }),
  ];
}
