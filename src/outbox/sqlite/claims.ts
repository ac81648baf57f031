import { randomInt } from 'node:crypto';

/**
 * Who holds which event. It lives in the worker's memory, since a claim ends with the process that took it anyway: a
 * claim costs no synced write, works when the disk is full, and is free again after a crash without any clean-up.
 */
export interface Claims {
  isHeld(eventId: string): boolean;
  /** Whether `token` is the current one of this event. */
  isCurrent(eventId: string, token: number): boolean;
  /** Takes the event and returns its token, which no other claim has, in this worker or in one before it. */
  take(eventId: string): number;
  release(eventId: string): void;
}

/** The largest range of crypto.randomInt; counting on from there stays far below 2^53. */
const FIRST_TOKENS = 2 ** 48 - 1;

export function createClaims(): Claims {
  const tokens = new Map<string, number>();
  // A random place to count from: that a late settlement of a worker that died meets its own number again, given anew
  // for the same event, has a chance of 1 in 2^48. A counter on the disk would need a write at every start.
  let next = randomInt(1, FIRST_TOKENS);
  return {
    isHeld: (eventId) => tokens.has(eventId),
    isCurrent: (eventId, token) => tokens.get(eventId) === token,
    take(eventId) {
      const token = next++;
      tokens.set(eventId, token);
      return token;
    },
    release: (eventId) => void tokens.delete(eventId),
  };
}
