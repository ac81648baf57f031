import { randomInt } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { RowRange } from '../../ground/event.ts';
import type { ClaimedRows, ClaimRequest } from '../engine.ts';
import { countRows, parseRanges } from '../ranges.ts';
import { rangesFrom, takeRows } from '../rows.ts';
import { eachRow, getRow } from './sql.ts';

/** A claim of some rows of an event. */
export interface Claim {
  readonly eventId: string;
  readonly seq: number;
  readonly token: number;
  /** The rows that are not settled yet. */
  readonly rows: readonly RowRange[];
}

/**
 * Who holds which rows. It is in memory, since a claim ends with the process that took it: a claim costs no synced write,
 * works when the disk is full, and is free again after a crash without any clean-up. One claim an event.
 */
export class Claims {
  readonly #claims = new Map<string, Claim>();
  readonly #seqs = new Set<number>();
  // A random place to count from: that a late settlement of a process that died meets its own number again, given anew
  // for the same event, has a chance of 1 in 2^48. A counter on the disk would need a write at every start.
  #next = randomInt(1, 2 ** 48 - 1);

  isHeld(seq: number): boolean {
    return this.#seqs.has(seq);
  }

  /** Null when `token` is not the event's current one. */
  find(eventId: string, token: number): Claim | null {
    const claim = this.#claims.get(eventId);
    return claim?.token === token ? claim : null;
  }

  take(claim: Omit<Claim, 'token'>): number {
    const token = this.#next++;
    this.#claims.set(claim.eventId, { ...claim, token });
    this.#seqs.add(claim.seq);
    return token;
  }

  /** What is left of a claim's rows; without any it ends. */
  keep(eventId: string, rows: readonly RowRange[]): void {
    const claim = this.#claims.get(eventId);
    if (claim === undefined) return;
    if (rows.length > 0) {
      this.#claims.set(eventId, { ...claim, rows });
      return;
    }
    this.#claims.delete(eventId);
    this.#seqs.delete(claim.seq);
  }
}

interface EventRow {
  readonly event_id: string;
  readonly received_at: number;
  readonly row_count: number;
  readonly mapped_bytes: number;
  readonly pending: string;
  readonly pending_rows: number;
  readonly shared: string;
  readonly own: string;
}

/** Walks an index, which alone passes over what is held. */
export const CANDIDATES_SQL = `
  SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 ORDER BY received_at, seq`;

export function createClaim(db: DatabaseSync, claims: Claims): (request: ClaimRequest) => ClaimedRows[] {
  const candidates = db.prepare(CANDIDATES_SQL);
  candidates.setReturnArrays(true);
  const findOnly = db.prepare('SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 AND event_id = ?');
  findOnly.setReturnArrays(true);
  const read = db.prepare(
    `SELECT event_id, received_at, row_count, mapped_bytes, pending, pending_rows, shared, own
     FROM events JOIN bodies USING (seq) WHERE seq = ?`,
  );

  function choose({ kind, maxEvents, maxBytes, except, only }: ClaimRequest) {
    const passedOver = new Set(except);
    const found =
      only === null
        ? eachRow<readonly [number]>(candidates, kind)
        : eachRow<readonly [number]>(findOnly, kind, only.eventId);
    const chosen: { readonly seq: number; readonly rows: Omit<ClaimedRows, 'token'> }[] = [];
    let bytes = 0;
    for (const [seq] of found) {
      if (claims.isHeld(seq)) continue;
      const event = getRow<EventRow>(read, seq);
      if (event === undefined) throw new Error(`The rows of event ${seq} are missing from the outbox`);
      if (passedOver.has(event.event_id)) continue;
      const pending = rangesFrom(parseRanges(event.pending), only?.fromRow ?? 0);
      const taken = takeRows(event, pending, { maxBytes: maxBytes - bytes, atLeastOne: chosen.length === 0 });
      if (taken.rows.length === 0) break;
      bytes += taken.bytes;
      chosen.push({ seq, rows: { eventId: event.event_id, receivedAt: event.received_at, ...taken } });
      // What is left of an event is older than the events after it.
      const isPart = countRows(taken.ranges) < countRows(pending);
      if (isPart || chosen.length >= maxEvents || bytes >= maxBytes) break;
    }
    return chosen;
  }

  // All are read before any is taken: a page that cannot be read must not leave claims that nobody knows of.
  return (request) =>
    choose(request).map(({ seq, rows }) => ({
      ...rows,
      token: claims.take({ eventId: rows.eventId, seq, rows: rows.ranges }),
    }));
}
