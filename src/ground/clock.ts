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

/**
 * `2027-01-31`, which means its beginning, or an ISO 8601 time, in milliseconds since the epoch; UTC where it names no
 * zone. Null for anything else.
 */
export function parseIsoTime(text: string): number | null {
  const [, day, time = '00:00', zone = 'Z'] =
    /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?\s?([Zz]|[+-]\d{2}:\d{2})?$/.exec(text) ?? [];
  const timeMs = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  const startMs = Date.parse(`${day}T00:00:00Z`);
  if (day === undefined || Number.isNaN(timeMs) || Number.isNaN(startMs)) return null;
  // Date.parse takes the 31st of February for the 3rd of March.
  return new Date(startMs).toISOString().startsWith(day) ? timeMs : null;
}
