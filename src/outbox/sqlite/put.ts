import type { DatabaseSync } from 'node:sqlite';
import type { EventEntry, PutOutcome, QuarantineEntry, StoredEntry } from '../port.ts';
import type { PutArgs } from './protocol.ts';
import { createRemoveQuarantined } from './remove-quarantined.ts';
import type { Seqs } from './seqs.ts';
import { getRow } from './sql.ts';
import type { Tally } from './tally.ts';
import type { CallResult } from './transaction.ts';

/** The statements of one put, to be run inside of a group. */
export function createPut(db: DatabaseSync, seqs: Seqs, tally: Tally): (call: PutArgs) => CallResult<PutOutcome> {
  const findIdentity = db.prepare('SELECT stored_at FROM identities WHERE event_id = ?');
  const addIdentity = db.prepare('INSERT OR IGNORE INTO identities (event_id, stored_at, seq) VALUES (?, ?, ?)');
  const addEvent = db.prepare(
    `INSERT INTO events (seq, event_id, kind, received_at, body_form, feed, row_count, mapped_bytes, pending,
       pending_rows, dead_rows, body_bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
  );
  const addBody = db.prepare('INSERT INTO event_bodies (seq, body) VALUES (?, ?)');
  const findQuarantined = db.prepare('SELECT stored_at FROM quarantine WHERE quarantine_id = ?');
  const addQuarantined = db.prepare(
    `INSERT OR IGNORE INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const removeQuarantined = createRemoveQuarantined(db, tally);

  function putEvent(entry: EventEntry, now: number): boolean {
    const seq = seqs.next();
    if (addIdentity.run(entry.eventId, now, seq).changes === 0) return false;
    const { eventId, kind, body, rowCount, mappedBytes } = entry;
    const { receivedAt, bodyForm, feed } = entry.meta;
    const bytes = Buffer.byteLength(body);
    const pending = `[[0,${rowCount}]]`;
    addEvent.run(seq, eventId, kind, receivedAt, bodyForm, feed, rowCount, mappedBytes, pending, rowCount, bytes);
    addBody.run(seq, body);
    seqs.use(seq);
    tally.addEvent({ kind, body_bytes: bytes, pending_rows: rowCount, dead_rows: 0 });
    return true;
  }

  function putQuarantined(entry: QuarantineEntry, now: number): boolean {
    const { quarantineId, receivedAt, feed, kind, charset = null, code, reason, body } = entry;
    const { changes } = addQuarantined.run(quarantineId, now, receivedAt, feed, kind, charset, code, reason, body);
    if (changes === 0) return false;
    tally.addQuarantined(body.length);
    return true;
  }

  return ({ entries, now, resolves }) => {
    if (resolves !== null && !removeQuarantined(resolves)) return { value: { outcome: 'stored', entries: [] } };
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
    const value: PutOutcome = { outcome: 'stored', entries: results };
    // Only what is new needs room: a duplicate is answered even when the outbox is full.
    return stored > 0 ? { value, ifFull: { outcome: 'full' } } : { value };
  };
}
