import { retryDelayMs } from '../delivery/backoff.ts';

/** Of the interval: a row this close to the next one's time stands for that one too. */
const TOLERANCE = 0.1;

/**
 * How long to wait for the next multiple of the interval since the start: more than a tenth of an interval and at most
 * one and a tenth. Reckoned anew each time, so that nothing drifts, and whatever was missed while the host slept or the
 * clock jumped is left out. The tolerance is for timers that fire a little early, which would make two rows of one.
 */
export function untilNextMs(startedAtMs: number, nowMs: number, intervalMs: number): number {
  const elapsed = nowMs - startedAtMs;
  return (Math.floor(elapsed / intervalMs + TOLERANCE) + 1) * intervalMs - elapsed;
}

export interface FailedTry {
  /** In a row, counted from 0. */
  readonly failures: number;
  readonly retryAfterMs: number | null;
  /** When the next row is due anyway. */
  readonly untilNextMs: number;
  readonly random: () => number;
}

/** The next try: at delivery's pace, with the next interval at the latest, but not before Azure wants to be asked. */
export function untilRetryMs({ failures, retryAfterMs, untilNextMs: dueMs, random }: FailedTry): number {
  const delayMs = retryDelayMs(failures, retryAfterMs, random);
  return retryAfterMs === null ? Math.min(delayMs, dueMs) : delayMs;
}
