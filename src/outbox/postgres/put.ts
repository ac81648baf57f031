import type { EventEntry, OutboxEntry, QuarantineEntry } from '../../ground/event.ts';
import { CallError, type Put } from '../engine.ts';
import type { StoredEntry } from '../port.ts';
import { countRows, formatRanges } from '../ranges.ts';
import type { DeadLetter, MovedRecord } from '../records.ts';
import { formatOwn } from '../rows.ts';
import type { Session } from './database.ts';
import { AgainError } from './errors.ts';

/** Deduplication and enqueue in one statement. `$1`: a JSON array. */
const ADD_EVENTS = `
  WITH given AS MATERIALIZED (
    SELECT nextval('event_numbers') AS seq, g.* FROM json_to_recordset($1::json) AS g ("eventId" text, kind text,
      "storedAt" bigint, "receivedAt" bigint, "deliveredAt" bigint, feed text, rows integer, "mappedBytes" bigint,
      pending text, "pendingRows" integer, "deadRows" integer, shared text, own text)
  ), new AS (
    INSERT INTO events (seq, event_id, kind, stored_at, received_at, delivered_at, feed, row_count, mapped_bytes,
      body_bytes, pending, pending_rows, dead_rows)
    SELECT seq, "eventId", kind, "storedAt", "receivedAt", "deliveredAt", feed, rows, "mappedBytes",
      coalesce(octet_length(shared) + octet_length(own), 0), pending, "pendingRows", "deadRows"
    -- So that two replicas that get the same events wait for each other, and never in a circle.
    FROM given ORDER BY "eventId" COLLATE "C"
    ON CONFLICT (event_id) DO NOTHING RETURNING seq, event_id
  ), stored AS (
    INSERT INTO bodies (seq, shared, own)
    SELECT g.seq, g.shared, g.own FROM given g JOIN new USING (seq) WHERE g.shared IS NOT NULL
  )
  SELECT event_id AS id, seq FROM new`;

const ADD_QUARANTINED = `
  INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
  SELECT "quarantineId", "storedAt", "receivedAt", feed, kind, charset, code, reason, decode(body, 'base64')
  FROM json_to_recordset($1::json) AS g ("quarantineId" text, "storedAt" bigint, "receivedAt" bigint, feed text,
    kind text, charset text, code text, reason text, body text)
  ORDER BY "quarantineId" COLLATE "C"
  ON CONFLICT (quarantine_id) DO NOTHING RETURNING quarantine_id AS id`;

type Given<Entry> = { readonly entry: Entry; readonly storedAt: number };

