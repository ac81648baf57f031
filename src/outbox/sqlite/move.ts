import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { RowRange } from '../../ground/event.ts';
import { CopyError } from '../engine.ts';
import type { DeadLetter, StoredRecord } from '../records.ts';
import { countDead, mergeRanges, rangesProblem, subtractRanges } from '../rows.ts';
import { hasCode } from './errors.ts';
import { eachRow } from './sql.ts';

/** Reads every record of a database, for a move to another outbox or, where pages are damaged, for salvage. */

/** All records of a sound database; the caller has it for itself. Rejects with a CopyError if it is damaged. */
export async function* readSound(db: DatabaseSync): AsyncGenerator<StoredRecord> {
  function refuse(): never {
    const message = 'The database in DATA_DIR is damaged: nothing was taken away. Start the service on it once';
    throw new CopyError('migrate_unreadable', `${message}, which sets it aside, and then salvage it.`);
  }
  for (const record of readRecords(db, 0, refuse)) yield record ?? refuse();
}

/**
 * All records that can be read; null: one of which only traces can be read. Identities last: an event whose own row was
 * read must not be taken for delivered. `nowMs` stands for a time that is lost, in milliseconds since the epoch.
 * `onDamage`: a page cannot be read. What it held may be read from others.
 */
export function* readRecords(db: DatabaseSync, nowMs: number, onDamage: () => void): Generator<StoredRecord | null> {
  const reader = createReader(db, onDamage);
  yield* findEvents(reader, nowMs);
  yield* findQuarantined(reader);
  yield* findIdentities(reader);
}

type Row = Readonly<Record<string, unknown>>;
type Reader = ReturnType<typeof createReader>;

/**
 * Reads what is reachable through intact pages, and skips the rest. Each table and index is a tree of its own pages, so an
 * index often still names rows that its table has lost.
 */
function createReader(db: DatabaseSync, onDamage: () => void) {
  /** A damaged page explains the error if SQLite reports one, or read a number that no column of ours can hold. */
  function noteDamage(error: unknown): void {
    if (!hasCode(error, 'ERR_OUT_OF_RANGE') && !(error instanceof Error && 'errcode' in error)) throw error;
    onDamage();
  }

  /** Rows up to the first damaged page. Returns whether there was none. */
  function* rows(sql: string, ...params: SQLInputValue[]): Generator<Row, boolean> {
    try {
      yield* eachRow<Row>(db.prepare(sql), ...params);
      return true;
    } catch (error) {
      noteDamage(error);
      return false;
    }
  }

  /** Reads from both ends of an ordering, up to the first damaged page on either side. */
  function* fromBothEnds(sql: string, ...orderedBy: readonly string[]): Generator<Row, void> {
    const isWhole = yield* rows(`${sql} ORDER BY ${orderedBy.join(', ')}`);
    if (!isWhole) yield* rows(`${sql} ORDER BY ${orderedBy.map((column) => `${column} DESC`).join(', ')}`);
  }

  /**
   * Rows of a table by `seq`, each once, also those of which other trees do not know. `select` ends in WHERE or AND. What
   * is read is taken out of `lost`.
   */
  function* walk(select: string, lost: Set<number>): Generator<Row, void> {
    const seqs = [...lost].sort((a, b) => a - b);
    const upTo = seqs.at(-1) ?? 0;
    const seen = new Set<number>();
    for (let next = seqs[0] ?? 1; next <= upTo; ) {
      try {
        for (const row of eachRow<Row>(db.prepare(`${select} seq >= ? AND seq <= ? ORDER BY seq`), next, upTo)) {
          const seq = Number(row['seq']);
          if (seen.has(seq)) continue;
          seen.add(seq);
          lost.delete(seq);
          next = Math.max(next, seq + 1);
          yield row;
        }
        return;
      } catch (error) {
        noteDamage(error);
        // One number after another, until an intact page is reached again.
        next++;
      }
    }
  }

  return { rows, fromBothEnds, walk };
}

