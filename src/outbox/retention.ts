import type { Clock } from '../ground/clock.ts';
import type { Outbox } from './port.ts';

const DAY_MS = 86_400_000;
const PRUNE_INTERVAL_MS = 3_600_000;

export interface RetentionOptions {
  readonly outbox: Pick<Outbox, 'prune'>;
  readonly dedupDays: number;
  readonly clock: Clock;
}

/**
 * Forgets identities when DEDUP_DAYS are over: now, and every hour. Time counts only as far as it has passed on a timer
 * since the start: a clock that jumps ahead would make events be taken as new that a sender repeats, and that cannot be
 * taken back. A clock that jumped behind and comes back makes them be kept that much longer, until the next start.
 * The returned function ends it.
 */
export function keepPruning({ outbox, dedupDays, clock }: RetentionOptions): () => void {
  let cancel = () => {};
  let stopped = false;

  async function prune(untilMs: number): Promise<void> {
    const nowMs = Math.min(untilMs, clock.now());
    await outbox.prune(nowMs - dedupDays * DAY_MS);
    if (!stopped) cancel = clock.setTimer(PRUNE_INTERVAL_MS, () => void prune(nowMs + PRUNE_INTERVAL_MS));
  }

  void prune(clock.now());
  return () => {
    stopped = true;
    cancel();
  };
}
