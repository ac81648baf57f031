import type { Clock } from './clock.ts';

/**
 * Reads for many askers: one reading at a time, and each asker waits at most `limitMs`. Null: it failed, or has not come
 * by then. A reading that hangs is not begun a second time, so that askers who come again do not pile up behind it.
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
