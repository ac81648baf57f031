import { randomInt } from 'node:crypto';
import type { RowRange } from '../port.ts';

/**
 * Who holds which event. It lives in the worker's memory, since a claim ends with the process that took it anyway: a
 * claim costs no synced write, works when the disk is full, and is free again after a crash without any clean-up.
 */
export interface Claims {
  /** By the number of the event. */
  isHeld(seq: number): boolean;
  /** Null when `token` is not the event's current one. */
  find(eventId: string, token: number): Claim | null;
  /** Takes rows of an event; returns the claim's token, which no other has, in this worker or in one before it. */
  take(event: Held): number;
  /** What is left of the claim's rows after a settlement; without any it ends. */
  keep(eventId: string, rows: readonly RowRange[]): void;
  release(eventId: string): void;
}

/** An event that is claimed, and what of it never changes. */
export interface Held {
  readonly eventId: string;
  readonly seq: number;
  readonly kind: string;
  readonly bodyBytes: number;
  /** The rows of this claim that are not settled yet. */
  readonly rows: readonly RowRange[];
}

export interface Claim extends Held {
  readonly token: number;
}

/** The largest range of crypto.randomInt; counting on from there stays far below 2^53. */
const FIRST_TOKENS = 2 ** 48 - 1;

export function createClaims(): Claims {
  const claims = new Map<string, Claim>();
  const seqs = new Set<number>();
  // A random place to count from: that a late settlement of a worker that died meets its own number again, given anew
  // for the same event, has a chance of 1 in 2^48. A counter on the disk would need a write at every start.
  let next = randomInt(1, FIRST_TOKENS);

  function release(eventId: string): void {
    const claim = claims.get(eventId);
    if (claim === undefined) return;
    claims.delete(eventId);
    seqs.delete(claim.seq);
  }

  return {
    isHeld: (seq) => seqs.has(seq),
    find(eventId, token) {
      const claim = claims.get(eventId);
      return claim?.token === token ? claim : null;
    },
    take(event) {
      const token = next++;
      claims.set(event.eventId, { ...event, token });
      seqs.add(event.seq);
      return token;
    },
    keep(eventId, rows) {
      const claim = claims.get(eventId);
      if (rows.length === 0) release(eventId);
      else if (claim !== undefined) claims.set(eventId, { ...claim, rows });
    },
    release,
  };
}
