import type { Clock } from '../ground/clock.ts';

const WINDOW_MS = 1_000;

/** Makes the function that counts one more, and says whether over `limit` came in this second or the one before it. */
export function createRate(clock: Clock, limit: number): () => boolean {
  let beganAt = clock.now();
  let count = 0;
  let wasBusy = false;
  return () => {
    const passedMs = clock.now() - beganAt;
    if (passedMs < 0 || passedMs >= WINDOW_MS) {
      wasBusy = count > limit && passedMs < 2 * WINDOW_MS;
      beganAt += passedMs;
      count = 0;
    }
    count++;
    return wasBusy || count > limit;
  };
}
