import { explainUpload } from '../azure/fixes.ts';
import type { Config } from '../config/config.ts';
import { retryDelayMs } from '../delivery/backoff.ts';
import type { Hold } from '../delivery/event.ts';
import { type Ingestion, outcomeOf } from '../delivery/outcome.ts';
import { type Clock, createWaiter } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import { type HeartbeatSources, heartbeatStreamVariable, makeHeartbeatRow } from './row.ts';

/** A row this share of the interval before the next one is due stands for that one too. */
const TOLERANCE = 0.1;
const REMINDER_MS = 60_000;

/** `retry`: the failure passes. `hold`: a person has to change something. */
export type HeartbeatOutcome = 'delivered' | 'retry' | 'hold';

/** The last failure of a series; `since` is when the series began. */
export interface FailingHeartbeat extends Pick<Hold, 'since' | 'reason' | 'fix' | 'clientRequestId'> {
  readonly outcome: Exclude<HeartbeatOutcome, 'delivered'>;
  /** The pause that Azure asked for. */
  readonly retryAfterMs: number | null;
}

export interface HeartbeatStatus {
  readonly stream: string;
  /** When Azure last took a row, milliseconds since the epoch; null: not since the start. */
  readonly lastSentAt: number | null;
  readonly failing: FailingHeartbeat | null;
}

interface HeartbeatOptions extends Omit<HeartbeatSources, 'startedAt'> {
  readonly config: Pick<Config, 'heartbeat' | 'ingestion' | 'credential'>;
  readonly log: Logger;
  readonly ingestion: Ingestion;
  /** Counts what became of each try; must neither throw nor wait. */
  readonly onHeartbeat: (outcome: HeartbeatOutcome) => void;
}

/**
 * Sends a row about this service at once and then at each interval, one at a time, until `stop`, past the outbox: ADR 13.
 * The row's `started_at` is the time of this call. Null: the configuration wants no heartbeat.
 */
export function createHeartbeat(options: HeartbeatOptions) {
  const { config, clock, ingestion, onHeartbeat } = options;
  if (config.heartbeat === null || config.heartbeat.intervalMs === 0) return null;
  const { stream, intervalMs } = config.heartbeat;
  const { credential } = config;
  const context = { stream, streamVariable: heartbeatStreamVariable, ...config.ingestion, credential };
  const sources = { ...options, startedAt: clock.now() };
  const logged = logHeartbeat(options.log, clock, stream);
  const stopping = new AbortController();
  const waiter = createWaiter(clock, stopping.signal);
  let failures = 0;
  let lastSentAt: number | null = null;
  let failing: FailingHeartbeat | null = null;
  let loop: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    const startedAt = clock.now();
    while (!stopping.signal.aborted) {
      const failure = await beat();
      // What an abort made of it counts for nothing.
      if (stopping.signal.aborted) return;
      const dueMs = untilNextMs(startedAt, clock.now(), intervalMs);
      onHeartbeat(failure?.outcome ?? 'delivered');
      if (failure === null) {
        logged.sent(failing);
        failures = 0;
        failing = null;
        lastSentAt = clock.now();
        await waiter.until(dueMs);
      } else {
        failing = { ...failure, since: failing?.since ?? clock.now() };
        logged.failed(failing);
        const { retryAfterMs } = failure;
        await waiter.until(untilRetryMs({ failures, retryAfterMs, untilNextMs: dueMs, random: Math.random }));
        failures += 1;
      }
    }
  }

  /** Sends one fresh row. Null: Azure took it. */
  async function beat(): Promise<Omit<FailingHeartbeat, 'since'> | null> {
    try {
      const rows = JSON.stringify([await makeHeartbeatRow(sources)]);
      const result = await ingestion.upload(stream, rows, stopping.signal);
      const outcome = outcomeOf(result, clock.now());
      if (outcome.type === 'delivered') return null;
      // Azure's message, which may quote the row, is left out, since a failure is shown in /healthz and in the log.
      const { reason, fix } = explainUpload(result, context, outcome);
      const clientRequestId = result.type === 'no_token' ? null : result.clientRequestId;
      // A call with this one row cannot be split, and another one would be refused the same way.
      const meaning = outcome.type === 'retry' ? outcome : ({ type: 'hold', retryAfterMs: null } as const);
      return { outcome: meaning.type, retryAfterMs: meaning.retryAfterMs, reason, fix, clientRequestId };
    } catch (error) {
      // Neither port throws because of Azure, the network or the outbox.
      const reason = `A defect of this service: ${String(error)}`;
      const fix = 'Please report it. It is tried again.';
      return { outcome: 'hold', retryAfterMs: null, reason, fix, clientRequestId: null };
    }
  }

  return {
    start(): void {
      loop = run();
    },
    status: (): HeartbeatStatus => ({ stream, lastSentAt, failing }),
    /** Aborts an upload that is under way. Sends no last row, which would delay the stop and say nothing new. */
    async stop(): Promise<void> {
      stopping.abort();
      await loop;
    },
  };
}

/**
 * How long to wait for the next multiple of the interval since the start (ADR 13): more than a tenth of an interval and at
 * most one and a tenth. The tolerance is for timers that fire a little early, which would send two rows for one.
 */
export function untilNextMs(startedAtMs: number, nowMs: number, intervalMs: number): number {
  const elapsed = nowMs - startedAtMs;
  return (Math.floor(elapsed / intervalMs + TOLERANCE) + 1) * intervalMs - elapsed;
}

/**
 * The next try comes at delivery's pace, with the next row (due in `untilNextMs`) at the latest, but not before Azure
 * wants to be asked. `failures` in a row before this one.
 */
export function untilRetryMs(failed: {
  readonly failures: number;
  readonly retryAfterMs: number | null;
  readonly untilNextMs: number;
  readonly random: () => number;
}): number {
  const delayMs = retryDelayMs(failed.failures, failed.retryAfterMs, failed.random);
  return failed.retryAfterMs === null ? Math.min(delayMs, failed.untilNextMs) : delayMs;
}

/**
 * Logs when the heartbeat begins to fail, when a person comes to be needed, then at most once a minute, and when the
 * heartbeat works again. All other lines are at level `debug`.
 */
export function logHeartbeat(log: Logger, clock: Clock, stream: string) {
  let told: { readonly outcome: HeartbeatOutcome; readonly at: number } | null = null;

  return {
    /** `failing` is what this success ended. */
    sent(failing: FailingHeartbeat | null): void {
      if (failing === null) log.debug({ stream }, 'heartbeat sent');
      else log.info({ stream, failed_since: new Date(failing.since).toISOString() }, 'heartbeat sent again');
      told = null;
    },
    failed(failing: FailingHeartbeat): void {
      const { outcome, reason, fix, clientRequestId: client_request_id } = failing;
      const since = new Date(failing.since).toISOString();
      const fields = { stream, outcome, since, reason, fix, client_request_id };
      const isWorse = told?.outcome === 'retry' && outcome === 'hold';
      // In either direction, since the clock may jump.
      const isRecent = told !== null && Math.abs(clock.now() - told.at) < REMINDER_MS;
      const isNews = isWorse || !isRecent;
      const level = outcome === 'hold' ? 'error' : 'warn';
      log[isNews ? level : 'debug'](fields, 'heartbeat failed');
      if (isNews) told = { outcome, at: clock.now() };
    },
  };
}
