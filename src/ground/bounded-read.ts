import type { Clock } from './clock.ts';

/**
 * Reads for many callers: one read at a time, for which each caller waits at most `limitMs`. Null: the read failed or
 * timed out. While a read hangs no other one is started, so that reads do not pile up.
 */
export function createBoundedRead<T>(
  read: () => Promise<T>,
  { limitMs, clock }: { readonly limitMs: number; readonly clock: Clock },
): () => Promise<T | null> {
  let underWay: Promise<T | null> | null = null;

  function begin(): Promise<T | null> {
    return read()
      .catch(() => null)
      .finally(() => {
        underWay = null;
      });
  }

  return () => {
    underWay ??= begin();
    const reading = underWay;
    return new Promise((resolve) => {
      const cancelTimer = clock.setTimer(limitMs, () => resolve(null));
      void reading.then((value) => {
        cancelTimer();
        resolve(value);
      });
    });
  };
}
