import type { DatabaseSync } from 'node:sqlite';
import type { EventRows, RowRange } from '../../ground/event.ts';
import { countRows, mergeRanges, rangesProblem, subtractRanges } from '../ranges.ts';
import type { DeadLetter, MovedRecord } from '../records.ts';
import { parseRows } from '../rows.ts';
import { readAll, readFromBothEnds, readOne, walkRows } from './damaged.ts';

/** One thing found: a record, the trace of one that is lost, or nothing yet (null) where a page is broken. */
export type Finding = MovedRecord | 'unreadable' | null;

interface EventRow {
  readonly seq: number;
  readonly event_id: unknown;
  readonly kind: unknown;
  readonly stored_at: unknown;
  readonly received_at: unknown;
  readonly feed: unknown;
  readonly row_count: unknown;
  readonly mapped_bytes: unknown;
  readonly pending: unknown;
  readonly dead_rows: unknown;
}

interface BodyRow {
  readonly kind: unknown;
  readonly shared: unknown;
  readonly own: unknown;
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
  // The table's own tree, and those that show the rows of pages that are broken in it: indexes, bodies, dead letters.
  const lost = new Set([
    ...seqsIn(db, 'events WHERE delivered_at IS NULL', 'seq'),
    ...seqsIn(db, 'events INDEXED BY events_waiting WHERE pending_rows > 0', 'kind, received_at, seq'),
    ...seqsIn(db, 'bodies', 'seq'),
    ...seqsIn(db, 'dead_letters', 'seq'),
  ]);
  const select = `SELECT * FROM events WHERE delivered_at IS NULL AND`;
  for (const row of walkOnce<EventRow>(db, select, lost)) {
    yield row === null ? null : (readEvent(db, row, nowMs) ?? 'unreadable');
  }
  for (const seq of lost) yield readBodyAlone(db, seq, nowMs) ?? 'unreadable';
}

function readEvent(db: DatabaseSync, row: EventRow, nowMs: number): MovedRecord | null {
  const { event_id: eventId, kind, received_at: receivedAt, stored_at: storedAt, feed } = row;
  const { row_count: rowCount, mapped_bytes: mappedBytes, dead_rows: deadRows } = row;
  if (!isText(eventId) || eventId === '' || !isText(kind) || !isWhole(receivedAt) || !isWhole(storedAt)) return null;
  if (!isTextOrNull(feed) || !isWhole(rowCount) || rowCount < 1 || !isWhole(mappedBytes) || mappedBytes < 0)
    return null;
  const pending = readRanges(row.pending, rowCount);
  const rows = readBody(db, row.seq)?.rows ?? null;
  if (pending === null || rows === null || rows.own.length !== rowCount || !isWhole(deadRows)) return null;
  const letters = readLetters(db, row.seq, rowCount);
  const deadLetters = completeLetters({ letters, pending, rowCount, deadRows, nowMs });
  if (pending.length === 0 && deadLetters.length === 0) return null;
  return {
    type: 'event',
    entry: { type: 'event', eventId, kind, receivedAt, feed, rows, mappedBytes },
    storedAt,
    pending,
    deadLetters,
  };
}

/** Null when its page is broken, or when a page of another file in its middle makes it no JSON. */
function readBody(db: DatabaseSync, seq: number): { readonly kind: string; readonly rows: EventRows } | null {
  const body = readOne<BodyRow>(db, 'SELECT kind, shared, own FROM bodies WHERE seq = ?', seq);
  if (body == null || !isText(body.kind) || !isText(body.shared) || !isText(body.own)) return null;
  const rows = parseRows({ shared: body.shared, own: body.own });
  try {
    for (const text of [rows.shared, ...rows.own]) JSON.parse(text);
    return { kind: body.kind, rows };
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

/**
 * Rows whose event is lost. What was delivered of them is not known: all are made dead, so that an operator decides
 * whether to send them once more. The rows themselves name their event.
 */
function readBodyAlone(db: DatabaseSync, seq: number, nowMs: number): MovedRecord | null {
  const body = readBody(db, seq);
  if (body === null) return null;
  const { kind, rows } = body;
  const { event_id: eventId, received_at: receivedText } = JSON.parse(rows.shared) as Record<string, unknown>;
  if (!isText(eventId) || eventId === '') return null;
  const received = isText(receivedText) ? Date.parse(receivedText) : Number.NaN;
  const receivedAt = Number.isNaN(received) ? nowMs : Math.trunc(received);
  const mappedBytes = rows.own.reduce((sum, own) => sum + rows.shared.length + own.length, 0);
  const reason = 'Salvaged from a damaged database without the rest of its record; some of its rows may be delivered';
  return {
    type: 'event',
    entry: { type: 'event', eventId, kind, receivedAt, feed: null, rows, mappedBytes },
    storedAt: receivedAt,
    pending: [],
    deadLetters: [{ rows: [[0, rows.own.length]], code: 'salvaged', reason, buriedAt: nowMs }],
  };
}

interface QuarantineRow {
  readonly seq: number;
  readonly quarantine_id: unknown;
  readonly stored_at: unknown;
  readonly received_at: unknown;
  readonly feed: unknown;
  readonly kind: unknown;
  readonly charset: unknown;
  readonly code: unknown;
  readonly reason: unknown;
  readonly body: unknown;
}

export function* readQuarantine(db: DatabaseSync): Generator<Finding> {
  const lost = new Set([...seqsIn(db, 'quarantine', 'seq'), ...seqsIn(db, 'quarantine', 'quarantine_id')]);
  // The bodies are read one by one: a broken page of one of them must not end the walk.
  for (const row of walkOnce<{ seq: number }>(db, 'SELECT seq FROM quarantine WHERE', lost)) {
    yield row === null ? null : (readQuarantined(db, row.seq) ?? 'unreadable');
  }
  for (const _ of lost) yield 'unreadable';
}

function readQuarantined(db: DatabaseSync, seq: number): MovedRecord | null {
  const row = readOne<QuarantineRow>(db, 'SELECT * FROM quarantine WHERE seq = ?', seq);
  if (row === null || row === undefined) return null;
  const { quarantine_id: quarantineId, stored_at: storedAt, received_at: receivedAt, feed, code, reason, body } = row;
  const { kind, charset } = row;
  if (!isText(quarantineId) || quarantineId === '' || !isWhole(storedAt) || !isWhole(receivedAt)) return null;
  if (
    !isTextOrNull(feed) ||
    !isTextOrNull(kind) ||
    !isTextOrNull(charset) ||
    !isText(code) ||
    !isText(reason) ||
    !(body instanceof Uint8Array)
  )
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

/** Those of delivered events. Of one whose event is lost nothing is taken over: sent again, it must be accepted. */
export function* readIdentities(db: DatabaseSync): Generator<Finding> {
  const sql = `SELECT event_id, stored_at, delivered_at FROM events WHERE delivered_at IS NOT NULL ORDER BY delivered_at`;
  for (const row of readFromBothEnds<IdentityRow>(db, sql)) {
    const { event_id: eventId, stored_at: storedAt, delivered_at: deliveredAt } = row;
    if (isText(eventId) && isWhole(storedAt) && isWhole(deliveredAt)) {
      yield { type: 'identity', eventId, storedAt, deliveredAt };
    }
  }
}
