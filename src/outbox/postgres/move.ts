import { escapeIdentifier } from 'pg';
import { CopyError } from '../engine.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_RECORDS } from '../move.ts';
import type { StoredRecord } from '../records.ts';
import type { Database, Query } from './database.ts';
import { isForbidden } from './errors.ts';

/** PostgreSQL cuts longer names. */
const MAX_NAME_BYTES = 63;

type Read = <T>(work: (query: Query) => Promise<T>) => Promise<T>;
/** What follows the record `$1` in the order of `seq`: as many as make a batch, and at least one. */
const batchOf = (type: StoredRecord['type'], columns: string, from: string, bytes: string): string => `
  SELECT seq, '${type}' AS type, stored_at AS "storedAt", ${columns} FROM (
    SELECT *, sum(bytes) OVER (ORDER BY seq) - bytes AS before FROM (
      SELECT *, ${bytes} AS bytes FROM ${from} AND seq > $1 ORDER BY seq LIMIT ${MAX_BATCH_RECORDS}
    ) next
  ) e WHERE before < ${MAX_BATCH_BYTES} ORDER BY seq`;

/** The dead letters of the event `e`, the oldest first. */
const DEAD_LETTERS = `(SELECT coalesce(json_agg(json_build_object(
  'rows', d.rows::json, 'code', d.code, 'reason', d.reason, 'buriedAt', d.dead_at) ORDER BY d.id), '[]')
  FROM dead_letters d WHERE d.seq = e.seq) AS "deadLetters"`;
const EVENTS = batchOf(
  'event',
  `event_id AS "eventId", kind, received_at AS "receivedAt", feed, row_count AS "rowCount",
    mapped_bytes AS "mappedBytes", pending::json, ${DEAD_LETTERS}, shared, own`,
  'events JOIN bodies USING (seq) WHERE delivered_at IS NULL',
  'body_bytes',
);
const QUARANTINED = batchOf(
  'quarantine',
  'quarantine_id AS "quarantineId", received_at AS "receivedAt", feed, kind, charset, code, reason, body',
  'quarantine WHERE true',
  'octet_length(body)',
);
const IDENTITIES = batchOf(
  'identity',
  'event_id AS "eventId", delivered_at AS "deliveredAt"',
  'events WHERE delivered_at IS NOT NULL',
  '0',
);

/** Everything, in transactions of their own. Rejects with a CopyError while a service delivers from it. */
export async function* readRecords(read: Read): AsyncGenerator<StoredRecord> {
  await read(refuseWhileUsed);
  for (const sql of [EVENTS, QUARANTINED, IDENTITIES]) {
    for (let last: number | undefined = 0; last !== undefined; ) {
      const found = await read((query) => query<StoredRecord & { readonly seq: number }>(sql, [last]));
      yield* found.map(({ seq: _, ...record }) => record);
      last = found.at(-1)?.seq;
    }
  }
  await read(refuseWhileUsed);
}

/** What a service delivers meanwhile would be delivered again by the outbox that it is moved to. */
async function refuseWhileUsed(query: Query): Promise<void> {
  const { length } = await query('SELECT FROM replicas WHERE alive_until > clock_timestamp()');
  if (length === 0) return;
  const services = length === 1 ? '1 service uses' : `${length} services use`;
  const message = `${services} the database, or did a minute ago. Nothing was taken away from it`;
  throw new CopyError('migrate_in_use', `${message}: stop them all, wait for a minute, then run this again.`);
}

/** Renames the schema, so that no service delivers again what was copied. `now`: ms since the epoch. Returns the new name. */
export async function setAside(database: Database, now: number): Promise<string> {
  const { schema } = database;
  const ending = `_moved_${new Date(now).toISOString().replace(/[-:.]/g, '').toLowerCase()}`;
  const name = `${schema.slice(0, MAX_NAME_BYTES - ending.length)}${ending}`;
  const rename = `ALTER SCHEMA ${escapeIdentifier(schema)} RENAME TO ${escapeIdentifier(name)}`;
  try {
    await database.transaction('write', async (query) => {
      // A service that starts meanwhile waits here, and finds no tables then.
      await query('LOCK TABLE replicas, events, quarantine IN ACCESS EXCLUSIVE MODE');
      await refuseWhileUsed(query);
      await query(rename);
    });
    return `the schema ${name}`;
  } catch (error) {
    if (!isForbidden(error)) throw error;
    const message = `the user of OUTBOX_URL may not rename the schema ${schema}. As an administrator: ${rename};`;
    throw new CopyError('migrate_not_set_aside', `Everything was copied, but ${message}`, { cause: error });
  }
}
