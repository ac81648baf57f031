import { CodedError } from './error.ts';

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

/** What a run was ended by: its time was up, or its signal was aborted. */
export class EndedError extends CodedError<'timeout' | 'aborted'> {
  override readonly name = 'EndedError';
}

export interface Limits {
  readonly clock: Clock;
  /** Null: no limit of time. */
  readonly limitMs: number | null;
  /** Ends the run early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `run` until its time is up or the signal is aborted, then rejects with an EndedError. The signal that `run` gets is
 * aborted then, but nothing waits for it to obey: MSAL never answers when its endpoint hangs, and the SDK's HTTP client
 * does not end the reading of a compressed body that stops half way.
 */
export async function runWithin<T>(
  { clock, limitMs, signal }: Limits,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal?.aborted) throw new EndedError('aborted', 'Aborted before it began.');
  const ending = new AbortController();
  const ended = Promise.withResolvers<never>();
  function end(code: EndedError['code'], message: string): void {
    // First, so that it comes before whatever `run` makes of the abort.
    ended.reject(new EndedError(code, message));
    ending.abort();
  }
  const onAbort = () => end('aborted', 'Aborted.');
  const cancelTimer =
    limitMs === null ? null : clock.setTimer(limitMs, () => end('timeout', `No answer within ${limitMs / 1000} s.`));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([run(ending.signal), ended.promise]);
  } finally {
    cancelTimer?.();
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Reads for many callers: one read at a time, for which each caller waits at most `limitMs`. Null: the read failed or
 * timed out. While a read hangs no other one is started, so that reads do not pile up.
 */
export function createBoundedRead<T>(read: () => Promise<T>, limits: Limits): () => Promise<T | null> {
  let underWay: Promise<T> | null = null;
  return () => {
    underWay ??= Promise.try(read).finally(() => {
      underWay = null;
    });
    const reading = underWay;
    return runWithin(limits, () => reading).catch(() => null);
  };
}

export type Waiter = ReturnType<typeof createWaiter>;

/** Waits with timers of its own, for a loop that must be able to end at once: when the signal is aborted. */
export function createWaiter(clock: Clock, signal: AbortSignal | undefined) {
  let next = Promise.withResolvers<void>();
  /** Something may have changed. */
  function look(): void {
    next.resolve();
    next = Promise.withResolvers();
  }
  signal?.addEventListener('abort', look, { once: true });
  return {
    look,
    /** Resolves after `delayMs`, as soon as `condition` holds (looked at now and after each `look`), or when aborted. */
    async until(delayMs: number, condition: () => boolean = () => false): Promise<void> {
      let isTimeUp = false;
      const cancel = clock.setTimer(delayMs, () => {
        isTimeUp = true;
        look();
      });
      while (!isTimeUp && signal?.aborted !== true && !condition()) await next.promise;
      cancel();
    },
  };
}

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
