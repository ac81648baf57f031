import { createWaiter } from '../delivery/waiter.ts';
import { type BeatOptions, beat, type HeartbeatFailure } from './beat.ts';
import { untilNextMs, untilRetryMs } from './schedule.ts';

export interface HeartbeatOptions extends BeatOptions {
  readonly intervalMs: number;
  /** Gives [0, 1). */
  readonly random: () => number;
  readonly observer: HeartbeatObserver;
}

/** What became of each try. Neither method may throw or wait. */
export interface HeartbeatObserver {
  /** `failing`: it failed until now. */
  sent(failing: FailingHeartbeat | null): void;
  failed(failing: FailingHeartbeat): void;
}

/** The last failure of a series, and when the series began (ms since the epoch). */
export interface FailingHeartbeat extends HeartbeatFailure {
  readonly since: number;
}

/** What /healthz tells of it. */
export interface HeartbeatStatus {
  readonly stream: string;
  /** When Azure last took a row, ms since the epoch; null: not since the start. */
  readonly lastSentAt: number | null;
  readonly failing: FailingHeartbeat | null;
}

export interface Heartbeat {
  start(): void;
  status(): HeartbeatStatus;
  /** Cuts an upload under way off. No last row: it would delay the stop, and silence or the next start say the same. */
  stop(): Promise<void>;
}

/**
 * Sends a row about this service at once and then at each interval, one at a time, for ever. Not through the outbox: a
 * sign of life that is late is none, and it must get through when the outbox is full. So each try has a fresh row, and
 * what could not be sent is forgotten.
 */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { stream, intervalMs, clock, random, observer } = options;
  const waiter = createWaiter(clock);
  const stopping = new AbortController();
  let failures = 0;
  let lastSentAt: number | null = null;
  let failing: FailingHeartbeat | null = null;
  let loop: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    const startedAt = clock.now();
    while (!stopping.signal.aborted) {
      const failure = await beat(options, stopping.signal);
      if (stopping.signal.aborted) return;
      const dueMs = untilNextMs(startedAt, clock.now(), intervalMs);
      await waiter.until(failure === null ? succeed(dueMs) : fail(failure, dueMs), () => false);
    }
  }

  function succeed(dueMs: number): number {
    const before = failing;
    failures = 0;
    failing = null;
    lastSentAt = clock.now();
    observer.sent(before);
    return dueMs;
  }

  function fail(failure: HeartbeatFailure, dueMs: number): number {
    failing = { ...failure, since: failing?.since ?? clock.now() };
    observer.failed(failing);
    return untilRetryMs({ failures: failures++, retryAfterMs: failure.retryAfterMs, untilNextMs: dueMs, random });
  }

  return {
    start() {
      loop = run();
    },
    status: () => ({ stream, lastSentAt, failing }),
    async stop() {
      stopping.abort();
      waiter.close();
      await loop;
    },
  };
}
