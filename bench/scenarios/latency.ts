import { documentedEvents } from '../events.ts';
import { openLoop } from '../load.ts';
import { type Azure, type Receiver, startBaseline, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median, percentile } from '../statistics.ts';
import { warmUp } from '../warm-up.ts';

const ROUNDS = 3;
const CONNECTIONS = 64;
const WARM_UP_MS = 5_000;
/** What the warm-up left to deliver is over then. */
const SETTLING_MS = 1_000;
const MEASURED_MS = 3_000;

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** At half of what scenario 1 found; a request counts from when it was due. */
export async function measureLatency(azure: Azure, fullPerSecond: number): Promise<Figure[]> {
  const perSecond = Math.max(10, Math.floor(fullPerSecond / 2));
  const scenario = `2. Latency of the answer at half load (${perSecond} webhooks a second)`;
  const results: Record<string, Latency[]> = { express: [], well: [], down: [] };
  for (let round = 0; round < ROUNDS; round++) {
    results['express']?.push(await measure(`express-${round}`, perSecond, await startBaseline('express', azure)));
    results['well']?.push(await measure(`well-${round}`, perSecond, await startService(azure)));
    azure.set({ isDown: true });
    results['down']?.push(await measure(`down-${round}`, perSecond, await startService(azure)));
    azure.set({ isDown: false });
  }
  const middle = (key: string, at: keyof Latency): number => median((results[key] ?? []).map((each) => each[at]));
  const figure = (key: string, name: string, at: keyof Latency): Figure => ({
    scenario,
    name: `${name}, ${at}`,
    value: middle(key, at),
    unit: 'ms',
    ...(key !== 'express' && { ratio: middle(key, at) / middle('express', at), against: 'bare Express' }),
  });
  return [
    ['well', 'apono-sentinel, Azure well'],
    ['down', 'apono-sentinel, Azure down'],
    ['express', 'bare Express'],
  ].flatMap(([key = '', name = '']) => [figure(key, name, 'p50'), figure(key, name, 'p99')]);
}

async function measure(run: string, perSecond: number, receiver: Receiver): Promise<Latency> {
  const load = (part: string, durationMs: number) =>
    openLoop(receiver.target, documentedEvents(`${run}-${part}`), { perSecond, durationMs, connections: CONNECTIONS });
  await warmUp(receiver.target, run, WARM_UP_MS);
  await load('settling', SETTLING_MS);
  const { latenciesMs } = await load('run', MEASURED_MS);
  await receiver.stop();
  return { p50: percentile(latenciesMs, 0.5), p99: percentile(latenciesMs, 0.99) };
}
