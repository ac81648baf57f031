import type { DatabaseSync } from 'node:sqlite';
import type { OutboxEntry, QuarantineEntry } from '../../ground/event.ts';
import type { Put } from '../engine.ts';
import type { StoredEntry } from '../port.ts';
import type { MovedRecord } from '../records.ts';
import { countRows, formatOwn, formatRanges } from '../rows.ts';
import { getRow } from './sql.ts';

/** Stores puts and records. Both must be done in a transaction. */
export function createWriter(db: DatabaseSync) {
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
  const findEvent = db.prepare('SELECT stored_at AS storedAt FROM events WHERE event_id = ?');
  const findQuarantined = db.prepare('SELECT stored_at AS storedAt FROM quarantine WHERE quarantine_id = ?');

  function putEvent({ entry, storedAt, pending, deadLetters }: Extract<MovedRecord, { type: 'event' }>): boolean {
    const { eventId, kind, receivedAt, feed, mappedBytes, rows } = entry;
    const own = formatOwn(rows);
    const { changes, lastInsertRowid: seq } = addEvent.run(
      eventId,
      kind,
      storedAt,
      receivedAt,
      null,
      feed,
      rows.own.length,
      mappedBytes,
      Buffer.byteLength(rows.shared) + Buffer.byteLength(own),
      formatRanges(pending),
      countRows(pending),
      deadLetters.reduce((sum, letter) => sum + countRows(letter.rows), 0),
    );
    if (changes === 0) return false;
    addBody.run(seq, kind, rows.shared, own);
    for (const { rows: dead, code, reason, buriedAt } of deadLetters) {
      addLetter.run(seq, formatRanges(dead), code, reason, buriedAt);
    }
    return true;
  }

  function putQuarantined(entry: QuarantineEntry, storedAt: number): boolean {
    const { quarantineId, receivedAt, feed, kind, charset, code, reason, body } = entry;
    return (
      addQuarantined.run(quarantineId, storedAt, receivedAt, feed, kind, charset, code, reason, body).changes !== 0
    );
  }

  /** Whether the record is new. */
  function add(record: MovedRecord): boolean {
    switch (record.type) {
      case 'event':
        return putEvent(record);
      case 'quarantine':
        return putQuarantined(record.entry, record.storedAt);
      case 'identity': {
        const { eventId, storedAt, deliveredAt } = record;
        return addEvent.run(eventId, '', storedAt, storedAt, deliveredAt, null, 0, 0, 0, '[]', 0, 0).changes !== 0;
      }
    }
  }

  function putOne(entry: OutboxEntry, now: number): StoredEntry {
    const isEvent = entry.type === 'event';
    const id = isEvent ? entry.eventId : entry.quarantineId;
    const isNew = isEvent
      ? putEvent({ type: 'event', entry, storedAt: now, pending: [[0, entry.rows.own.length]], deadLetters: [] })
      : putQuarantined(entry, now);
    const known = isNew ? null : getRow<{ storedAt: number }>(isEvent ? findEvent : findQuarantined, id);
    return { id, duplicate: !isNew, firstStoredAt: known?.storedAt ?? now };
  }

  function put({ entries, now, resolves }: Put): readonly StoredEntry[] {
    if (resolves !== null && removeQuarantined.run(resolves).changes === 0) return [];
    return entries.map((entry) => putOne(entry, now));
  }

  return { put, add };
}
