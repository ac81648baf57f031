/** The time and the timers, passed in so that tests can control them. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump: never subtract two of these to time out a network call. */
  now(): number;
  /** Calls `fn` once, `delayMs` from now. The returned function cancels it; cancelling twice does nothing. */
  setTimer(delayMs: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
};
