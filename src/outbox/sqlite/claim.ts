import type { DatabaseSync } from 'node:sqlite';
import type { ClaimedEvent, ClaimKey, ClaimRequest, EventMeta } from '../port.ts';
import { parseRanges } from '../ranges.ts';
import type { Claims } from './claims.ts';
import { eachRow, getRow } from './sql.ts';

type EventRow = readonly [
  eventId: string,
  receivedAt: number,
  bodyForm: EventMeta['bodyForm'],
  feed: string | null,
  rowCount: number,
  mappedBytes: number,
  pending: string,
  pendingRows: number,
  bodyBytes: number,
];

interface Chosen {
  readonly seq: number;
  readonly bodyBytes: number;
  readonly event: Omit<ClaimedEvent, 'token'>;
}

/** Oldest first; `seq` for those of the same millisecond. Walks an index, which alone passes over what is held. */
export const CANDIDATES_SQL = `
  SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 ORDER BY received_at, seq`;

export const EVENT_SQL = `
  SELECT event_id, received_at, body_form, feed, row_count, mapped_bytes, pending, pending_rows, body_bytes
  FROM events WHERE seq = ?`;

export const BODY_SQL = 'SELECT body FROM event_bodies WHERE seq = ?';

export function createClaim(db: DatabaseSync, claims: Claims): (request: ClaimRequest) => ClaimedEvent[] {
  const candidates = db.prepare(CANDIDATES_SQL);
  const read = db.prepare(EVENT_SQL);
  for (const statement of [candidates, read]) statement.setReturnArrays(true);

  function choose({ kind, maxEvents, maxMappedBytes }: ClaimRequest): Chosen[] {
    const chosen: Chosen[] = [];
    let sum = 0;
    for (const [seq] of eachRow<readonly [number]>(candidates, kind)) {
      if (claims.isHeld(seq)) continue;
      const row = getRow<EventRow>(read, seq);
      if (row === undefined) throw new Error(`Event ${seq} is missing from the outbox`);
      const [eventId, receivedAt, bodyForm, feed, rowCount, mappedBytes, pending, pendingRows, bodyBytes] = row;
      // Only the whole is measured when an event is stored, so rows count as equally large: exact for an untouched event.
      sum += Math.ceil((mappedBytes * pendingRows) / rowCount);
      if (chosen.length > 0 && sum > maxMappedBytes) break;
      const meta = { receivedAt, bodyForm, feed };
      chosen.push({
        seq,
        bodyBytes,
        event: { eventId, kind, meta, rowCount, mappedBytes, pending: parseRanges(pending) },
      });
      if (chosen.length >= maxEvents || sum >= maxMappedBytes) break;
    }
    return chosen;
  }

  // All are read before any is taken: a page that cannot be read must not leave claims that nobody knows of.
  return (request) =>
    choose(request).map(({ seq, bodyBytes, event }) => {
      const { eventId, kind, pending } = event;
      const token = claims.take({ eventId, seq, kind, bodyBytes, rows: pending });
      return { ...event, token };
    });
}

export function createBodies(db: DatabaseSync, claims: Claims): (keys: readonly ClaimKey[]) => (string | null)[] {
  const read = db.prepare(BODY_SQL);
  read.setReturnArrays(true);
  return (keys) =>
    keys.map(({ eventId, token }) => {
      const claim = claims.find(eventId, token);
      if (claim === null) return null;
      const [body] = getRow<readonly [string]>(read, claim.seq) ?? [];
      if (body === undefined) throw new Error(`The body of event ${eventId} is missing from the outbox`);
      return body;
    });
}
