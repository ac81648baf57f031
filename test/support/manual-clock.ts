import type { Clock } from '../../src/ground/clock.ts';

export interface ManualClock extends Clock {
  /** Lets time pass: timers that fall due are called in the order of their time, each with the clock at that time. */
  advance(ms: number): void;
  /** Jumps to a time, backwards too, as an operator or NTP does: calls no timer, since those run on elapsed time. */
  set(ms: number): void;
  /** How many timers wait. */
  readonly timerCount: number;
}

interface Timer {
  /** On the monotonic time, which `set` does not move. */
  readonly dueMs: number;
  readonly fn: () => void;
}

/** A clock that stands still until the test moves it. `startMs` is milliseconds since the epoch. */
export function manualClock(startMs: number = Date.UTC(2026, 0, 2, 3, 4, 5)): ManualClock {
  let wallMs = startMs;
  let elapsedMs = 0;
  const timers = new Set<Timer>();

  function nextDue(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) {
      // A Set keeps the order of insertion, so that of two timers for the same time the older one comes first.
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  function moveTo(ms: number): void {
    const stepMs = Math.max(0, ms - elapsedMs);
    elapsedMs += stepMs;
    wallMs += stepMs;
  }

  return {
    now: () => wallMs,
    get timerCount() {
      return timers.size;
    },
    setTimer(delayMs, fn) {
      const timer: Timer = { dueMs: elapsedMs + Math.max(0, delayMs), fn };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      const untilMs = elapsedMs + ms;
      for (let timer = nextDue(untilMs); timer !== undefined; timer = nextDue(untilMs)) {
        timers.delete(timer);
        moveTo(timer.dueMs);
        timer.fn();
      }
      moveTo(untilMs);
    },
    set(ms) {
      wallMs = ms;
    },
  };
}
