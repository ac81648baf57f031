import type { DatabaseSync } from 'node:sqlite';
import { countRows } from '../ranges.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import type { Seqs } from './seqs.ts';
import { ADD_DELIVERY } from './sql.ts';
import type { Counted, Tally } from './tally.ts';
import type { CallResult } from './transaction.ts';

type Salvaged<Type extends SalvagedRecord['type']> = Extract<SalvagedRecord, { type: Type }>;

/** The statements that store what was salvaged. Who is known here already is a duplicate and stays as it is. */
export function createRestore(
  db: DatabaseSync,
  seqs: Seqs,
  tally: Tally,
): (records: readonly SalvagedRecord[]) => CallResult<RestoreOutcome> {
  const addIdentity = db.prepare('INSERT OR IGNORE INTO identities (event_id, stored_at, seq) VALUES (?, ?, ?)');
  const addDelivery = db.prepare(ADD_DELIVERY);
  const addEvent = db.prepare(
    `INSERT INTO events (seq, event_id, kind, received_at, body_form, feed, row_count, mapped_bytes, pending,
       pending_rows, dead_rows, body_bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addBody = db.prepare('INSERT INTO event_bodies (seq, body) VALUES (?, ?)');
  const addLetter = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const addQuarantined = db.prepare(
    `INSERT OR IGNORE INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );

  function restoreEvent({ entry, storedAt, pending, deadLetters }: Salvaged<'event'>): boolean {
    const seq = seqs.next();
    if (addIdentity.run(entry.eventId, storedAt, seq).changes === 0) return false;
    const counted: Counted = {
      kind: entry.kind,
      pending_rows: countRows(pending),
      dead_rows: deadLetters.reduce((sum, { rows }) => sum + countRows(rows), 0),
      body_bytes: Buffer.byteLength(entry.body),
    };
    addEvent.run(
      seq,
      entry.eventId,
      entry.kind,
      entry.meta.receivedAt,
      entry.meta.bodyForm,
      entry.meta.feed,
      entry.rowCount,
      entry.mappedBytes,
      JSON.stringify(pending),
      counted.pending_rows,
      counted.dead_rows,
      counted.body_bytes,
    );
    addBody.run(seq, entry.body);
    for (const { rows, code, reason, buriedAt } of deadLetters) {
      addLetter.run(seq, JSON.stringify(rows), code, reason, buriedAt);
    }
    seqs.use(seq);
    tally.addEvent(counted);
    return true;
  }

  function restoreQuarantined({ entry, storedAt }: Salvaged<'quarantine'>): boolean {
    const { quarantineId, receivedAt, feed, kind, charset = null, code, reason, body } = entry;
    const { changes } = addQuarantined.run(quarantineId, storedAt, receivedAt, feed, kind, charset, code, reason, body);
    if (changes !== 0) tally.addQuarantined(body.length);
    return changes !== 0;
  }

  function restoreIdentity({ eventId, storedAt, deliveredAt }: Salvaged<'identity'>): boolean {
    if (addIdentity.run(eventId, storedAt, null).changes === 0) return false;
    addDelivery.run(deliveredAt, eventId);
    return true;
  }

  function restoreOne(record: SalvagedRecord): boolean {
    switch (record.type) {
      case 'event':
        return restoreEvent(record);
      case 'quarantine':
        return restoreQuarantined(record);
      case 'identity':
        return restoreIdentity(record);
    }
  }

  return (records) => {
    const isNew = records.map(restoreOne);
    const value: RestoreOutcome = { outcome: 'stored', isNew };
    return isNew.includes(true) ? { value, ifFull: { outcome: 'full' } } : { value };
  };
}
