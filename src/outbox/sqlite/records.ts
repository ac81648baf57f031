import type { DatabaseSync } from 'node:sqlite';
import type { EngineState, RecordSlice } from '../engine.ts';
import type { StateCount } from '../port.ts';
import { parseRanges } from '../ranges.ts';
import {
  type DeadLetter,
  endOfIds,
  type FoundIds,
  type ListArgs,
  type RecordDetail,
  type RecordSummary,
} from '../records.ts';
import { arrayOf, parseRows } from '../rows.ts';
import { eachRow, getRow } from './sql.ts';

/** What the outbox holds, read only. */
export interface Records {
  count(): Omit<EngineState, 'dataBytes' | 'logBytes' | 'refuses'>;
  recordedUntil(): number | null;
  list(request: ListArgs): RecordSlice;
  show(id: string): RecordDetail | null;
  find(start: string): FoundIds;
}

interface SummaryRow {
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

interface CountRow {
  readonly kind: string;
  readonly n: number;
  readonly oldest: number | null;
  readonly bytes: number;
}

interface LetterRow {
  readonly rows: string;
  readonly code: string;
  readonly reason: string;
  readonly dead_at: number;
}

const newestLetter = (column: 'code' | 'reason'): string =>
  `(SELECT ${column} FROM dead_letters WHERE dead_letters.seq = events.seq ORDER BY id DESC LIMIT 1) AS ${column}`;

const EVENT_COLUMNS = `seq, event_id AS id, kind, received_at, feed, row_count, pending_rows, dead_rows, body_bytes,
  ${newestLetter('code')}, ${newestLetter('reason')}`;
/** The length of a BLOB is read without its pages. */
const QUARANTINE_COLUMNS = `seq, quarantine_id AS id, kind, received_at, feed, 0 AS row_count, 0 AS pending_rows,
  0 AS dead_rows, length(body) AS body_bytes, code, reason`;

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

const countSql = (rows: 'pending_rows' | 'dead_rows'): string =>
  `SELECT kind, count(*) AS n, min(received_at) AS oldest, sum(body_bytes) AS bytes FROM events
   WHERE ${rows} > 0 GROUP BY kind`;
export const COUNT_SQL = { waiting: countSql('pending_rows'), dead: countSql('dead_rows') } as const;

export function createRecords(db: DatabaseSync): Records {
  const prepare = ({ same, later }: { same: string; later: string }) => ({
    same: db.prepare(same),
    later: db.prepare(later),
  });
  const lists = {
    waiting: prepare(LIST_SQL.waiting),
    dead: prepare(LIST_SQL.dead),
    quarantined: prepare(LIST_SQL.quarantined),
  };
  const counts = { waiting: db.prepare(COUNT_SQL.waiting), dead: db.prepare(COUNT_SQL.dead) };
  const countQuarantined = db.prepare(
    `SELECT '' AS kind, count(*) AS n, min(received_at) AS oldest, total(length(body)) AS bytes FROM quarantine`,
  );
  const showEvent = db.prepare(
    `SELECT ${EVENT_COLUMNS}, pending, (SELECT shared FROM bodies WHERE bodies.seq = events.seq) AS shared,
       (SELECT own FROM bodies WHERE bodies.seq = events.seq) AS own
     FROM events WHERE event_id = ? AND delivered_at IS NULL`,
  );
  const showLetters = db.prepare('SELECT rows, code, reason, dead_at FROM dead_letters WHERE seq = ? ORDER BY id');
  const showQuarantined = db.prepare(
    `SELECT ${QUARANTINE_COLUMNS}, charset, body FROM quarantine WHERE quarantine_id = ?`,
  );
  const recordedUntil = db.prepare(
    `SELECT max(at) - coalesce(sum(max(0, at - before - 86400000)), 0) AS until
     FROM (SELECT delivered_at AS at, lag(delivered_at) OVER (ORDER BY delivered_at) AS before FROM events
       WHERE delivered_at IS NOT NULL)`,
  );
  const findIds = db.prepare(
    `SELECT min(id) AS first, count(*) AS count FROM (
       SELECT event_id AS id FROM events WHERE event_id >= ?1 AND event_id < ?2 AND delivered_at IS NULL
       UNION SELECT quarantine_id FROM quarantine WHERE quarantine_id >= ?1 AND quarantine_id < ?2)`,
  );

  function read({ state, after }: ListArgs, kind: string | null, limit: number): SummaryRow[] {
    const { same, later } = lists[state];
    const ofKind = kind === null ? [] : [kind];
    const rows = [...eachRow<SummaryRow>(same, ...ofKind, after.receivedAt, after.seq, limit)];
    if (rows.length < limit) rows.push(...eachRow<SummaryRow>(later, ...ofKind, after.receivedAt, limit - rows.length));
    return rows;
  }

  /** The index goes by kind, of which there are few: a page of all is merged from a page of each. */
  function readAll(request: ListArgs, limit: number): SummaryRow[] {
    const { state, kind } = request;
    if (state === 'quarantined') return kind === null ? read(request, null, limit) : [];
    const kinds = kind === null ? [...eachRow<CountRow>(counts[state])].map((count) => count.kind) : [kind];
    return kinds
      .flatMap((each) => read(request, each, limit))
      .sort((a, b) => a.received_at - b.received_at || a.seq - b.seq);
  }

  function lettersOf(seq: number): DeadLetter[] {
    return [...eachRow<LetterRow>(showLetters, seq)].map(({ rows, code, reason, dead_at: buriedAt }) => ({
      rows: parseRanges(rows),
      code,
      reason,
      buriedAt,
    }));
  }

  return {
    count() {
      const waiting = [...eachRow<CountRow>(counts.waiting)];
      const dead = [...eachRow<CountRow>(counts.dead)];
      const quarantined = [...eachRow<CountRow>(countQuarantined)];
      return {
        waiting: Object.fromEntries(waiting.map((count) => [count.kind, sumOf([count])])),
        dead: sumOf(dead),
        quarantined: sumOf(quarantined),
        bytes: { waiting: bytesOf(waiting), dead: bytesOf(dead), quarantined: bytesOf(quarantined) },
      };
    },
    recordedUntil: () => getRow<{ until: number | null }>(recordedUntil)?.until ?? null,
    list(request) {
      const rows = readAll(request, request.limit + 1);
      const page = rows.slice(0, request.limit);
      const last = page.at(-1);
      const isLast = rows.length <= request.limit || last === undefined;
      return {
        records: page.map(toSummary),
        next: isLast ? null : { receivedAt: last.received_at, seq: last.seq },
      };
    },
    show(id) {
      // An event first: should a quarantined body have its id, it is shown once the event is gone.
      const event = getRow<SummaryRow & { pending: string; shared: string; own: string }>(showEvent, id);
      if (event !== undefined) {
        return {
          ...toSummary(event),
          type: 'event',
          body: new TextEncoder().encode(arrayOf(parseRows(event))),
          charset: null,
          pending: parseRanges(event.pending),
          deadLetters: lettersOf(event.seq),
        };
      }
      const quarantined = getRow<SummaryRow & { charset: string | null; body: Uint8Array }>(showQuarantined, id);
      if (quarantined === undefined) return null;
      const { body, charset } = quarantined;
      return { ...toSummary(quarantined), type: 'quarantine', body, charset, pending: [], deadLetters: [] };
    },
    find(start) {
      const { first = null, count = 0 } = getRow<FoundIds>(findIds, start, endOfIds(start)) ?? {};
      return { first, count };
    },
  };
}

function toSummary(row: SummaryRow): RecordSummary {
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

function sumOf(counts: readonly CountRow[]): StateCount {
  const times = counts.flatMap(({ oldest }) => oldest ?? []);
  return {
    count: counts.reduce((sum, { n }) => sum + n, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}

function bytesOf(counts: readonly CountRow[]): number {
  return counts.reduce((sum, { bytes }) => sum + bytes, 0);
}
