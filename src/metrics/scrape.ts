import { holdCodes } from '../delivery/outcome.ts';
import { type Clock, createBoundedRead } from '../ground/clock.ts';
import type { ServiceState } from '../http/health.ts';
import { type OutboxStats, oldestAgeMs, STATS_LIMIT_MS, summary } from '../outbox/port.ts';
import type { Instruments } from './instruments.ts';

type Holds = ReturnType<ServiceState['holds']>;

/** Updates the gauges that show a state. Never rejects, and takes at most STATS_LIMIT_MS. */
export function createScrape(
  metrics: Instruments,
  { sources, streams, clock }: { sources: ServiceState; streams: readonly string[]; clock: Clock },
): () => Promise<void> {
  const bounds = { limitMs: STATS_LIMIT_MS, clock };
  const readStats = createBoundedRead(async () => sources.stats(), bounds);
  const readDisk = createBoundedRead(async () => sources.disk(), bounds);
  let known: OutboxStats | null = null;

  return async () => {
    const [stats, disk] = await Promise.all([readStats(), readDisk()]);
    const holds = sources.holds();
    metrics.outbox_writable.set(stats?.writable ? 1 : 0);
    metrics.credential_expiry_timestamp_seconds.set((sources.credentialEndsAt() ?? 0) / 1000);
    metrics.outbox_damaged.set(sources.damagedFile() === null ? 0 : 1);
    known = stats ?? known;
    // Without an answer the last counts stand and the ages go on: the alarm must not fall silent with the outbox.
    if (known !== null) setOutbox(metrics, known, holds, clock.now());
    setHolds(metrics, streams, holds);
    metrics.disk_free_bytes.set(disk?.freeBytes ?? 0);
    metrics.disk_size_bytes.set(disk?.sizeBytes ?? 0);
  };
}

function setOutbox(metrics: Instruments, stats: OutboxStats, holds: Holds, nowMs: number): void {
  const { undelivered: _undelivered, ...states } = summary(stats, holds);
  for (const [state, count] of Object.entries(states)) {
    metrics.outbox_events.set({ state }, count.count);
    metrics.outbox_oldest_age_seconds.set({ state }, oldestAgeMs(count, nowMs) / 1000);
  }
  for (const [state, bytes] of Object.entries(stats.bytes)) metrics.outbox_bytes.set({ state }, bytes);
  metrics.outbox_used_bytes.set(stats.usedBytes);
  metrics.outbox_log_bytes.set(stats.logBytes);
  metrics.outbox_max_bytes.set(stats.maxBytes);
}

/** Sets all of them, since a hold may have ended or have another reason since the last scrape. */
function setHolds(metrics: Instruments, streams: readonly string[], holds: Holds): void {
  for (const stream of [...streams, 'off']) {
    // Two kinds may share a stream.
    const own = holds.filter((hold) => hold.stream === stream);
    for (const reason of stream === 'off' ? ['stream_off'] : holdCodes) {
      metrics.hold.set({ stream, reason }, own.some(({ code }) => code === reason) ? 1 : 0);
    }
    const since = own.length === 0 ? 0 : Math.min(...own.map((hold) => hold.since));
    metrics.hold_since_timestamp_seconds.set({ stream }, since / 1000);
  }
}
