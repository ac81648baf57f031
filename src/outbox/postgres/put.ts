import type { EventEntry, OutboxEntry, PutOutcome, QuarantineEntry, StoredEntry } from '../port.ts';
import type { Session } from './database.ts';
import { RollbackError } from './database.ts';
import { Tally } from './tally.ts';
import { readUsage, type Usage } from './usage.ts';

export interface PutCall {
  readonly entries: readonly OutboxEntry[];
  /** Size of the bodies. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** See PutOptions; null: nothing. */
  readonly resolves: string | null;
}

/** Thrown inside of the transaction, which it takes back: what was put would pass OUTBOX_MAX_BYTES. */
export class FullError extends RollbackError {}
/** An identity was forgotten between two statements of the put: the same again. */
export class ForgottenError extends RollbackError {}

/** Deduplication and enqueue in one statement. All bodies go as one parameter: an array would be hexadecimal digits. */
const PUT_EVENTS = 'SELECT put_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS known';

const PUT_QUARANTINED = `
  INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
  SELECT id, stored_at, received_at, substring($1::bytea FROM body_from + body_bytes FOR feed_bytes), kind, charset, code,
    substring($1::bytea FROM body_from + body_bytes + coalesce(feed_bytes, 0) FOR reason_bytes),
    substring($1::bytea FROM body_from FOR body_bytes)
  FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::integer[], $7::integer[], $8::integer[], $9::integer[],
    $10::text[], $11::text[])
    AS t (id, stored_at, received_at, code, body_from, body_bytes, feed_bytes, reason_bytes, kind, charset)
  ORDER BY id
  ON CONFLICT DO NOTHING RETURNING quarantine_id AS id, octet_length(body) AS bytes`;

/** Byte strings one behind the other, with where each begins, counted from 1. */
class Blob {
  readonly #parts: Uint8Array[] = [];
  #next = 1;

