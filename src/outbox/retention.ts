import { type Clock, createWaiter } from '../ground/clock.ts';
import { OutboxUnavailableError } from './port.ts';
import type { Store, StoreOptions } from './store.ts';

const DAY_MS = 86_400_000;
const PRUNE_INTERVAL_MS = 3_600_000;
/** Identities forgotten in one transaction: some milliseconds of work. */
export const PRUNE_CHUNK = 500;

/**
 * Forgets identities when DEDUP_DAYS are over: now, and every hour. An identity that is forgotten too early cannot be
 * taken back: an event that a sender repeats is stored as new. So the clock alone is not believed. Time counts up to the
 * start as far as recorded deliveries show that it has passed (`recordedUntil`), and from then on as far as it has passed
 * on a timer, whatever a clock says that is days ahead at the start or jumps later. After a real stop of some days
 * identities are kept that much longer, which does no harm. The returned function ends it.
 */
export function keepPruning(
  store: Pick<Store, 'prune' | 'recordedUntil'>,
  { dedupDays, clock }: { readonly dedupDays: number; readonly clock: Clock },
): () => void {
  const stopping = new AbortController();
  const { until } = createWaiter(clock, stopping.signal);

  async function run(): Promise<void> {
    let untilMs: number | null = null;
    while (!stopping.signal.aborted) {
      try {
        untilMs ??= (await store.recordedUntil()) ?? clock.now();
        // A clock that is behind holds back this round alone: it may be right again before the next.
        await store.prune(Math.min(untilMs, clock.now()) - dedupDays * DAY_MS);
      } catch (error) {
        if (!(error instanceof OutboxUnavailableError)) throw error;
      }
      await until(PRUNE_INTERVAL_MS);
      if (untilMs !== null) untilMs += PRUNE_INTERVAL_MS;
    }
  }

  void run();
  return () => stopping.abort();
}

/**
 * Makes room where it is identities that fill the outbox, and not what waits: the oldest are forgotten before DEDUP_DAYS
 * are over. An event that is refused may be lost, while one that comes again after all makes rows with the same row_id.
 * False: events need more than half of OUTBOX_MAX_BYTES, or nothing became less (a PostgreSQL server knows how many
 * identities there are only after its next vacuum).
 */
export async function forgetOldest(neededBytes: number, { engine, maxBytes, onEvent }: StoreOptions): Promise<boolean> {
  const before = await engine.read();
  if (before.counts.reduce((sum, { bytes }) => sum + bytes, neededBytes) > maxBytes / 2) return false;
  const forgotten = await engine.prune(Number.MAX_SAFE_INTEGER, PRUNE_CHUNK);
  const reason = `OUTBOX_MAX_BYTES is reached although little waits, so that ${forgotten} identities of delivered events were forgotten before DEDUP_DAYS`;
  if (forgotten > 0) onEvent({ type: 'trouble', operation: 'prune', reason, isDamage: false });
  return forgotten > 0 && (await engine.read()).dataBytes < before.dataBytes;
}
