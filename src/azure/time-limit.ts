import type { Clock } from '../ground/clock.ts';

export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
  readonly code = 'time_limit';
}

export class AbortedError extends Error {
  override readonly name = 'AbortedError';
  readonly code = 'aborted';
}

export interface Limits {
  readonly clock: Clock;
  readonly limitMs: number;
  /** Ends the run early, with an AbortedError. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `run` for at most `limitMs`, then rejects with a TimeLimitError. The signal that `run` gets is aborted then, but
 * nothing waits for it to obey: MSAL never answers when its endpoint hangs, and the SDK's HTTP client does not end the
 * reading of a compressed body that stops half way.
 */
export async function runWithin<T>(limits: Limits, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, limitMs, signal } = limits;
  const controller = new AbortController();
  const timeLimit = Promise.withResolvers<never>();
  const cancelTimer = clock.setTimer(limitMs, () => {
    timeLimit.reject(new TimeLimitError(`No answer within ${limitMs / 1000} s.`));
    controller.abort();
  });
  const abort = () => controller.abort();
  try {
    return await untilAborted(signal, () => {
      // After the listener of untilAborted, so that its error comes before whatever `run` makes of the abort.
      signal?.addEventListener('abort', abort, { once: true });
      return Promise.race([run(controller.signal), timeLimit.promise]);
    });
  } finally {
    cancelTimer();
    signal?.removeEventListener('abort', abort);
  }
}

/** Rejects with an AbortedError as soon as the signal is aborted, whatever `run` does then. */
export async function untilAborted<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
  if (signal === undefined) return run();
  if (signal.aborted) throw new AbortedError('Aborted before it began.');
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(new AbortedError('Aborted.'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([run(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Resolves after `delayMs`, or as soon as the signal is aborted; the caller checks the signal. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.setTimer(delayMs, () => done());
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted === true) done();
  });
}
