import { documentedEvents } from '../events.ts';
import { openLoop } from '../load.ts';
import { type Azure, drained, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { percentile } from '../statistics.ts';

const PER_SECOND = 200;
const MEASURED_MS = 8_000;
const FLUSH_INTERVAL_MS = 1_000;
const SCENARIO = `3. From accepted to delivered (${PER_SECOND} webhooks a second, FLUSH_INTERVAL_MS=${FLUSH_INTERVAL_MS})`;

/** Against the longest that a row waits for company, which is the delay that was asked for. */
export async function measureDeliveryDelay(azure: Azure): Promise<Figure[]> {
  const service = await startService(azure);
  await azure.report();
  azure.set({ looksInside: true });
  const acceptedAt = new Map<string, number>();
  const { latenciesMs } = await openLoop(service.target, documentedEvents('delay'), {
    perSecond: PER_SECOND,
    durationMs: MEASURED_MS,
    connections: 16,
    onAnswer(_index, body) {
      const { event_id: id } = JSON.parse(body) as { readonly event_id: string };
      acceptedAt.set(id, performance.timeOrigin + performance.now());
    },
  });
  await drained(service);
  const { arrivals, calls, rows } = await azure.report();
  azure.set({ looksInside: false });
  await service.stop();
  const delays = arrivals.map(([id, at]) => at - (acceptedAt.get(id) ?? Number.NaN));
  if (delays.length !== latenciesMs.length || delays.some(Number.isNaN)) {
    throw new Error(`${latenciesMs.length} webhooks were accepted, the rows of ${delays.length} arrived`);
  }
  const delay = (share: number, name: string): Figure => ({
    scenario: SCENARIO,
    name: `delay, ${name}`,
    value: percentile(delays, share),
    unit: 'ms',
    ratio: percentile(delays, share) / FLUSH_INTERVAL_MS,
    against: 'FLUSH_INTERVAL_MS',
  });
  return [
    delay(0.5, 'p50'),
    delay(0.99, 'p99'),
    { scenario: SCENARIO, name: 'rows a call', value: rows / calls, unit: 'rows' },
    { scenario: SCENARIO, name: 'calls for 1,000 events', value: (calls * 1000) / delays.length, unit: 'calls' },
  ];
}