  /** Where it begins, and its length; null: nothing was given. */
  add(part: string | Uint8Array | null): { from: number; bytes: number | null } {
    const from = this.#next;
    if (part === null) return { from, bytes: null };
    const buffer = typeof part === 'string' ? Buffer.from(part) : part;
    this.#parts.push(buffer);
    this.#next += buffer.length;
    return { from, bytes: buffer.length };
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

interface New {
  readonly id: string;
  readonly bytes: number;
}

interface Given<Entry> {
  readonly entry: Entry;
  readonly now: number;
}

/** The ids of those that were known. */
async function putEvents(session: Session, given: readonly Given<EventEntry>[]): Promise<readonly string[]> {
  if (given.length === 0) return [];
  const blob = new Blob();
  const places = given.map(({ entry }) => ({ body: blob.add(entry.body), feed: blob.add(entry.meta.feed) }));
  const [row] = await session.query<{ known: string[] }>(PUT_EVENTS, [
    blob.whole(),
    given.map(({ entry }) => entry.eventId),
    given.map(({ entry }) => entry.kind),
    given.map(({ now }) => now),
    given.map(({ entry }) => entry.meta.receivedAt),
    given.map(({ entry }) => entry.meta.bodyForm),
    given.map(({ entry }) => entry.rowCount),
    given.map(({ entry }) => entry.mappedBytes),
    places.map(({ body }) => body.from),
    places.map(({ body }) => body.bytes),
    places.map(({ feed }) => feed.bytes),
  ]);
  if (row === undefined) throw new Error('The database does not say what is new');
  return row.known;
}

/** The ids of those that were known. */
async function putQuarantined(session: Session, given: readonly Given<QuarantineEntry>[]): Promise<readonly string[]> {
  if (given.length === 0) return [];
  const blob = new Blob();
  const places = given.map(({ entry }) => ({
    body: blob.add(entry.body),
    feed: blob.add(entry.feed),
    reason: blob.add(entry.reason),
  }));
  const added = await session.query<New>(PUT_QUARANTINED, [
    blob.whole(),
    given.map(({ entry }) => entry.quarantineId),
    given.map(({ now }) => now),
    given.map(({ entry }) => entry.receivedAt),
    given.map(({ entry }) => entry.code),
    places.map(({ body }) => body.from),
    places.map(({ body }) => body.bytes),
    places.map(({ feed }) => feed.bytes),
    places.map(({ reason }) => reason.bytes),
    given.map(({ entry }) => entry.kind),
    given.map(({ entry }) => entry.charset ?? null),
  ]);
  const tally = new Tally();
  for (const { bytes } of added) tally.add('quarantined', '', 1, bytes);
  await tally.write(session);
  const isNew = new Set(added.map(({ id }) => id));
  return given.map(({ entry }) => entry.quarantineId).filter((id) => !isNew.has(id));
}

const idOf = (entry: OutboxEntry): string => (entry.type === 'event' ? entry.eventId : entry.quarantineId);
const keyOf = (entry: OutboxEntry): string => `${entry.type} ${idOf(entry)}`;

/** The first entry of each id. */
function firstOfEach(calls: readonly PutCall[]): Map<string, Given<OutboxEntry>> {
  const first = new Map<string, Given<OutboxEntry>>();
  for (const { entries, now } of calls) {
    for (const entry of entries) {
      if (!first.has(keyOf(entry))) first.set(keyOf(entry), { entry, now });
    }
  }
  return first;
}

/** When what was known before was stored, by key. */
async function findKnown(session: Session, known: readonly OutboxEntry[]): Promise<Map<string, number>> {
  const storedAt = new Map<string, number>();
  for (const [type, sql] of [
    ['event', 'SELECT event_id AS id, stored_at FROM identities WHERE event_id = ANY ($1::text[])'],
    ['quarantine', 'SELECT quarantine_id AS id, stored_at FROM quarantine WHERE quarantine_id = ANY ($1::text[])'],
  ] as const) {
    const ids = known.filter((entry) => entry.type === type).map(idOf);
    if (ids.length === 0) continue;
    const rows = await session.query<{ id: string; stored_at: number }>(sql, [ids]);
    for (const row of rows) storedAt.set(`${type} ${row.id}`, row.stored_at);
  }
  return storedAt;
}

export interface PutLimits {
  readonly usage: Usage;
  readonly maxBytes: number;
}

/**
 * The statements of some calls, in one transaction of the caller's. Throws a FullError when they would pass the limit,
 * and a ForgottenError when they must be tried again; both take the transaction back.
 */
export async function putCalls(
  session: Session,
  calls: readonly PutCall[],
  { usage, maxBytes }: PutLimits,
): Promise<PutOutcome[]> {
  const given = firstOfEach(calls);
  const each = [...given.values()];
  const events = each.flatMap(({ entry, now }) => (entry.type === 'event' ? [{ entry, now }] : []));
  const bodies = each.flatMap(({ entry, now }) => (entry.type === 'quarantine' ? [{ entry, now }] : []));
  const isKnown = new Set([
    ...(await putEvents(session, events)).map((id) => `event ${id}`),
    ...(await putQuarantined(session, bodies)).map((id) => `quarantine ${id}`),
  ]);
  const isNew = new Set([...given.keys()].filter((key) => !isKnown.has(key)));
  // Only what is new needs room: a duplicate is answered even when the outbox is full.
  const newBytes = calls.reduce((sum, { bytes }) => sum + bytes, 0);
  if (isNew.size > 0 && usage.isNear(newBytes, maxBytes) && (await readUsage(session, usage)) > maxBytes) {
    throw new FullError();
  }
  const known = each.map(({ entry }) => entry).filter((entry) => isKnown.has(keyOf(entry)));
  const storedAt = await findKnown(session, known);
  if (storedAt.size < known.length) throw new ForgottenError();
  return calls.map(({ entries }) => ({ outcome: 'stored', entries: entries.map((entry) => stored(entry)) }));

  function stored(entry: OutboxEntry): StoredEntry {
    const key = keyOf(entry);
    const firstStoredAt = storedAt.get(key) ?? given.get(key)?.now ?? 0;
    return { id: idOf(entry), duplicate: !isNew.delete(key), firstStoredAt };
  }
}

/** Takes a quarantined body away in the transaction that puts its events. False: it is not there any more. */
export async function resolveQuarantined(session: Session, id: string): Promise<boolean> {
  const removed = await session.query<{ bytes: number }>(
    'DELETE FROM quarantine WHERE quarantine_id = $1 RETURNING octet_length(body) AS bytes',
    [id],
  );
  const tally = new Tally();
  for (const { bytes } of removed) tally.add('quarantined', '', -1, -bytes);
  await tally.write(session);
  return removed.length > 0;
}
