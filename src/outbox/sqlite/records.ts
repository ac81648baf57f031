import type { DatabaseSync } from 'node:sqlite';
import type { EngineState } from '../engine.ts';
import type { StateCount } from '../port.ts';
import {
  type DeadLetter,
  endOfIds,
  type FoundIds,
  type ListArgs,
  type RecordDetail,
  type RecordSummary,
} from '../records.ts';
import { arrayOf, parseRanges, parseRows, type StoredRows } from '../rows.ts';
import { type AtOnce, eachRow, getRow } from './sql.ts';

/** What the outbox holds, read only. */
export interface Records extends AtOnce<'recordedUntil' | 'list' | 'show' | 'find'> {
  count(): Omit<EngineState, 'dataBytes' | 'logBytes' | 'refuses'>;
}

type SummaryRow = RecordSummary & { readonly seq: number };

interface CountRow {
  readonly kind: string;
  readonly count: number;
  readonly oldest: number | null;
  readonly bytes: number;
}

const newestLetter = (column: 'code' | 'reason'): string =>
  `(SELECT ${column} FROM dead_letters WHERE dead_letters.seq = events.seq ORDER BY id DESC LIMIT 1) AS ${column}`;

const EVENT_COLUMNS = `seq, event_id AS id, kind, received_at AS receivedAt, feed, row_count AS rowCount,
  pending_rows AS pendingRows, dead_rows AS deadRows, body_bytes AS bodyBytes,
  ${newestLetter('code')}, ${newestLetter('reason')}`;
/** The length of a BLOB is read without its pages. */
const QUARANTINE_COLUMNS = `seq, quarantine_id AS id, kind, received_at AS receivedAt, feed, 0 AS rowCount,
  0 AS pendingRows, 0 AS deadRows, length(body) AS bodyBytes, code, reason`;

const pageSql = (select: string): string => `${select} (received_at, seq) > (?, ?) ORDER BY received_at, seq LIMIT ?`;

export const LIST_SQL = {
  waiting: pageSql(`SELECT ${EVENT_COLUMNS} FROM events WHERE kind = ? AND pending_rows > 0 AND`),
  dead: pageSql(`SELECT ${EVENT_COLUMNS} FROM events WHERE kind = ? AND dead_rows > 0 AND`),
  quarantined: pageSql(`SELECT ${QUARANTINE_COLUMNS} FROM quarantine WHERE`),
} as const;

const countSql = (rows: 'pending_rows' | 'dead_rows'): string =>
  `SELECT kind, count(*) AS count, min(received_at) AS oldest, sum(body_bytes) AS bytes FROM events
   WHERE ${rows} > 0 GROUP BY kind`;
export const COUNT_SQL = { waiting: countSql('pending_rows'), dead: countSql('dead_rows') } as const;

export function createRecords(db: DatabaseSync): Records {
  const lists = {
    waiting: db.prepare(LIST_SQL.waiting),
    dead: db.prepare(LIST_SQL.dead),
    quarantined: db.prepare(LIST_SQL.quarantined),
  };
  const counts = { waiting: db.prepare(COUNT_SQL.waiting), dead: db.prepare(COUNT_SQL.dead) };
  const countQuarantined = db.prepare(
    `SELECT '' AS kind, count(*) AS count, min(received_at) AS oldest, total(length(body)) AS bytes FROM quarantine`,
  );
  const showEvent = db.prepare(
    `SELECT ${EVENT_COLUMNS}, pending, (SELECT shared FROM bodies WHERE bodies.seq = events.seq) AS shared,
       (SELECT own FROM bodies WHERE bodies.seq = events.seq) AS own
     FROM events WHERE event_id = ? AND delivered_at IS NULL`,
  );
  const showLetters = db.prepare(
    'SELECT rows, code, reason, dead_at AS buriedAt FROM dead_letters WHERE seq = ? ORDER BY id',
  );
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

  /** The index goes by kind, of which there are few: a page of all is merged from a page of each. */
  function read({ state, kind, after }: ListArgs, limit: number): SummaryRow[] {
    const page = [after.receivedAt, after.seq, limit];
    if (state === 'quarantined') return kind === null ? [...eachRow<SummaryRow>(lists.quarantined, ...page)] : [];
    const kinds = kind === null ? [...eachRow<CountRow>(counts[state])].map((count) => count.kind) : [kind];
    return kinds
      .flatMap((each) => [...eachRow<SummaryRow>(lists[state], each, ...page)])
      .sort((a, b) => a.receivedAt - b.receivedAt || a.seq - b.seq);
  }

  function lettersOf(seq: number): DeadLetter[] {
    const letters = eachRow<Omit<DeadLetter, 'rows'> & { readonly rows: string }>(showLetters, seq);
    return [...letters].map((letter) => ({ ...letter, rows: parseRanges(letter.rows) }));
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
      const rows = read(request, request.limit + 1);
      const page = rows.slice(0, request.limit);
      const last = page.at(-1);
      const isLast = rows.length <= request.limit || last === undefined;
      return {
        records: page.map(({ seq: _, ...summary }) => summary),
        next: isLast ? null : { receivedAt: last.receivedAt, seq: last.seq },
      };
    },
    show(id) {
      // An event first: should a quarantined body have its id, it is shown once the event is gone.
      const event = getRow<SummaryRow & StoredRows & { readonly pending: string }>(showEvent, id);
      if (event !== undefined) {
        const { seq, pending, shared, own, ...summary } = event;
        return {
          ...summary,
          type: 'event',
          body: new TextEncoder().encode(arrayOf(parseRows({ shared, own }))),
          charset: null,
          pending: parseRanges(pending),
          deadLetters: lettersOf(seq),
        };
      }
      const body = getRow<SummaryRow & Pick<RecordDetail, 'charset' | 'body'>>(showQuarantined, id);
      if (body === undefined) return null;
      const { seq: _, ...quarantined } = body;
      return { ...quarantined, type: 'quarantine', pending: [], deadLetters: [] };
    },
    find(start) {
      const { first = null, count = 0 } = getRow<FoundIds>(findIds, start, endOfIds(start)) ?? {};
      return { first, count };
    },
  };
}

function sumOf(counts: readonly CountRow[]): StateCount {
  const times = counts.flatMap(({ oldest }) => oldest ?? []);
  return {
    count: counts.reduce((sum, { count }) => sum + count, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}

function bytesOf(counts: readonly CountRow[]): number {
  return counts.reduce((sum, { bytes }) => sum + bytes, 0);
}
