import type { DatabaseSync } from 'node:sqlite';
import type { Put } from '../engine.ts';
import type { StoredEntry } from '../port.ts';
import type { StoredRecord } from '../records.ts';
import { columnsOf, formatRanges } from '../rows.ts';
import { getRow } from './sql.ts';

/** Stores a put, in the transaction that is open. */
export function createWriter(db: DatabaseSync): (put: Put) => readonly StoredEntry[] {
  const addEvent = db.prepare(
    `INSERT INTO events (event_id, kind, stored_at, received_at, delivered_at, feed, row_count, mapped_bytes, body_bytes,
       pending, pending_rows, dead_rows)
     VALUES (:eventId, :kind, :storedAt, :receivedAt, :deliveredAt, :feed, :rowCount, :mappedBytes, :bodyBytes,
       :pending, :pendingRows, :deadRows) ON CONFLICT (event_id) DO NOTHING`,
  );
  const addBody = db.prepare('INSERT INTO bodies (seq, kind, shared, own) VALUES (?, ?, ?, ?)');
  const addLetter = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const addQuarantined = db.prepare(
    `INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
     VALUES (:quarantineId, :storedAt, :receivedAt, :feed, :kind, :charset, :code, :reason, :body)
     ON CONFLICT (quarantine_id) DO NOTHING`,
  );
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');
  const findEvent = db.prepare('SELECT stored_at AS storedAt FROM events WHERE event_id = ?');
  const findQuarantined = db.prepare('SELECT stored_at AS storedAt FROM quarantine WHERE quarantine_id = ?');

  /** Whether the record is new. */
  function add(record: StoredRecord): boolean {
    if (record.type === 'quarantine') {
      const { type: _, ...columns } = record;
      return addQuarantined.run(columns).changes !== 0;
    }
    const { shared, own, ...columns } = columnsOf(record);
    const { changes, lastInsertRowid: seq } = addEvent.run(columns);
    if (changes === 0 || record.type === 'identity') return changes !== 0;
    addBody.run(seq, record.kind, shared, own);
    for (const { rows, code, reason, buriedAt } of record.deadLetters) {
      addLetter.run(seq, formatRanges(rows), code, reason, buriedAt);
    }
    return true;
  }

  function store(record: StoredRecord): StoredEntry {
    const [id, find] =
      record.type === 'quarantine' ? [record.quarantineId, findQuarantined] : [record.eventId, findEvent];
    const isNew = add(record);
    const { storedAt } = (isNew ? null : getRow<{ storedAt: number }>(find, id)) ?? record;
    return { id, duplicate: !isNew, firstStoredAt: storedAt };
  }

  return ({ records, resolves }) =>
    resolves !== null && removeQuarantined.run(resolves).changes === 0 ? [] : records.map(store);
}
