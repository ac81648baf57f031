import { largestEvent } from '../events.ts';
import { sendAll } from '../load.ts';
import { type Azure, type Receiver, startBaseline, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';

const ROUNDS = 5;
const BYTES = 5_000_000;
const SCENARIO = '5. The largest body (1,000 access units, 5 MB)';

interface Cost {
  readonly answerMs: number;
  /** The longest that a request beside it had to wait. */
  readonly besideMs: number;
}

export async function measureLargestBody(azure: Azure): Promise<Figure[]> {
  const results: Record<'service' | 'express', Cost[]> = { service: [], express: [] };
  const [service, express] = [await startService(azure), await startBaseline('express', azure)];
  for (let round = 0; round < ROUNDS; round++) {
    results.express.push(await measure(express, '/', round));
    results.service.push(await measure(service, '/livez', round));
  }
  await Promise.all([service.stop(), express.stop()]);
  const middle = (key: 'service' | 'express', of: keyof Cost): number => median(results[key].map((cost) => cost[of]));
  const figure = (name: string, of: keyof Cost): Figure[] => [
    {
      scenario: SCENARIO,
      name: `apono-sentinel, ${name}`,
      value: middle('service', of),
      unit: 'ms',
      ratio: middle('service', of) / middle('express', of),
      against: 'bare Express',
    },
    { scenario: SCENARIO, name: `bare Express, ${name}`, value: middle('express', of), unit: 'ms' },
  ];
  return [...figure('until the answer', 'answerMs'), ...figure('longest delay of others', 'besideMs')];
}

/** `probe`: a path that costs nothing, asked all the while. */
async function measure({ target }: Receiver, probe: string, round: number): Promise<Cost> {
  // Another event each time, or it would be a duplicate.
  const body = largestEvent(BYTES).replace('"largest"', `"largest-${round}"`);
  let isOver = false;
  let besideMs = 0;
  const probing = (async () => {
    while (!isOver) {
      const askedAt = performance.now();
      await (await fetch(`http://127.0.0.1:${target.port}${probe}`)).arrayBuffer();
      besideMs = Math.max(besideMs, performance.now() - askedAt);
    }
  })();
  const sentAt = performance.now();
  await sendAll(target, [body], 1);
  const answerMs = performance.now() - sentAt;
  isOver = true;
  await probing;
  return { answerMs, besideMs };
}
