import { countRows } from '../ranges.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import type { Database, Session } from './database.ts';
import { FullError } from './put.ts';
import { Tally } from './tally.ts';
import { readUsage, type Usage } from './usage.ts';
import type { Waker } from './wake.ts';

type Salvaged<Type extends SalvagedRecord['type']> = Extract<SalvagedRecord, { type: Type }>;

export interface RestoreParts {
  readonly usage: Usage;
  readonly maxBytes: number;
  readonly waker: Waker;
}

/** Stores records of another outbox, in one transaction. Who is known here already stays as it is. */
export async function restoreRecords(
  database: Database,
  records: readonly SalvagedRecord[],
  { usage, maxBytes, waker }: RestoreParts,
): Promise<RestoreOutcome> {
  try {
    const isNew = await database.transaction('put', async (session) => {
      const tally = new Tally();
      const kinds = new Map<string, number>();
      const done: boolean[] = [];
      for (const record of records) {
        const added = await restoreOne(session, record, tally);
        if (added && record.type === 'event') kinds.set(record.entry.kind, record.entry.mappedBytes);
        done.push(added);
      }
      await tally.write(session);
      if (done.includes(true) && (await readUsage(session, usage)) > maxBytes) throw new FullError();
      await waker.tell(session, kinds);
      return done;
    });
    return { outcome: 'stored', isNew };
  } catch (error) {
    if (error instanceof FullError) return { outcome: 'full' };
    throw error;
  }
}

function restoreOne(session: Session, record: SalvagedRecord, tally: Tally): Promise<boolean> {
  switch (record.type) {
    case 'event':
      return restoreEvent(session, record, tally);
    case 'quarantine':
      return restoreQuarantined(session, record, tally);
    case 'identity':
      return addIdentity(session, record, tally);
  }
}

async function addIdentity(
  session: Session,
  { eventId, storedAt, deliveredAt }: { eventId: string; storedAt: number; deliveredAt: number | null },
  tally: Tally,
): Promise<boolean> {
  const added = await session.run(
    `INSERT INTO identities (event_id, stored_at, delivered_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [eventId, storedAt, deliveredAt],
  );
  if (added > 0) tally.add('identity', '', 1, 0);
  return added > 0;
}

async function restoreEvent(
  session: Session,
  { entry, storedAt, pending, deadLetters }: Salvaged<'event'>,
  tally: Tally,
): Promise<boolean> {
  const { eventId, kind, rowCount, mappedBytes, meta } = entry;
  if (!(await addIdentity(session, { eventId, storedAt, deliveredAt: null }, tally))) return false;
  const body = Buffer.from(entry.body);
  const pendingRows = countRows(pending);
  const deadRows = deadLetters.reduce((sum, { rows }) => sum + countRows(rows), 0);
  const [added] = await session.query<{ seq: number }>(
    `INSERT INTO events (event_id, kind, received_at, body_form, feed, row_count, mapped_bytes, pending, pending_rows,
       dead_rows, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq`,
    [
      eventId,
      kind,
      meta.receivedAt,
      meta.bodyForm,
      meta.feed === null ? null : Buffer.from(meta.feed),
      rowCount,
      mappedBytes,
      JSON.stringify(pending),
      pendingRows,
      deadRows,
      body,
    ],
  );
  for (const { rows, code, reason, buriedAt } of deadLetters) {
    await session.run('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES ($1, $2, $3, $4, $5)', [
      added?.seq,
      JSON.stringify(rows),
      code,
      Buffer.from(reason),
      buriedAt,
    ]);
  }
  tally.event(null, { kind, pendingRows, deadRows, bodyBytes: body.length });
  return true;
}

async function restoreQuarantined(
  session: Session,
  { entry, storedAt }: Salvaged<'quarantine'>,
  tally: Tally,
): Promise<boolean> {
  const { quarantineId, receivedAt, feed, kind, charset = null, code, reason, body } = entry;
  const added = await session.run(
    `INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, code, reason, body, kind, charset)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
    [
      quarantineId,
      storedAt,
      receivedAt,
      feed === null ? null : Buffer.from(feed),
      code,
      Buffer.from(reason),
      Buffer.from(body),
      kind,
      charset,
    ],
  );
  if (added > 0) tally.add('quarantined', '', 1, body.length);
  return added > 0;
}
