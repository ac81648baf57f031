import type { DatabaseSync } from 'node:sqlite';
import type { ClaimedEvent, ClaimRequest, EventMeta } from '../port.ts';
import { parseRanges } from '../ranges.ts';
import type { Claims } from './claims.ts';
import { eachRow, getRow } from './sql.ts';

interface EventRow {
  readonly seq: number;
  readonly event_id: string;
  readonly received_at: number;
  readonly body_form: EventMeta['bodyForm'];
  readonly feed: string | null;
  readonly row_count: number;
  readonly mapped_bytes: number;
  readonly pending: string;
  readonly pending_rows: number;
  readonly body_bytes: number;
  readonly body: string;
}

/**
 * Oldest first; `seq` for those of the same millisecond. Walks an index, which alone tells of an event that is held, and
 * stops as soon as it has enough.
 */
export const CANDIDATES_SQL = `
  SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 ORDER BY received_at, seq`;

/** Only the whole is measured when an event is stored, so rows count as equally large: exact for an untouched event. */
function pendingBytes(event: EventRow): number {
  return Math.ceil((event.mapped_bytes * event.pending_rows) / event.row_count);
}

export function createClaim(db: DatabaseSync, claims: Claims): (request: ClaimRequest) => ClaimedEvent[] {
  const candidates = db.prepare(CANDIDATES_SQL);
  const read = db.prepare(
    `SELECT seq, event_id, received_at, body_form, feed, row_count, mapped_bytes, pending, pending_rows, body_bytes, body
     FROM events JOIN event_bodies USING (seq) WHERE seq = ?`,
  );

  function choose({ kind, maxEvents, maxMappedBytes }: ClaimRequest): EventRow[] {
    const chosen: EventRow[] = [];
    let bytes = 0;
    for (const { seq } of eachRow<{ seq: number }>(candidates, kind)) {
      if (claims.isHeld(seq)) continue;
      const event = getRow<EventRow>(read, seq);
      if (event === undefined) throw new Error(`Event ${seq} of the outbox, or its body, is missing`);
      bytes += pendingBytes(event);
      if (chosen.length > 0 && bytes > maxMappedBytes) break;
      chosen.push(event);
      if (chosen.length >= maxEvents || bytes >= maxMappedBytes) break;
    }
    return chosen;
  }

  return (request) => {
    // All are read before any is taken: a page that cannot be read must not leave claims that nobody knows of.
    return choose(request).map((event) => {
      const { seq, event_id: eventId, body_bytes: bodyBytes } = event;
      const { kind } = request;
      const pending = parseRanges(event.pending);
      return {
        eventId,
        kind,
        token: claims.take({ eventId, seq, kind, bodyBytes, rows: pending }),
        body: event.body,
        meta: { receivedAt: event.received_at, bodyForm: event.body_form, feed: event.feed },
        rowCount: event.row_count,
        mappedBytes: event.mapped_bytes,
        pending,
      };
    });
  };
}
