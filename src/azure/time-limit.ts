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
  if (signal?.aborted === true) throw new AbortedError('Aborted before it began.');
  const controller = new AbortController();
  const early = Promise.withResolvers<never>();
  const end = (error: Error) => {
    early.reject(error);
    controller.abort();
  };
  const cancelTimer = clock.setTimer(limitMs, () => end(new TimeLimitError(`No answer within ${limitMs / 1000} s.`)));
  const onAbort = () => end(new AbortedError('Aborted.'));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([run(controller.signal), early.promise]);
  } finally {
    cancelTimer();
    signal?.removeEventListener('abort', onAbort);
  }
}
