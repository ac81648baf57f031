import type { OutboxStats, StateCount } from './port.ts';

/** What an outbox holds, by the state of its delivery. */
export interface Summary {
  /** Of the kinds whose stream is not on hold. */
  readonly waiting: StateCount;
  /** Of the kinds whose stream is on hold. */
  readonly held: StateCount;
  readonly dead: StateCount;
  readonly quarantined: StateCount;
  /** What is not delivered yet: waiting and held together. */
  readonly undelivered: StateCount;
}

export function summary(stats: OutboxStats, holds: readonly { readonly kind: string }[]): Summary {
  const kinds = Object.entries(stats.waiting);
  const isHeld = (kind: string): boolean => holds.some((hold) => hold.kind === kind);
  const sumOf = (chosen: typeof kinds): StateCount => sum(chosen.map(([, count]) => count));
  return {
    waiting: sumOf(kinds.filter(([kind]) => !isHeld(kind))),
    held: sumOf(kinds.filter(([kind]) => isHeld(kind))),
    dead: stats.dead,
    quarantined: stats.quarantined,
    undelivered: sumOf(kinds),
  };
}

/** How long ago the oldest was received; 0 if there is none. The clock may have been set back since. */
export function oldestAgeMs({ oldestReceivedAt }: StateCount, nowMs: number): number {
  return oldestReceivedAt === null ? 0 : Math.max(0, nowMs - oldestReceivedAt);
}

function sum(counts: readonly StateCount[]): StateCount {
  const times = counts.flatMap(({ oldestReceivedAt }) => oldestReceivedAt ?? []);
  return {
    count: counts.reduce((total, { count }) => total + count, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}
