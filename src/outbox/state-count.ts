import type { StateCount } from './port.ts';

/** Several counts as one: their sum, and the oldest of all. */
export function sumCounts(counts: readonly StateCount[]): StateCount {
  const times = counts.flatMap(({ oldestReceivedAt }) => oldestReceivedAt ?? []);
  return {
    count: counts.reduce((sum, { count }) => sum + count, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}
