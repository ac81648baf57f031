import type { DatabaseSync } from 'node:sqlite';
import type { EventEntry, QuarantineEntry } from '../../ground/event.ts';
import type { Put } from '../engine.ts';
import type { StoredEntry } from '../port.ts';
import { countRows, formatRanges } from '../ranges.ts';
import type { MovedRecord } from '../records.ts';
import { formatOwn } from '../rows.ts';
import { getRow } from './sql.ts';

/** What an event begins with, or has kept in another outbox. */
interface EventState {
  readonly storedAt: number;
  readonly pending: readonly (readonly [number, number])[];
  readonly deadLetters: Extract<MovedRecord, { type: 'event' }>['deadLetters'];
}

export interface Writer {
  /** Must run in a transaction. Whether anything new was stored, and what to say of each entry. */
  put(put: Put): { readonly isNew: boolean; readonly entries: readonly StoredEntry[] };
  /** Must run in a transaction. Whether the record is new. */
  add(record: MovedRecord): boolean;
}

export function createWriter(db: DatabaseSync): Writer {
  const addEvent = db.prepare(
    `INSERT INTO events (event_id, kind, stored_at, received_at, delivered_at, feed, row_count, mapped_bytes, body_bytes,
       pending, pending_rows, dead_rows)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING`,
  );
  const addBody = db.prepare('INSERT INTO bodies (seq, kind, shared, own) VALUES (?, ?, ?, ?)');
  const addLetter = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const addQuarantined = db.prepare(
    `INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (quarantine_id) DO NOTHING`,
  );
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');
  const findEvent = db.prepare('SELECT stored_at FROM events WHERE event_id = ?');
  const findQuarantined = db.prepare('SELECT stored_at FROM quarantine WHERE quarantine_id = ?');

  function putEvent(entry: EventEntry, { storedAt, pending, deadLetters }: EventState): boolean {
    const { eventId, kind, receivedAt, feed, mappedBytes } = entry;
    const { shared } = entry.rows;
    const own = formatOwn(entry.rows);
    const { changes, lastInsertRowid: seq } = addEvent.run(
      eventId,
      kind,
      storedAt,
      receivedAt,
      null,
      feed,
      entry.rows.own.length,
      mappedBytes,
      Buffer.byteLength(shared) + Buffer.byteLength(own),
      formatRanges(pending),
      countRows(pending),
      deadLetters.reduce((sum, { rows }) => sum + countRows(rows), 0),
    );
    if (changes === 0) return false;
    addBody.run(seq, kind, shared, own);
    for (const { rows, code, reason, buriedAt } of deadLetters) {
      addLetter.run(seq, formatRanges(rows), code, reason, buriedAt);
    }
    return true;
  }

  function putQuarantined(entry: QuarantineEntry, storedAt: number): boolean {
    const { quarantineId, receivedAt, feed, kind, charset, code, reason, body } = entry;
    return (
      addQuarantined.run(quarantineId, storedAt, receivedAt, feed, kind, charset, code, reason, body).changes !== 0
    );
  }

  return {
    put({ entries, now, resolves }) {
      if (resolves !== null && removeQuarantined.run(resolves).changes === 0) return { isNew: false, entries: [] };
      let isNew = false;
      const stored = entries.map((entry): StoredEntry => {
        const isEvent = entry.type === 'event';
        const id = isEvent ? entry.eventId : entry.quarantineId;
        const added = isEvent
          ? putEvent(entry, { storedAt: now, pending: [[0, entry.rows.own.length]], deadLetters: [] })
          : putQuarantined(entry, now);
        if (added) {
          isNew = true;
          return { id, duplicate: false, firstStoredAt: now };
        }
        const known = getRow<{ stored_at: number }>(isEvent ? findEvent : findQuarantined, id);
        return { id, duplicate: true, firstStoredAt: known?.stored_at ?? now };
      });
      return { isNew, entries: stored };
    },
    add(record) {
      switch (record.type) {
        case 'event':
          return putEvent(record.entry, record);
        case 'quarantine':
          return putQuarantined(record.entry, record.storedAt);
        case 'identity': {
          const { eventId, storedAt, deliveredAt } = record;
          return addEvent.run(eventId, '', storedAt, storedAt, deliveredAt, null, 0, 0, 0, '[]', 0, 0).changes !== 0;
        }
      }
    },
  };
}
