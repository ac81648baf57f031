import type { DatabaseSync } from 'node:sqlite';
import type { Position } from '../cursor.ts';
import type { RecordSummary } from '../records.ts';
import type { ListArgs } from '../requests.ts';
import { eachRow } from './sql.ts';

/** The records of one page, and where the next one begins; null when there is none. */
export interface Page {
  readonly records: readonly RecordSummary[];
  readonly next: Position | null;
}

export interface SummaryRow {
  readonly seq: number;
  readonly id: string;
  readonly kind: string | null;
  readonly received_at: number;
  readonly feed: string | null;
  readonly row_count: number;
  readonly pending_rows: number;
  readonly dead_rows: number;
  readonly body_bytes: number;
  readonly code: string | null;
  readonly reason: string | null;
}

const newestLetter = (column: 'code' | 'reason'): string =>
  `(SELECT ${column} FROM dead_letters WHERE dead_letters.seq = events.seq ORDER BY id DESC LIMIT 1) AS ${column}`;

/** Without the body: the length of a BLOB is read without its pages. */
export const EVENT_COLUMNS = `seq, event_id AS id, kind, received_at, feed, row_count, pending_rows, dead_rows,
  body_bytes, ${newestLetter('code')}, ${newestLetter('reason')}`;
export const QUARANTINE_COLUMNS = `seq, quarantine_id AS id, kind, received_at, feed, 0 AS row_count,
  0 AS pending_rows, 0 AS dead_rows, length(body) AS body_bytes, code, reason`;

const EVENTS = `SELECT ${EVENT_COLUMNS} FROM events WHERE kind = ? AND`;
const QUARANTINE = `SELECT ${QUARANTINE_COLUMNS} FROM quarantine WHERE`;

/**
 * Two statements for one page: the rest of the cursor's millisecond, then what came later. As one comparison of pairs,
 * (received_at, seq) > (?, ?), SQLite would search by received_at alone and walk through a millisecond from its start.
 */
const SAME = 'received_at = ? AND seq > ? ORDER BY seq LIMIT ?';
const LATER = 'received_at > ? ORDER BY received_at, seq LIMIT ?';

export const LIST_SQL = {
  waiting: { same: `${EVENTS} pending_rows > 0 AND ${SAME}`, later: `${EVENTS} pending_rows > 0 AND ${LATER}` },
  dead: { same: `${EVENTS} dead_rows > 0 AND ${SAME}`, later: `${EVENTS} dead_rows > 0 AND ${LATER}` },
  quarantined: { same: `${QUARANTINE} ${SAME}`, later: `${QUARANTINE} ${LATER}` },
} as const;

export function toSummary(row: SummaryRow): RecordSummary {
  return {
    id: row.id,
    kind: row.kind,
    receivedAt: row.received_at,
    feed: row.feed,
    rowCount: row.row_count,
    pendingRows: row.pending_rows,
    deadRows: row.dead_rows,
    bodyBytes: row.body_bytes,
    code: row.code,
    reason: row.reason,
  };
}

function byAge(a: SummaryRow, b: SummaryRow): number {
  return a.received_at - b.received_at || a.seq - b.seq;
}

/** Costs a page, however long the list is. */
export function createList(db: DatabaseSync): (request: ListArgs) => Page {
  const prepare = ({ same, later }: { same: string; later: string }) => ({
    same: db.prepare(same),
    later: db.prepare(later),
  });
  const statements = {
    waiting: prepare(LIST_SQL.waiting),
    dead: prepare(LIST_SQL.dead),
    quarantined: prepare(LIST_SQL.quarantined),
  };
  const kindsOf = db.prepare('SELECT kind FROM counts WHERE state = ? AND n > 0');

  function read({ state, after }: ListArgs, kind: string | null, limit: number): SummaryRow[] {
    const { same, later } = statements[state];
    const ofKind = kind === null ? [] : [kind];
    const rows = [...eachRow<SummaryRow>(same, ...ofKind, after.receivedAt, after.seq, limit)];
    if (rows.length < limit) rows.push(...eachRow<SummaryRow>(later, ...ofKind, after.receivedAt, limit - rows.length));
    return rows;
  }

  /** The index goes by kind, of which there are few: a page of all is merged from a page of each. */
  function readAll(request: ListArgs, limit: number): SummaryRow[] {
    const { state } = request;
    if (state === 'quarantined') return request.kind === null ? read(request, null, limit) : [];
    const kinds =
      request.kind === null ? [...eachRow<{ kind: string }>(kindsOf, state)].map(({ kind }) => kind) : [request.kind];
    return kinds.flatMap((kind) => read(request, kind, limit)).sort(byAge);
  }

  return (request) => {
    const rows = readAll(request, request.limit + 1);
    const page = rows.slice(0, request.limit);
    const last = page.at(-1);
    const isLast = rows.length <= request.limit || last === undefined;
    return {
      records: page.map(toSummary),
      next: isLast ? null : { receivedAt: last.received_at, seq: last.seq },
    };
  };
}
