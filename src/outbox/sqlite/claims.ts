import { randomInt } from 'node:crypto';
import type { RowRange } from '../port.ts';

/**
 * Who holds which event. It lives in the worker's memory, since a claim ends with the process that took it anyway: a
 * claim costs no synced write, works when the disk is full, and is free again after a crash without any clean-up.
 */
export interface Claims {
  isHeld(eventId: string): boolean;
  /** The rows of this claim that are not settled yet; null when `token` is not the event's current one. */
  rowsOf(eventId: string, token: number): readonly RowRange[] | null;
  /** Takes rows of the event; returns the claim's token, which no other has, in this worker or in one before it. */
  take(eventId: string, rows: readonly RowRange[]): number;
  /** What is left of the claim's rows after a settlement; without any it ends. */
  keep(eventId: string, rows: readonly RowRange[]): void;
  release(eventId: string): void;
}

interface Claim {
  readonly token: number;
  readonly rows: readonly RowRange[];
}

/** The largest range of crypto.randomInt; counting on from there stays far below 2^53. */
const FIRST_TOKENS = 2 ** 48 - 1;

export function createClaims(): Claims {
  const claims = new Map<string, Claim>();
  // A random place to count from: that a late settlement of a worker that died meets its own number again, given anew
  // for the same event, has a chance of 1 in 2^48. A counter on the disk would need a write at every start.
  let next = randomInt(1, FIRST_TOKENS);
  return {
    isHeld: (eventId) => claims.has(eventId),
    rowsOf(eventId, token) {
      const claim = claims.get(eventId);
      return claim?.token === token ? claim.rows : null;
    },
    take(eventId, rows) {
      const token = next++;
      claims.set(eventId, { token, rows });
      return token;
    },
    keep(eventId, rows) {
      const claim = claims.get(eventId);
      if (rows.length === 0) claims.delete(eventId);
      else if (claim !== undefined) claims.set(eventId, { token: claim.token, rows });
    },
    release: (eventId) => void claims.delete(eventId),
  };
}
