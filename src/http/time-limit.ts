import type { Clock } from '../ground/clock.ts';

/** Of equal length for all that wait. */
export interface TimeLimit {
  /** Calls `onLate` when its time is over: after the limit, or up to a tenth earlier. */
  start(onLate: () => void): void;
  /** `onLate` will not be called. Doing so twice does nothing. */
  end(onLate: () => void): void;
}

const STEPS = 10;

/**
 * One timer for all that wait, instead of one to be made and cleared for each webhook. It runs only while somebody
 * waits. Who is alone is late exactly after the limit.
 */
export function createTimeLimit(limitMs: number, clock: Clock): TimeLimit {
  /** By when they began, as a Map keeps its keys: the first are late first. */
  const waiting = new Map<() => void, number>();
  let step = 0;
  let cancelTimer: (() => void) | null = null;

  function onStep(): void {
    step += 1;
    for (const [onLate, firstStep] of waiting) {
      if (step - firstStep < STEPS) break;
      waiting.delete(onLate);
      onLate();
    }
    cancelTimer = waiting.size > 0 ? clock.setTimer(limitMs / STEPS, onStep) : null;
  }

  return {
    start(onLate) {
      waiting.set(onLate, step);
      cancelTimer ??= clock.setTimer(limitMs / STEPS, onStep);
    },
    end(onLate) {
      waiting.delete(onLate);
      if (waiting.size > 0) return;
      cancelTimer?.();
      cancelTimer = null;
    },
  };
}
