import { hostname } from 'node:os';
import { explainUpload } from '../azure/fixes.ts';
import type { Config } from '../config/config.ts';
import { retryDelayMs } from '../delivery/backoff.ts';
import type { Ingestion } from '../delivery/outcome.ts';
import { type Clock, Waiter } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Outbox } from '../outbox/port.ts';
import { type BeatOptions, beat, type FailingHeartbeat, type HeartbeatFailure, type HeartbeatOutcome } from './beat.ts';
import { logHeartbeat } from './log.ts';
import { createHeartbeatRow, heartbeatStreamVariable, type Totals } from './row.ts';

/** A row this share of the interval before the next one is due stands for that one too. */
const TOLERANCE = 0.1;

interface HeartbeatOptions {
  readonly config: Pick<Config, 'heartbeat' | 'ingestion' | 'credential'>;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly outbox: Pick<Outbox, 'stats'>;
  readonly ingestion: Ingestion;
  readonly totals: () => Promise<Totals>;
  /** Counts what became of each try; must neither throw nor wait. */
  readonly onHeartbeat: (outcome: HeartbeatOutcome) => void;
  readonly credentialEndsAt: () => number | null;
}

/** What /healthz says about the heartbeat. */
export interface HeartbeatStatus {
  readonly stream: string;
  /** When Azure last took a row, milliseconds since the epoch; null: not since the start. */
  readonly lastSentAt: number | null;
  readonly failing: FailingHeartbeat | null;
}

interface Heartbeat {
  start(): void;
  status(): HeartbeatStatus;
  /** Aborts an upload that is under way. Sends no last row, which would delay the stop and say nothing new. */
  stop(): Promise<void>;
}

/**
 * Sends a row about this service at once and then at each interval, one at a time, until `stop`. The rows bypass the
 * outbox: a sign of life that is late says nothing, and it must get through when the outbox is full. So each try has a
 * fresh row, and a row that could not be sent is forgotten. The row's `started_at` is the time of this call. Null: the
 * configuration wants no heartbeat.
 */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat | null {
  const { config, clock, onHeartbeat } = options;
  if (config.heartbeat === null || config.heartbeat.intervalMs === 0) return null;
  const { stream, intervalMs } = config.heartbeat;
  const beatOptions = beatOptionsOf(options, stream);
  const logged = logHeartbeat(options.log, clock, stream);
  const stopping = new AbortController();
  const waiter = new Waiter(clock, stopping.signal);
  let failures = 0;
  let lastSentAt: number | null = null;
  let failing: FailingHeartbeat | null = null;
  let loop: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    const startedAt = clock.now();
    while (!stopping.signal.aborted) {
      const failure = await beat(beatOptions, stopping.signal);
      if (stopping.signal.aborted) return;
      const dueMs = untilNextMs(startedAt, clock.now(), intervalMs);
      await waiter.until(failure === null ? succeed(dueMs) : fail(failure, dueMs));
    }
  }

  function succeed(dueMs: number): number {
    onHeartbeat('delivered');
    logged.sent(failing);
    failures = 0;
    failing = null;
    lastSentAt = clock.now();
    return dueMs;
  }

  function fail(failure: HeartbeatFailure, dueMs: number): number {
    failing = { ...failure, since: failing?.since ?? clock.now() };
    onHeartbeat(failure.outcome);
    logged.failed(failing);
    const { retryAfterMs } = failure;
    return untilRetryMs({ failures: failures++, retryAfterMs, untilNextMs: dueMs, random: Math.random });
  }

  return {
    start() {
      loop = run();
    },
    status: () => ({ stream, lastSentAt, failing }),
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}

function beatOptionsOf(options: HeartbeatOptions, stream: string): BeatOptions {
  const { config, version, clock, outbox, ingestion, totals, credentialEndsAt } = options;
  const { endpoint, ruleId } = config.ingestion;
  const context = { stream, streamVariable: heartbeatStreamVariable, ruleId, endpoint, credential: config.credential };
  return {
    stream,
    ingestion,
    makeRow: createHeartbeatRow({
      instance: hostname(),
      version,
      startedAt: clock.now(),
      totals,
      stats: () => outbox.stats(),
      credentialEndsAt,
      clock,
    }),
    explain: (result, code) => explainUpload(result, context, code),
    clock,
  };
}

/**
 * How long to wait for the next multiple of the interval since the start: more than a tenth of an interval and at most
 * one and a tenth. It is computed anew each time, so that nothing drifts and whatever was missed while the host slept or
 * the clock jumped is skipped. The tolerance is for timers that fire a little early, which would send two rows for one.
 */
export function untilNextMs(startedAtMs: number, nowMs: number, intervalMs: number): number {
  const elapsed = nowMs - startedAtMs;
  return (Math.floor(elapsed / intervalMs + TOLERANCE) + 1) * intervalMs - elapsed;
}

interface FailedTry {
  /** Failures in a row before this one. */
  readonly failures: number;
  readonly retryAfterMs: number | null;
  /** When the next row is due anyway. */
  readonly untilNextMs: number;
  readonly random: () => number;
}

/** The next try comes at delivery's pace, with the next row at the latest, but not before Azure wants to be asked. */
export function untilRetryMs({ failures, retryAfterMs, untilNextMs: dueMs, random }: FailedTry): number {
  const delayMs = retryDelayMs(failures, retryAfterMs, random);
  return retryAfterMs === null ? Math.min(delayMs, dueMs) : delayMs;
}