/** No text of the database holds U+0000. */
function toText(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

/** Without those that no record can have. */
export function storableIds(ids: Iterable<string>): string[] {
  return [...new Set(ids)].filter((id) => !id.includes('\0'));
}

function toRow({
  entry: { type: _, rows, ...entry },
  pending = [[0, rows.own.length]],
  deadLetters = [],
  storedAt,
}: Given<EventEntry> & Partial<Pick<Extract<MovedRecord, { type: 'event' }>, 'pending' | 'deadLetters'>>): object {
  return {
    ...entry,
    storedAt,
    feed: entry.feed === null ? null : toText(entry.feed),
    rows: rows.own.length,
    pending: formatRanges(pending),
    pendingRows: countRows(pending),
    deadRows: deadLetters.reduce((sum, letter) => sum + countRows(letter.rows), 0),
    shared: rows.shared,
    own: formatOwn(rows),
  };
}

/** The numbers of the events that are new, by their ids. Each id may come once. */
async function addEvents(session: Session, rows: readonly object[]): Promise<Map<string, number>> {
  if (rows.length === 0) return new Map();
  const added = await session.query<{ id: string; seq: number }>(ADD_EVENTS, [JSON.stringify(rows)]);
  return new Map(added.map(({ id, seq }) => [id, seq]));
}

/** The ids of those that are new. Each id may come once. */
async function addQuarantined(session: Session, given: readonly Given<QuarantineEntry>[]): Promise<string[]> {
  if (given.length === 0) return [];
  const rows = given.map(({ entry: { type: _, ...entry }, storedAt }) => ({
    ...entry,
    storedAt,
    feed: entry.feed === null ? null : toText(entry.feed),
    reason: toText(entry.reason),
    body: Buffer.from(entry.body).toString('base64'),
  }));
  return (await session.query<{ id: string }>(ADD_QUARANTINED, [JSON.stringify(rows)])).map(({ id }) => id);
}

/** `seq` is the event's. */
export async function addLetters(
  session: Session,
  letters: readonly (DeadLetter & { readonly seq: number })[],
): Promise<void> {
  if (letters.length === 0) return;
  const rows = letters.map((each) => ({ ...each, rows: formatRanges(each.rows), reason: toText(each.reason) }));
  await session.run(
    `INSERT INTO dead_letters (seq, rows, code, reason, dead_at) SELECT seq, rows, code, reason, "buriedAt"
     FROM json_to_recordset($1::json) AS l (seq bigint, rows text, code text, reason text, "buriedAt" bigint)`,
    [JSON.stringify(rows)],
  );
}

const idOf = (entry: OutboxEntry): string => (entry.type === 'event' ? entry.eventId : entry.quarantineId);
const keyOf = (entry: OutboxEntry): string => `${entry.type} ${idOf(entry)}`;
const isOf = <Type extends OutboxEntry['type']>(type: Type, given: readonly Given<OutboxEntry>[]) =>
  given.filter((each): each is Given<Extract<OutboxEntry, { type: Type }>> => each.entry.type === type);

/** Must run in a transaction of its own. What to say of the entries of each put, and the entries that are new. */
export async function storePuts(
  session: Session,
  puts: readonly Put[],
): Promise<{ readonly stored: StoredEntry[][]; readonly isNew: readonly OutboxEntry[] }> {
  checkTexts(puts);
  const resolved = await removeQuarantined(
    session,
    puts.flatMap(({ resolves }) => resolves ?? []),
  );
  const valid = puts.map((put) => (put.resolves === null || resolved.delete(put.resolves) ? put.entries : []));
  const first = new Map<string, Given<OutboxEntry>>();
  for (const [index, { now }] of puts.entries()) {
    for (const entry of valid[index] ?? []) {
      if (!first.has(keyOf(entry))) first.set(keyOf(entry), { entry, storedAt: now });
    }
  }
  const given = [...first.values()];
  const events = await addEvents(session, isOf('event', given).map(toRow));
  const bodies = await addQuarantined(session, isOf('quarantine', given));
  const added = new Set([...[...events.keys()].map((id) => `event ${id}`), ...bodies.map((id) => `quarantine ${id}`)]);
  const entries = given.map(({ entry }) => entry);
  const isNew = entries.filter((entry) => added.has(keyOf(entry)));
  const known = entries.filter((entry) => !added.has(keyOf(entry)));
  const storedAt = await findKnown(session, known);
  const toStored = (entry: OutboxEntry): StoredEntry => {
    const key = keyOf(entry);
    const firstStoredAt = storedAt.get(key) ?? first.get(key)?.storedAt ?? 0;
    return { id: idOf(entry), duplicate: !added.delete(key), firstStoredAt };
  };
  return { stored: valid.map((each) => each.map(toStored)), isNew };
}

function checkTexts(puts: readonly Put[]): void {
  for (const entry of puts.flatMap(({ entries }) => entries)) {
    const texts = entry.type === 'event' ? [entry.eventId, entry.kind] : [entry.quarantineId, entry.code];
    if (texts.some((text) => text.includes('\0'))) throw new CallError('An id, kind or code holds U+0000');
  }
}

/** The ids of those that were there. */
export async function removeQuarantined(session: Session, ids: readonly string[]): Promise<Set<string>> {
  const known = storableIds(ids);
  if (known.length === 0) return new Set();
  const removed = await session.query<{ id: string }>(
    'DELETE FROM quarantine WHERE quarantine_id = ANY ($1::text[]) RETURNING quarantine_id AS id',
    [known],
  );
  return new Set(removed.map(({ id }) => id));
}

/** When what was known before was stored, by key. */
async function findKnown(session: Session, known: readonly OutboxEntry[]): Promise<Map<string, number>> {
  if (known.length === 0) return new Map();
  const idsOf = (type: OutboxEntry['type']): string[] => known.filter((entry) => entry.type === type).map(idOf);
  const rows = await session.query<{ key: string; at: number }>(
    `SELECT 'event ' || event_id AS key, stored_at AS at FROM events WHERE event_id = ANY ($1::text[])
     UNION ALL SELECT 'quarantine ' || quarantine_id, stored_at FROM quarantine WHERE quarantine_id = ANY ($2::text[])`,
    [idsOf('event'), idsOf('quarantine')],
  );
  // One was forgotten or resolved after it was found: it is new now.
  if (rows.length < known.length) throw new AgainError('what was known is gone');
  return new Map(rows.map(({ key, at }) => [key, at]));
}

/** Must run in a transaction. Whether it is new here. */
export async function addRecord(session: Session, record: MovedRecord): Promise<boolean> {
  switch (record.type) {
    case 'event': {
      const seq = (await addEvents(session, [toRow(record)])).get(record.entry.eventId);
      if (seq === undefined) return false;
      const letters = record.deadLetters.map((letter) => ({ ...letter, seq }));
      await addLetters(session, letters);
      return true;
    }
    case 'quarantine':
      return (await addQuarantined(session, [record])).length > 0;
    case 'identity': {
      const none = { kind: '', rows: 0, mappedBytes: 0, pending: '[]', pendingRows: 0, deadRows: 0 };
      return (await addEvents(session, [{ ...record, receivedAt: record.storedAt, ...none }])).size > 0;
    }
  }
}
