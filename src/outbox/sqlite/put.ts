import type { DatabaseSync } from 'node:sqlite';
import type { EventEntry, PutOutcome, QuarantineEntry, StoredEntry } from '../port.ts';
import type { PutArgs } from './protocol.ts';
import { getRow } from './sql.ts';
import type { CallResult } from './transaction.ts';
import type { Usage } from './usage.ts';

/** The statements of one put, to be run inside of a group. */
export function createPut(db: DatabaseSync, usage: Usage, maxBytes: number): (call: PutArgs) => CallResult<PutOutcome> {
  const findIdentity = db.prepare('SELECT stored_at FROM identities WHERE event_id = ?');
  const addIdentity = db.prepare('INSERT OR IGNORE INTO identities (event_id, stored_at) VALUES (?, ?)');
  const addEvent = db.prepare(
    `INSERT INTO events (event_id, kind, received_at, body_form, feed, row_count, mapped_bytes, pending,
       pending_rows, body_bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addBody = db.prepare('INSERT INTO event_bodies (seq, body) VALUES (?, ?)');
  const findQuarantined = db.prepare('SELECT stored_at FROM quarantine WHERE quarantine_id = ?');
  const addQuarantined = db.prepare(
    `INSERT OR IGNORE INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, code, reason, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');

  function putEvent(entry: EventEntry, now: number): boolean {
    if (addIdentity.run(entry.eventId, now).changes === 0) return false;
    const { receivedAt, bodyForm, feed } = entry.meta;
    const pending = JSON.stringify([[0, entry.rowCount]]);
    const { lastInsertRowid } = addEvent.run(
      entry.eventId,
      entry.kind,
      receivedAt,
      bodyForm,
      feed,
      entry.rowCount,
      entry.mappedBytes,
      pending,
      entry.rowCount,
      Buffer.byteLength(entry.body),
    );
    addBody.run(lastInsertRowid, entry.body);
    return true;
  }

  function putQuarantined(entry: QuarantineEntry, now: number): boolean {
    const { quarantineId, receivedAt, feed, kind, code, reason, body } = entry;
    return addQuarantined.run(quarantineId, now, receivedAt, feed, kind, code, reason, body).changes !== 0;
  }

  return ({ entries, now, resolves }) => {
    if (resolves !== null && removeQuarantined.run(resolves).changes === 0) {
      return { keep: true, value: { outcome: 'stored', entries: [] } };
    }
    let stored = 0;
    const results: StoredEntry[] = [];
    for (const entry of entries) {
      const isEvent = entry.type === 'event';
      const id = isEvent ? entry.eventId : entry.quarantineId;
      const isNew = isEvent ? putEvent(entry, now) : putQuarantined(entry, now);
      if (isNew) stored++;
      const known = isNew ? undefined : getRow<{ stored_at: number }>(isEvent ? findIdentity : findQuarantined, id);
      results.push({ id, duplicate: !isNew, firstStoredAt: known?.stored_at ?? now });
    }
    // Only what is new needs room: a duplicate is answered even when the outbox is full.
    if (stored > 0 && usage.usedBytes() > maxBytes) return { keep: false, value: { outcome: 'full' } };
    return { keep: true, value: { outcome: 'stored', entries: results } };
  };
}