/** Each column of a row with its check: on a half-broken page a column can hold anything. */
type Shape = Readonly<Record<string, (value: unknown) => boolean>>;
type Of<S extends Shape> = {
  readonly [C in keyof S]: S[C] extends (value: unknown) => value is infer Value ? Value : never;
};

function hasShape<S extends Shape>(row: Row | undefined, shape: S): row is Of<S> {
  return row !== undefined && Object.entries(shape).every(([column, isSound]) => isSound(row[column]));
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isId = (value: unknown): value is string => isText(value) && value !== '';
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value);
const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
const isCount = (value: unknown): value is number => isInteger(value) && value >= 0;
const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

const EVENT = {
  seq: isInteger,
  eventId: isId,
  kind: isText,
  receivedAt: isInteger,
  storedAt: isInteger,
  feed: isTextOrNull,
  rowCount: isCount,
  mappedBytes: isCount,
  pending: isText,
  deadRows: isInteger,
};
const EVENTS = `SELECT seq, event_id AS eventId, kind, received_at AS receivedAt, stored_at AS storedAt, feed,
  row_count AS rowCount, mapped_bytes AS mappedBytes, pending, dead_rows AS deadRows
  FROM events WHERE delivered_at IS NULL AND`;
const BODY = { kind: isText, shared: isText, own: isText };
const LETTER = { rows: isText, code: isText, reason: isText, buriedAt: isInteger };
const IDENTITY = { eventId: isText, storedAt: isInteger, deliveredAt: isInteger };
const QUARANTINED = {
  quarantineId: isId,
  storedAt: isInteger,
  receivedAt: isInteger,
  feed: isTextOrNull,
  kind: isTextOrNull,
  charset: isTextOrNull,
  code: isText,
  reason: isText,
  body: isBytes,
};

/** Null when the text is no list of ranges within the rows. */
function readRanges(text: string, rowCount: number): readonly RowRange[] | null {
  try {
    const ranges: unknown = JSON.parse(text);
    return Array.isArray(ranges) && rangesProblem(ranges, rowCount) === null ? ranges : null;
  } catch {
    return null;
  }
}

/** The numbers of rows that a tree shows, up to its broken pages. */
function* seqsIn(reader: Reader, from: string, ...orderedBy: readonly string[]): Generator<number> {
  for (const { seq } of reader.fromBothEnds(`SELECT seq FROM ${from}`, ...orderedBy)) yield Number(seq);
}

function* findEvents(reader: Reader, nowMs: number): Generator<StoredRecord | null> {
  // The table's own tree, and those that show the rows of pages that are broken in it: indexes, bodies, dead letters.
  const lost = new Set([
    ...seqsIn(reader, 'events WHERE delivered_at IS NULL', 'seq'),
    ...seqsIn(reader, 'events INDEXED BY events_waiting WHERE pending_rows > 0', 'kind', 'received_at', 'seq'),
    ...seqsIn(reader, 'bodies', 'seq'),
    ...seqsIn(reader, 'dead_letters', 'seq'),
  ]);
  for (const row of reader.walk(EVENTS, lost)) yield readEvent(reader, row, nowMs);
  for (const seq of lost) yield readBodyAlone(reader, seq, nowMs);
}

function readEvent(reader: Reader, row: Row, nowMs: number): StoredRecord | null {
  if (!hasShape(row, EVENT)) return null;
  const { eventId, kind, receivedAt, storedAt, feed, rowCount, mappedBytes } = row;
  const pending = readRanges(row.pending, rowCount);
  const rows = readBody(reader, row.seq)?.rows;
  if (pending === null || rows?.rowCount !== rowCount) return null;
  const deadLetters = readLetters(reader, row, pending, nowMs);
  if (pending.length === 0 && deadLetters.length === 0) return null;
  return { type: 'event', eventId, kind, receivedAt, storedAt, feed, ...rows, mappedBytes, pending, deadLetters };
}

