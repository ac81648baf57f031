import { statfs } from 'node:fs/promises';
import type { Hold } from '../delivery/event.ts';
import { holdCodes } from '../delivery/hold-code.ts';
import { createBoundedRead } from '../ground/bounded-read.ts';
import type { Clock } from '../ground/clock.ts';
import type { OutboxStats } from '../outbox/port.ts';
import { oldestAgeMs, summary } from '../outbox/summary.ts';
import type { Instruments } from './instruments.ts';

/** What each scrape reads. */
export interface MetricsSources {
  stats(): Promise<OutboxStats>;
  holds(): readonly Pick<Hold, 'kind' | 'stream' | 'since' | 'code'>[];
  /** Space on the file system of DATA_DIR. */
  disk(): Promise<DiskSpace>;
  /** Whether a damaged database is set aside which nobody has salvaged or removed yet. */
  isOutboxDamaged(): boolean;
  /** When the credential for Azure expires, in milliseconds since the epoch; null if that is not known. */
  credentialEndsAt(): number | null;
}

interface DiskSpace {
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** Space on the file system that holds the folder; free is what this user may still take. Rejects as `statfs` does. */
export async function diskSpace(folder: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}

/** As long as /readyz and /healthz wait for the outbox. */
export const SCRAPE_LIMIT_MS = 2_000;

interface ScrapeOptions {
  readonly metrics: Instruments;
  readonly clock: Clock;
  readonly streams: readonly string[];
  readonly sources: MetricsSources;
}

/** Updates the gauges that show a state. Never rejects, and takes at most SCRAPE_LIMIT_MS. */
export function createScrape({ metrics, clock, streams, sources }: ScrapeOptions): () => Promise<void> {
  const bounds = { limitMs: SCRAPE_LIMIT_MS, clock };
  const readStats = createBoundedRead(async () => sources.stats(), bounds);
  const readDisk = createBoundedRead(async () => sources.disk(), bounds);
  let known: OutboxStats | null = null;

  return async () => {
    const [stats, disk] = await Promise.all([readStats(), readDisk()]);
    const holds = sources.holds();
    metrics.outboxWritable.set(stats?.writable ? 1 : 0);
    metrics.credentialExpiry.set((sources.credentialEndsAt() ?? 0) / 1000);
    metrics.outboxDamaged.set(sources.isOutboxDamaged() ? 1 : 0);
    known = stats ?? known;
    // Without an answer the last counts stand and the ages go on: the alarm must not fall silent with the outbox.
    if (known !== null) setOutbox(metrics, known, holds, clock.now());
    setHolds(metrics, streams, holds);
    metrics.diskFreeBytes.set(disk?.freeBytes ?? 0);
    metrics.diskSizeBytes.set(disk?.sizeBytes ?? 0);
  };
}

function setOutbox(
  metrics: Instruments,
  stats: OutboxStats,
  holds: ReturnType<MetricsSources['holds']>,
  nowMs: number,
): void {
  const { undelivered: _undelivered, ...states } = summary(stats, holds);
  for (const [state, count] of Object.entries(states)) {
    metrics.outboxEvents.set({ state }, count.count);
    metrics.outboxOldestAge.set({ state }, oldestAgeMs(count, nowMs) / 1000);
  }
  for (const [state, bytes] of Object.entries(stats.bytes)) metrics.outboxBytes.set({ state }, bytes);
  metrics.outboxUsedBytes.set(stats.usedBytes);
  metrics.outboxLogBytes.set(stats.logBytes);
  metrics.outboxMaxBytes.set(stats.maxBytes);
}

/** Sets all of them, since a hold may have ended or have another reason since the last scrape. */
function setHolds(metrics: Instruments, streams: readonly string[], holds: ReturnType<MetricsSources['holds']>): void {
  const off = holds.filter(({ stream }) => stream === 'off').map(({ since }) => since);
  metrics.hold.set({ stream: 'off', reason: 'stream_off' }, off.length > 0 ? 1 : 0);
  metrics.holdSince.set({ stream: 'off' }, off.length === 0 ? 0 : Math.min(...off) / 1000);
  for (const stream of streams) {
    // Two kinds may share a stream.
    const ofStream = holds.filter((hold) => hold.stream === stream);
    for (const reason of holdCodes) {
      metrics.hold.set({ stream, reason }, ofStream.some(({ code }) => code === reason) ? 1 : 0);
    }
    const since = ofStream.length === 0 ? 0 : Math.min(...ofStream.map((hold) => hold.since));
    metrics.holdSince.set({ stream }, since / 1000);
  }
}
