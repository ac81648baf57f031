import type { Put } from '../engine.ts';
import type { StoredEntry } from '../port.ts';
import type { DeadLetter, StoredRecord } from '../records.ts';
import { columnsOf, formatRanges } from '../rows.ts';
import type { Query } from './database.ts';
import { AgainError } from './errors.ts';

/** Deduplication and enqueue in one statement. `$1`: a JSON array. */
const ADD_EVENTS = `
  WITH given AS MATERIALIZED (
    SELECT nextval('event_numbers') AS seq, g.* FROM json_to_recordset($1::json) AS g ("eventId" text, kind text,
      "storedAt" bigint, "receivedAt" bigint, "deliveredAt" bigint, feed text, "rowCount" integer, "mappedBytes" bigint,
      "bodyBytes" bigint, pending text, "pendingRows" integer, "deadRows" integer, shared text, own text)
  ), new AS (
    INSERT INTO events (seq, event_id, kind, stored_at, received_at, delivered_at, feed, row_count, mapped_bytes,
      body_bytes, pending, pending_rows, dead_rows)
    SELECT seq, "eventId", kind, "storedAt", "receivedAt", "deliveredAt", feed, "rowCount",
      "mappedBytes", "bodyBytes", pending, "pendingRows", "deadRows"
    -- So that two replicas that get the same events wait for each other, and never in a circle.
    FROM given ORDER BY "eventId" COLLATE "C"
    ON CONFLICT (event_id) DO NOTHING RETURNING seq, event_id
  ), stored AS (
    INSERT INTO bodies (seq, shared, own)
    SELECT g.seq, g.shared, g.own FROM given g JOIN new USING (seq) WHERE g.shared IS NOT NULL
  )
  SELECT 'e' || event_id AS key, seq FROM new`;

const ADD_QUARANTINED = `
  INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
  SELECT "quarantineId", "storedAt", "receivedAt", feed, kind, charset, code, reason, decode(body, 'base64')
  FROM json_to_recordset($1::json) AS g ("quarantineId" text, "storedAt" bigint, "receivedAt" bigint, feed text,
    kind text, charset text, code text, reason text, body text)
  ORDER BY "quarantineId" COLLATE "C"
  ON CONFLICT (quarantine_id) DO NOTHING RETURNING 'q' || quarantine_id AS key, seq`;

/** No text of the database holds U+0000; an id, kind or code that does is refused. */
const toText = (text: string | null) => text?.replaceAll('\0', '\ufffd').toWellFormed() ?? null;

/** As ADD_EVENTS or ADD_QUARANTINED takes it. */
function rowOf(record: StoredRecord): object {
  if (record.type === 'quarantine') {
    const { feed, reason, body } = record;
    return { ...record, feed: toText(feed), reason: toText(reason), body: Buffer.from(body).toString('base64') };
  }
  const columns = columnsOf(record);
  return { ...columns, feed: toText(columns.feed) };
}

/** The id after a letter for its table: an event and a quarantined body may have the same id. */
function keyOf(record: StoredRecord): string {
  return record.type === 'quarantine' ? `q${record.quarantineId}` : `e${record.eventId}`;
}

/** Must run in a transaction. What became of each; of two with one id the second is a duplicate. */
async function addRecords(query: Query, records: readonly StoredRecord[]): Promise<StoredEntry[]> {
  const first = new Map<string, StoredRecord>();
  for (const record of records) if (!first.has(keyOf(record))) first.set(keyOf(record), record);
  const seqs = new Map<string, number>();
  for (const [table, sql] of Object.entries({ e: ADD_EVENTS, q: ADD_QUARANTINED })) {
    const rows = [...first].flatMap(([key, record]) => (key.startsWith(table) ? [rowOf(record)] : []));
    if (rows.length === 0) continue;
    const added = await query<{ key: string; seq: number }>(sql, [JSON.stringify(rows)]);
    for (const { key, seq } of added) seqs.set(key, seq);
  }
  const letters = [...first].flatMap(([key, record]) => {
    const seq = seqs.get(key);
    if (record.type !== 'event' || seq === undefined) return [];
    return record.deadLetters.map((letter) => ({ ...letter, seq }));
  });
  await addLetters(query, letters);
  const known = [...first.keys()].filter((key) => !seqs.has(key));
  const knownAt = await findKnown(query, known);
  return records.map((record) => {
    const key = keyOf(record);
    const firstStoredAt = knownAt.get(key) ?? first.get(key)?.storedAt ?? record.storedAt;
    return { id: key.slice(1), duplicate: !seqs.delete(key), firstStoredAt };
  });
}

/** A dead letter with the number of its event. */
export type EventLetter = DeadLetter & { readonly seq: number };

export async function addLetters(query: Query, letters: readonly EventLetter[]): Promise<void> {
  if (letters.length === 0) return;
  const rows = letters.map((each) => ({ ...each, rows: formatRanges(each.rows), reason: toText(each.reason) }));
  await query(
    `INSERT INTO dead_letters (seq, rows, code, reason, dead_at) SELECT seq, rows, code, reason, "buriedAt"
     FROM json_to_recordset($1::json) AS l (seq bigint, rows text, code text, reason text, "buriedAt" bigint)`,
    [JSON.stringify(rows)],
  );
}

/** Must run in a transaction of its own. What became of the records of each put, and which of all are new. */
export async function storePuts(query: Query, puts: readonly Put[]) {
  const toResolve = puts.flatMap(({ resolves }) => resolves ?? []);
  const resolved = await removeQuarantined(query, toResolve);
  const valid = puts.map(({ records, resolves }) => (resolves === null || resolved.delete(resolves) ? records : []));
  const records = valid.flat();
  const entries = await addRecords(query, records);
  const added = records.filter((_, index) => entries[index]?.duplicate === false);
  return { added, stored: valid.map(({ length }) => entries.splice(0, length)) };
}

/** The ids of those that were there. */
export async function removeQuarantined(query: Query, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const removed = await query<{ id: string }>(
    'DELETE FROM quarantine WHERE quarantine_id = ANY ($1::text[]) RETURNING quarantine_id AS id',
    [ids],
  );
  return new Set(removed.map(({ id }) => id));
}

/** When what was known before was stored, by key. */
async function findKnown(query: Query, keys: readonly string[]): Promise<Map<string, number>> {
  if (keys.length === 0) return new Map();
  const rows = await query<{ key: string; at: number }>(
    `SELECT 'e' || event_id AS key, stored_at AS at FROM events WHERE event_id = ANY ($1::text[])
     UNION ALL SELECT 'q' || quarantine_id, stored_at FROM quarantine WHERE quarantine_id = ANY ($1::text[])`,
    [keys.map((key) => key.slice(1))],
  );
  const known = new Map(rows.map(({ key, at }) => [key, at]));
  // One was forgotten or resolved after it was found: it is new now.
  if (keys.some((key) => !known.has(key))) throw new AgainError('what was known is gone');
  return known;
}
