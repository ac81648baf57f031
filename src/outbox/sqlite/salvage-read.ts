import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { EventMeta, RowRange } from '../port.ts';
import { countRows, mergeRanges, rangesProblem, subtractRanges } from '../ranges.ts';
import type { DeadLetter } from '../records.ts';
import type { SalvagedRecord } from '../salvaged.ts';
import { readAll, readFromBothEnds, readOne, walkRows } from './damaged.ts';
import { pragma } from './sql.ts';

/** One thing found: a record, the trace of one that is lost, or nothing yet (null) where a page is broken. */
export type Finding = SalvagedRecord | 'unreadable' | null;

interface EventRow {
  readonly seq: number;
  readonly event_id: unknown;
  readonly kind: unknown;
  readonly received_at: unknown;
  readonly body_form: unknown;
  readonly feed: unknown;
  readonly row_count: unknown;
  readonly mapped_bytes: unknown;
  readonly pending: unknown;
  readonly dead_rows: unknown;
}

interface LetterRow {
  readonly rows: unknown;
  readonly code: unknown;
  readonly reason: unknown;
  readonly dead_at: unknown;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value);
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
const isForm = (value: unknown): value is EventMeta['bodyForm'] =>
  value === 'json' || value === 'template' || value === 'recipe';

/** Null when the text is no list of ranges within the rows: on a half-broken page a column can hold anything. */
function readRanges(text: unknown, rowCount: number): readonly RowRange[] | null {
  if (!isText(text)) return null;
  try {
    const ranges: unknown = JSON.parse(text);
    return isRangeList(ranges) && rangesProblem(ranges, rowCount) === null ? ranges : null;
  } catch {
    return null;
  }
}

function isRangeList(value: unknown): value is readonly RowRange[] {
  return Array.isArray(value) && value.every((range) => Array.isArray(range) && range.length === 2);
}

/** The numbers of rows that a tree shows, up to its broken pages. */
function seqsIn(db: DatabaseSync, from: string, orderedBy: string): number[] {
  const sql = `SELECT seq FROM ${from} ORDER BY ${orderedBy}`;
  return readFromBothEnds<{ seq: number }>(db, sql).map(({ seq }) => seq);
}

/** Rows of a table, each once, those of which other trees do not know too. What is read is taken out of `lost`. */
function* walkOnce<Row extends { readonly seq: number }>(
  db: DatabaseSync,
  select: string,
  lost: Set<number>,
): Generator<Row | null> {
  const from = Iterator.from(lost).reduce((min, seq) => Math.min(min, seq), Number.MAX_SAFE_INTEGER);
  const upTo = Iterator.from(lost).reduce((max, seq) => Math.max(max, seq), 0);
  const seen = new Set<number>();
  for (const row of walkRows<Row>(db, select, from, upTo)) {
    if (row === null) {
      yield null;
    } else if (!seen.has(row.seq)) {
      seen.add(row.seq);
      lost.delete(row.seq);
      yield row;
    }
  }
}

export function* readEvents(db: DatabaseSync, nowMs: number): Generator<Finding> {
  // The table's own tree, and those that show the rows of pages that are broken in it: an index, bodies, dead letters.
  const lost = new Set([
    ...seqsIn(db, 'events', 'seq'),
    ...seqsIn(db, 'events INDEXED BY events_waiting WHERE pending_rows > 0', 'kind, received_at'),
    ...seqsIn(db, 'event_bodies', 'seq'),
    ...seqsIn(db, 'dead_letters', 'seq'),
  ]);
  for (const row of walkOnce<EventRow>(db, 'SELECT * FROM events', lost)) {
    yield row === null ? null : (readEvent(db, row, nowMs) ?? 'unreadable');
  }
  // Their own row is gone. A body alone is as good as one that came just now and has not been understood yet.
  for (const seq of lost) yield readBodyAlone(db, seq, nowMs) ?? 'unreadable';
}

function readEvent(db: DatabaseSync, row: EventRow, nowMs: number): SalvagedRecord | null {
  const { event_id: eventId, kind, received_at: receivedAt, body_form: bodyForm, feed } = row;
  const { row_count: rowCount, mapped_bytes: mappedBytes, dead_rows: deadRows } = row;
  if (!isText(eventId) || eventId === '' || !isText(kind) || !isWhole(receivedAt) || !isForm(bodyForm)) return null;
  if (!isTextOrNull(feed) || !isWhole(rowCount) || rowCount < 1 || !isWhole(mappedBytes) || mappedBytes < 0)
    return null;
  const pending = readRanges(row.pending, rowCount);
  const body = readBody(db, row.seq);
  if (pending === null || body === null || !isWhole(deadRows)) return null;
  const letters = readLetters(db, row.seq, rowCount);
  const deadLetters = completeLetters({ letters, pending, rowCount, deadRows, nowMs });
  if (pending.length === 0 && deadLetters.length === 0) return null;
  return {
    type: 'event',
    entry: { type: 'event', eventId, kind, body, rowCount, mappedBytes, meta: { receivedAt, bodyForm, feed } },
    storedAt: readStoredAt(db, eventId) ?? receivedAt,
    pending,
    deadLetters,
  };
}

/** Null when its page is broken. */
function readStoredAt(db: DatabaseSync, eventId: string): number | null {
  const stored = readOne<{ at: unknown }>(db, 'SELECT stored_at AS at FROM identities WHERE event_id = ?', eventId)?.at;
  return isWhole(stored) ? stored : null;
}

function readBody(db: DatabaseSync, seq: number): string | null {
  const body = readOne<{ body: unknown }>(db, 'SELECT body FROM event_bodies WHERE seq = ?', seq)?.body;
  if (!isText(body)) return null;
  try {
    JSON.parse(body); // a page of another file in its middle would not show else
    return body;
  } catch {
    return null;
  }
}

