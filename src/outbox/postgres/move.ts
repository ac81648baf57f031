import { escapeIdentifier } from 'pg';
import type { EventEntry, QuarantineEntry } from '../../ground/event.ts';
import { MoveError } from '../move.ts';
import { parseRanges } from '../ranges.ts';
import type { MovedRecord } from '../records.ts';
import { parseRows, type StoredRows } from '../rows.ts';
import type { Database, Session } from './database.ts';
import { sqlState } from './errors.ts';
import { lettersOf } from './records.ts';

const MAX_BATCH_RECORDS = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** PostgreSQL cuts longer names. */
const MAX_NAME_BYTES = 63;

type Read = <T>(work: (session: Session) => Promise<T>) => Promise<T>;
type Stored<Entry> = Omit<Entry, 'type'> & { readonly seq: number; readonly storedAt: number };
type EventRow = Stored<Omit<EventEntry, 'rows'>> & StoredRows & { readonly pending: string };
type IdentityRow = Omit<Extract<MovedRecord, { type: 'identity' }>, 'type'> & { readonly seq: number };

/** What follows the record `$1` in the order of `seq`: as many as make a batch, and at least one. */
const batchOf = (columns: string, from: string, bytes: string): string => `
  SELECT ${columns} FROM (
    SELECT *, sum(bytes) OVER (ORDER BY seq) - bytes AS before FROM (
      SELECT *, ${bytes} AS bytes FROM ${from} AND seq > $1 ORDER BY seq LIMIT ${MAX_BATCH_RECORDS}
    ) next
  ) summed WHERE before < ${MAX_BATCH_BYTES} ORDER BY seq`;

const EVENTS = batchOf(
  `seq, event_id AS "eventId", kind, stored_at AS "storedAt", received_at AS "receivedAt", feed,
    mapped_bytes AS "mappedBytes", pending, shared, own`,
  'events JOIN bodies USING (seq) WHERE delivered_at IS NULL',
  'body_bytes',
);
const QUARANTINED = batchOf(
  `seq, quarantine_id AS "quarantineId", stored_at AS "storedAt", received_at AS "receivedAt", feed, kind, charset, code,
    reason, body`,
  'quarantine WHERE true',
  'octet_length(body)',
);
const IDENTITIES = batchOf(
  'seq, event_id AS "eventId", stored_at AS "storedAt", delivered_at AS "deliveredAt"',
  'events WHERE delivered_at IS NOT NULL',
  '0',
);

/** Everything, in transactions of their own. Rejects with a MoveError while a service delivers from it. */
export async function* readRecords(read: Read): AsyncGenerator<readonly MovedRecord[]> {
  await read(refuseWhileUsed);
  yield* inBatches(read, EVENTS, async (rows: readonly EventRow[], session) => {
    const seqs = rows.map(({ seq }) => seq);
    const letters = await lettersOf(session, seqs);
    return rows.map(({ seq, storedAt, pending, shared, own, ...entry }) => ({
      type: 'event',
      entry: { type: 'event', ...entry, rows: parseRows({ shared, own }) },
      storedAt,
      pending: parseRanges(pending),
      deadLetters: letters.get(seq) ?? [],
    }));
  });
  yield* inBatches(read, QUARANTINED, async (rows: readonly Stored<QuarantineEntry>[]) =>
    rows.map(({ seq: _, storedAt, body, ...entry }) => ({
      type: 'quarantine',
      entry: { type: 'quarantine', ...entry, body: new Uint8Array(body) },
      storedAt,
    })),
  );
  yield* inBatches(read, IDENTITIES, async (rows: readonly IdentityRow[]) =>
    rows.map(({ seq: _, ...identity }) => ({ type: 'identity', ...identity })),
  );
  await read(refuseWhileUsed);
}

async function* inBatches<Row extends { readonly seq: number }>(
  read: Read,
  sql: string,
  toRecords: (rows: readonly Row[], session: Session) => Promise<MovedRecord[]>,
): AsyncGenerator<readonly MovedRecord[]> {
  for (let after = 0; ; ) {
    const { last, records } = await read(async (session) => {
      const rows = await session.query<Row>(sql, [after]);
      return { last: rows.at(-1), records: await toRecords(rows, session) };
    });
    if (last === undefined) return;
    yield records;
    after = last.seq;
  }
}

/** What a service delivers meanwhile would be delivered again by the outbox that it is moved to. */
async function refuseWhileUsed(session: Session): Promise<void> {
  const [found] = await session.query<{ alive: number }>(
    'SELECT count(*) AS alive FROM replicas WHERE alive_until > clock_timestamp()',
  );
  if (found === undefined || found.alive === 0) return;
  const message = `${found.alive} services use the database, or did a minute ago. Nothing was taken away from it`;
  throw new MoveError('migrate_in_use', `${message}: stop them all, wait for a minute, then run this again.`);
}

/** Renames the schema, so that no service delivers again what was copied. `now`: ms since the epoch. Returns the new name. */
export async function setAside(database: Database, schema: string, now: number): Promise<string> {
  const ending = `_moved_${new Date(now).toISOString().replace(/[-:.]/g, '').toLowerCase()}`;
  const name = `${schema.slice(0, MAX_NAME_BYTES - ending.length)}${ending}`;
  const rename = `ALTER SCHEMA ${escapeIdentifier(schema)} RENAME TO ${escapeIdentifier(name)}`;
  try {
    await database.transaction('write', async (session) => {
      // A service that starts meanwhile waits here, and finds no tables then.
      await session.run('LOCK TABLE replicas, events, quarantine IN ACCESS EXCLUSIVE MODE');
      await refuseWhileUsed(session);
      await session.run(rename);
    });
    return `the schema ${name}`;
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    const message = `the user of OUTBOX_URL may not rename the schema ${schema}. As an administrator: ${rename};`;
    throw new MoveError('migrate_not_set_aside', `Everything was copied, but ${message}`, { cause: error });
  }
}
