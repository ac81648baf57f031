import type { DatabaseSync } from 'node:sqlite';
import type { EventMeta, RowRange } from '../port.ts';
import { type DeadLetter, endOfIds, type FoundIds, type RecordDetail } from '../records.ts';
import { EVENT_COLUMNS, QUARANTINE_COLUMNS, type SummaryRow, toSummary } from './list.ts';
import { eachRow, getRow, IS_EVENT } from './sql.ts';

interface EventRow extends SummaryRow {
  readonly body_form: EventMeta['bodyForm'];
  readonly pending: string;
  readonly body: string;
}

interface QuarantineRow extends SummaryRow {
  readonly charset: string | null;
  readonly body: Uint8Array;
}

interface LetterRow {
  readonly rows: string;
  readonly code: string;
  readonly reason: string;
  readonly dead_at: number;
}

/** An event first: should a quarantined body have its id, it is shown once the event is gone. */
export function createShow(db: DatabaseSync): (id: string) => RecordDetail | null {
  const findEvent = db.prepare(
    `SELECT ${EVENT_COLUMNS}, body_form, pending, body FROM events JOIN event_bodies USING (seq) WHERE ${IS_EVENT}`,
  );
  const findLetters = db.prepare('SELECT rows, code, reason, dead_at FROM dead_letters WHERE seq = ? ORDER BY id');
  const findQuarantined = db.prepare(
    `SELECT ${QUARANTINE_COLUMNS}, charset, body FROM quarantine WHERE quarantine_id = ?`,
  );

  function lettersOf(seq: number): DeadLetter[] {
    return [...eachRow<LetterRow>(findLetters, seq)].map(({ rows, code, reason, dead_at }) => ({
      rows: JSON.parse(rows) as readonly RowRange[],
      code,
      reason,
      buriedAt: dead_at,
    }));
  }

  return (id) => {
    const event = getRow<EventRow>(findEvent, id);
    if (event !== undefined) {
      const { received_at, body_form, feed } = event;
      return {
        ...toSummary(event),
        type: 'event',
        body: new TextEncoder().encode(event.body),
        meta: { receivedAt: received_at, bodyForm: body_form, feed },
        pending: JSON.parse(event.pending) as readonly RowRange[],
        deadLetters: lettersOf(event.seq),
      };
    }
    const quarantined = getRow<QuarantineRow>(findQuarantined, id);
    if (quarantined === undefined) return null;
    const { body, charset } = quarantined;
    return { ...toSummary(quarantined), type: 'quarantine', body, charset, meta: null, pending: [], deadLetters: [] };
  };
}

/** Searches the indexes of identities and quarantine; events have none by their id. */
export function createFind(db: DatabaseSync): (start: string) => FoundIds {
  const find = db.prepare(
    `SELECT min(id) AS first, count(*) AS count FROM (
       SELECT event_id AS id FROM identities WHERE event_id >= ?1 AND event_id < ?2
         AND EXISTS (SELECT 1 FROM events WHERE events.seq = identities.seq AND events.event_id = identities.event_id)
       UNION SELECT quarantine_id FROM quarantine WHERE quarantine_id >= ?1 AND quarantine_id < ?2)`,
  );
  return (start) => {
    const { first, count } = getRow<FoundIds>(find, start, endOfIds(start)) ?? { first: null, count: 0 };
    return { first, count };
  };
}