function readLetters(db: DatabaseSync, seq: number, rowCount: number): DeadLetter[] {
  const { rows: found } = readAll<LetterRow>(
    db,
    'SELECT rows, code, reason, dead_at FROM dead_letters WHERE seq = ? ORDER BY id',
    seq,
  );
  return found.flatMap(({ rows, code, reason, dead_at: buriedAt }): DeadLetter[] => {
    const ranges = readRanges(rows, rowCount);
    if (ranges === null || !isText(code) || !isText(reason) || !isWhole(buriedAt)) return [];
    return [{ rows: ranges, code, reason, buriedAt }];
  });
}

interface Letters {
  readonly letters: readonly DeadLetter[];
  readonly pending: readonly RowRange[];
  readonly rowCount: number;
  readonly deadRows: number;
  readonly nowMs: number;
}

/**
 * Each row has one fate. When some dead letters are lost, nothing tells their rows from delivered ones: all of these are
 * made dead, so that an operator decides whether to send them once more.
 */
function completeLetters({ letters, pending, rowCount, deadRows, nowMs }: Letters): DeadLetter[] {
  const sound: DeadLetter[] = [];
  let named = pending;
  for (const letter of letters) {
    const rows = subtractRanges(letter.rows, named);
    if (rows.length > 0) sound.push({ ...letter, rows });
    named = mergeRanges(named, rows);
  }
  const found = sound.reduce((sum, { rows }) => sum + countRows(rows), 0);
  if (found >= deadRows) return sound;
  const rows = subtractRanges([[0, rowCount]], named);
  if (rows.length === 0) return sound;
  const reason = 'Its dead letter was lost with a damaged database: these rows were refused or delivered';
  return [...sound, { rows, code: 'salvaged', reason, buriedAt: nowMs }];
}

function readBodyAlone(db: DatabaseSync, seq: number, nowMs: number): SalvagedRecord | null {
  const text = readBody(db, seq);
  if (text === null) return null;
  const body = new TextEncoder().encode(text);
  return {
    type: 'quarantine',
    entry: {
      type: 'quarantine',
      quarantineId: `s1${createHash('sha256').update(body).digest('hex')}`,
      body,
      receivedAt: nowMs,
      feed: null,
      kind: null,
      code: 'salvaged',
      reason: 'Salvaged from a damaged database without the rest of its record; some of its rows may be delivered',
    },
    storedAt: nowMs,
  };
}

interface QuarantineRow {
  readonly seq: number;
  readonly quarantine_id: unknown;
  readonly stored_at: unknown;
  readonly received_at: unknown;
  readonly feed: unknown;
  /** Undefined before version 3 of the schema. */
  readonly kind: unknown;
  /** Undefined before version 5. */
  readonly charset: unknown;
  readonly code: unknown;
  readonly reason: unknown;
  readonly body: unknown;
}

export function* readQuarantine(db: DatabaseSync): Generator<Finding> {
  const lost = new Set([...seqsIn(db, 'quarantine', 'seq'), ...seqsIn(db, 'quarantine', 'quarantine_id')]);
  // The bodies are read one by one: a broken page of one of them must not end the walk.
  for (const row of walkOnce<{ seq: number }>(db, 'SELECT seq FROM quarantine', lost)) {
    yield row === null ? null : (readQuarantined(db, row.seq) ?? 'unreadable');
  }
  for (const _ of lost) yield 'unreadable';
}

function readQuarantined(db: DatabaseSync, seq: number): SalvagedRecord | null {
  const row = readOne<QuarantineRow>(db, 'SELECT * FROM quarantine WHERE seq = ?', seq);
  if (row === null || row === undefined) return null;
  const { quarantine_id: quarantineId, stored_at: storedAt, received_at: receivedAt, feed, code, reason, body } = row;
  const kind = row.kind ?? null;
  const charset = isText(row.charset) ? row.charset : null;
  if (!isText(quarantineId) || quarantineId === '' || !isWhole(storedAt) || !isWhole(receivedAt)) return null;
  if (!isTextOrNull(feed) || !isTextOrNull(kind) || !isText(code) || !isText(reason) || !(body instanceof Uint8Array))
    return null;
  return {
    type: 'quarantine',
    entry: {
      type: 'quarantine',
      quarantineId,
      body: new Uint8Array(body),
      receivedAt,
      feed,
      kind,
      charset,
      code,
      reason,
    },
    storedAt,
  };
}

interface IdentityRow {
  readonly event_id: unknown;
  readonly stored_at: unknown;
  readonly delivered_at: unknown;
}

/** Up to version 3 of the schema an identity itself said when its event was delivered. */
const IDENTITIES_OF_VERSION_3 = 'SELECT event_id, stored_at, delivered_at FROM identities ORDER BY event_id';
const DELIVERIES = 'SELECT event_id, delivered_at FROM deliveries ORDER BY delivered_at, event_id';

/** Those of delivered events. Of one whose event is lost nothing is taken over: sent again, it must be accepted. */
export function* readIdentities(db: DatabaseSync): Generator<Finding> {
  const hasDeliveries = Number(pragma(db, 'user_version')) >= 4;
  for (const row of readFromBothEnds<IdentityRow>(db, hasDeliveries ? DELIVERIES : IDENTITIES_OF_VERSION_3)) {
    const { event_id: eventId, delivered_at: deliveredAt } = row;
    if (!isText(eventId) || !isWhole(deliveredAt)) continue;
    const storedAt = hasDeliveries ? (readStoredAt(db, eventId) ?? deliveredAt) : row.stored_at;
    if (!isWhole(storedAt)) continue;
    yield { type: 'identity', eventId, storedAt, deliveredAt };
  }
}
