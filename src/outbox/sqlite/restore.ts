import type { DatabaseSync } from 'node:sqlite';
import { countRows } from '../ranges.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import type { CallResult } from './transaction.ts';
import type { Usage } from './usage.ts';

type Salvaged<Type extends SalvagedRecord['type']> = Extract<SalvagedRecord, { type: Type }>;

/** The statements that store what was salvaged. Who is known here already is a duplicate and stays as it is. */
export function createRestore(
  db: DatabaseSync,
  usage: Usage,
  maxBytes: number,
): (records: readonly SalvagedRecord[]) => CallResult<RestoreOutcome> {
  const addIdentity = db.prepare(
    'INSERT OR IGNORE INTO identities (event_id, stored_at, delivered_at) VALUES (?, ?, ?)',
  );
  const addEvent = db.prepare(
    `INSERT INTO events (event_id, kind, received_at, body_form, feed, row_count, mapped_bytes, pending,
       pending_rows, dead_rows, body_bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addBody = db.prepare('INSERT INTO event_bodies (seq, body) VALUES (?, ?)');
  const addLetter = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const addQuarantined = db.prepare(
    `INSERT OR IGNORE INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, code, reason, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );

  function restoreEvent({ entry, storedAt, pending, deadLetters }: Salvaged<'event'>): boolean {
    if (addIdentity.run(entry.eventId, storedAt, null).changes === 0) return false;
    const { lastInsertRowid: seq } = addEvent.run(
      entry.eventId,
      entry.kind,
      entry.meta.receivedAt,
      entry.meta.bodyForm,
      entry.meta.feed,
      entry.rowCount,
      entry.mappedBytes,
      JSON.stringify(pending),
      countRows(pending),
      deadLetters.reduce((sum, { rows }) => sum + countRows(rows), 0),
      Buffer.byteLength(entry.body),
    );
    addBody.run(seq, entry.body);
    for (const { rows, code, reason, buriedAt } of deadLetters) {
      addLetter.run(seq, JSON.stringify(rows), code, reason, buriedAt);
    }
    return true;
  }

  function restoreQuarantined({ entry, storedAt }: Salvaged<'quarantine'>): boolean {
    const { quarantineId, receivedAt, feed, kind, code, reason, body } = entry;
    return addQuarantined.run(quarantineId, storedAt, receivedAt, feed, kind, code, reason, body).changes !== 0;
  }

  function restoreOne(record: SalvagedRecord): boolean {
    switch (record.type) {
      case 'event':
        return restoreEvent(record);
      case 'quarantine':
        return restoreQuarantined(record);
      case 'identity':
        return addIdentity.run(record.eventId, record.storedAt, record.deliveredAt).changes !== 0;
    }
  }

  return (records) => {
    const isNew = records.map(restoreOne);
    if (isNew.includes(true) && usage.usedBytes() > maxBytes) return { keep: false, value: { outcome: 'full' } };
    return { keep: true, value: { outcome: 'stored', isNew } };
  };
}
