import type { DatabaseSync } from 'node:sqlite';
import type { ClaimedEvent, ClaimRequest, EventMeta, RowRange } from '../port.ts';
import type { Claims } from './claims.ts';
import { eachRow, getRow } from './sql.ts';

interface Candidate {
  readonly seq: number;
  readonly event_id: string;
  readonly row_count: number;
  readonly mapped_bytes: number;
  readonly pending_rows: number;
}

interface EventRow {
  readonly received_at: number;
  readonly body_form: EventMeta['bodyForm'];
  readonly feed: string | null;
  readonly pending: string;
  readonly body: string;
}

/** Oldest first; `seq` for those of the same millisecond. Walks an index and stops as soon as it has enough. */
export const CANDIDATES_SQL = `
  SELECT seq, event_id, row_count, mapped_bytes, pending_rows FROM events
  WHERE kind = ? AND pending_rows > 0 ORDER BY received_at, seq`;

/** Only the whole is measured when an event is stored, so rows count as equally large: exact for an untouched event. */
function pendingBytes(event: Candidate): number {
  return Math.ceil((event.mapped_bytes * event.pending_rows) / event.row_count);
}

export function createClaim(db: DatabaseSync, claims: Claims): (request: ClaimRequest) => ClaimedEvent[] {
  const candidates = db.prepare(CANDIDATES_SQL);
  const read = db.prepare(
    `SELECT received_at, body_form, feed, pending, body FROM events JOIN event_bodies USING (seq) WHERE seq = ?`,
  );

  function choose({ kind, maxEvents, maxMappedBytes }: ClaimRequest): Candidate[] {
    const chosen: Candidate[] = [];
    let bytes = 0;
    for (const event of eachRow<Candidate>(candidates, kind)) {
      if (claims.isHeld(event.event_id)) continue;
      bytes += pendingBytes(event);
      if (chosen.length > 0 && bytes > maxMappedBytes) break;
      chosen.push(event);
      if (chosen.length >= maxEvents || bytes >= maxMappedBytes) break;
    }
    return chosen;
  }

  return (request) => {
    // All are read before any is taken: a page that cannot be read must not leave claims that nobody knows of.
    const found = choose(request).map((event) => {
      const row = getRow<EventRow>(read, event.seq);
      if (row === undefined) throw new Error(`The body of event ${event.event_id} is missing from the outbox`);
      return { event, row };
    });
    return found.map(({ event, row }) => {
      const pending = JSON.parse(row.pending) as readonly RowRange[];
      return {
        eventId: event.event_id,
        kind: request.kind,
        token: claims.take(event.event_id, pending),
        body: row.body,
        meta: { receivedAt: row.received_at, bodyForm: row.body_form, feed: row.feed },
        rowCount: event.row_count,
        mappedBytes: event.mapped_bytes,
        pending,
      };
    });
  };
}