/** Null when its page is broken, or when a page of another file in its middle makes it no JSON. */
function readBody(reader: Reader, seq: number) {
  const [body] = reader.rows('SELECT kind, shared, own FROM bodies WHERE seq = ?', seq);
  if (!hasShape(body, BODY)) return null;
  const { kind, shared, own } = body;
  const lines = own.split('\n');
  try {
    for (const text of lines) JSON.parse(text);
    return { kind, rows: { shared, own, rowCount: lines.length }, columns: JSON.parse(shared) as Row | null };
  } catch {
    return null;
  }
}

/**
 * The dead letters of an event: each row has one fate. When some letters are lost, nothing tells their rows from delivered
 * ones: all of these are made dead, so that an operator decides whether to send them once more.
 */
function readLetters(reader: Reader, event: Of<typeof EVENT>, pending: readonly RowRange[], nowMs: number) {
  const letters: DeadLetter[] = [];
  let named = pending;
  const select = 'SELECT rows, code, reason, dead_at AS buriedAt FROM dead_letters WHERE seq = ? ORDER BY id';
  for (const letter of reader.rows(select, event.seq)) {
    if (!hasShape(letter, LETTER)) continue;
    const rows = subtractRanges(readRanges(letter.rows, event.rowCount) ?? [], named);
    if (rows.length === 0) continue;
    letters.push({ ...letter, rows });
    named = mergeRanges(named, rows);
  }
  const rows = subtractRanges([[0, event.rowCount]], named);
  if (countDead(letters) >= event.deadRows || rows.length === 0) return letters;
  const reason = 'Its dead letter was lost with a damaged database: these rows were refused or delivered';
  return [...letters, { rows, code: 'salvaged', reason, buriedAt: nowMs }];
}

/**
 * Rows whose event is lost, which they name themselves. What was delivered of them is not known: all are made dead, so
 * that an operator decides whether to send them once more.
 */
function readBodyAlone(reader: Reader, seq: number, nowMs: number): StoredRecord | null {
  const body = readBody(reader, seq);
  const eventId = body?.columns?.['event_id'];
  if (body === null || !isId(eventId)) return null;
  const { kind, rows } = body;
  const { shared, own, rowCount } = rows;
  const received = Date.parse(String(body.columns?.['received_at']));
  const receivedAt = Number.isNaN(received) ? nowMs : received;
  const mappedBytes = rowCount * shared.length + own.length;
  const reason = 'Salvaged from a damaged database without the rest of its record; some of its rows may be delivered';
  return {
    type: 'event',
    ...{ eventId, kind, receivedAt, storedAt: receivedAt, feed: null, ...rows, mappedBytes },
    pending: [],
    deadLetters: [{ rows: [[0, rowCount]], code: 'salvaged', reason, buriedAt: nowMs }],
  };
}

function* findQuarantined(reader: Reader): Generator<StoredRecord | null> {
  const lost = new Set([...seqsIn(reader, 'quarantine', 'seq'), ...seqsIn(reader, 'quarantine', 'quarantine_id')]);
  const select = `SELECT quarantine_id AS quarantineId, stored_at AS storedAt, received_at AS receivedAt, feed, kind,
    charset, code, reason, body FROM quarantine WHERE seq = ?`;
  // The bodies are read one by one: a broken page of one of them must not end the walk.
  for (const { seq } of reader.walk('SELECT seq FROM quarantine WHERE', lost)) {
    const [row] = reader.rows(select, Number(seq));
    yield hasShape(row, QUARANTINED) ? { type: 'quarantine', ...row } : null;
  }
  for (const _ of lost) yield null;
}

/** Those of delivered events. Of one whose event is lost nothing is taken over: sent again, it must be accepted. */
function* findIdentities(reader: Reader): Generator<StoredRecord> {
  const select = `SELECT event_id AS eventId, stored_at AS storedAt, delivered_at AS deliveredAt FROM events
    WHERE delivered_at IS NOT NULL`;
  for (const row of reader.fromBothEnds(select, 'delivered_at')) {
    if (hasShape(row, IDENTITY)) yield { type: 'identity', ...row };
  }
}
