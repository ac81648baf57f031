import type { DatabaseSync } from 'node:sqlite';
import type { Engine, RecordCount } from '../engine.ts';
import { type DeadLetter, endOfIds, type FoundIds, type ListedRecord, type RecordDetail } from '../records.ts';
import { bodyOf, type FoundRows, parseRanges } from '../rows.ts';
import { type AtOnce, eachRow, getRow } from './sql.ts';

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

const countSql = (state: 'waiting' | 'dead', rows: string): string =>
  `SELECT '${state}' AS state, kind, count(*) AS count, min(received_at) AS oldestReceivedAt, sum(body_bytes) AS bytes
   FROM events WHERE ${rows} > 0 GROUP BY kind`;
export const COUNT_SQL = {
  waiting: countSql('waiting', 'pending_rows'),
  dead: countSql('dead', 'dead_rows'),
  quarantined: `SELECT 'quarantined' AS state, '' AS kind, count(*) AS count, min(received_at) AS oldestReceivedAt,
    total(length(body)) AS bytes FROM quarantine`,
} as const;

/** What the outbox holds, read only. */
export function createRecords(db: DatabaseSync): AtOnce<'recordedUntil' | 'list' | 'show' | 'find' | 'gone'> & {
  count(): RecordCount[];
} {
  const lists = {
    waiting: db.prepare(LIST_SQL.waiting),
    dead: db.prepare(LIST_SQL.dead),
    quarantined: db.prepare(LIST_SQL.quarantined),
  };
  const counts = {
    waiting: db.prepare(COUNT_SQL.waiting),
    dead: db.prepare(COUNT_SQL.dead),
    quarantined: db.prepare(COUNT_SQL.quarantined),
  };
  const showEvent = db.prepare(
    `SELECT ${EVENT_COLUMNS}, pending, shared, own FROM events LEFT JOIN (SELECT seq, shared, own FROM bodies) USING (seq)
     WHERE event_id = ? AND delivered_at IS NULL`,
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
  const findGone = db.prepare(
    `SELECT event_id AS id, kind, feed, received_at AS receivedAt, delivered_at AS goneAt, row_count AS rowCount,
       mapped_bytes AS mappedBytes
     FROM events WHERE event_id >= ? AND event_id < ? AND delivered_at IS NOT NULL LIMIT 2`,
  );

  function lettersOf(seq: number): DeadLetter[] {
    const letters = eachRow<Omit<DeadLetter, 'rows'> & { readonly rows: string }>(showLetters, seq);
    return [...letters].map((letter) => ({ ...letter, rows: parseRanges(letter.rows) }));
  }

  return {
    count: () => Object.values(counts).flatMap((each) => [...eachRow<RecordCount>(each)]),
    recordedUntil: () => getRow<{ until: number | null }>(recordedUntil)?.until ?? null,
    list({ state, kind, after, limit }) {
      const page = [after.receivedAt, after.seq, limit];
      if (state === 'quarantined') return kind === null ? [...eachRow<ListedRecord>(lists.quarantined, ...page)] : [];
      // The index goes by kind, of which there are few: a page of all is merged from a page of each.
      const kinds = kind === null ? [...eachRow<RecordCount>(counts[state])].map((count) => count.kind) : [kind];
      return kinds
        .flatMap((each) => [...eachRow<ListedRecord>(lists[state], each, ...page)])
        .sort((a, b) => a.receivedAt - b.receivedAt || a.seq - b.seq);
    },
    show(id) {
      // An event first: should a quarantined body have its id, it is shown once the event is gone.
      const event = getRow<ListedRecord & FoundRows & { readonly pending: string }>(showEvent, id);
      if (event !== undefined) {
        const { seq, pending, shared, own, ...summary } = event;
        return {
          ...summary,
          type: 'event',
          body: bodyOf({ shared, own }),
          charset: null,
          pending: parseRanges(pending),
          deadLetters: lettersOf(seq),
        };
      }
      const body = getRow<ListedRecord & Pick<RecordDetail, 'charset' | 'body'>>(showQuarantined, id);
      if (body === undefined) return null;
      const { seq: _, ...quarantined } = body;
      return { ...quarantined, type: 'quarantine', pending: [], deadLetters: [] };
    },
    find(start) {
      const { first = null, count = 0 } = getRow<FoundIds>(findIds, start, endOfIds(start)) ?? {};
      return { first, count };
    },
    gone: (start) => [...eachRow<Awaited<ReturnType<Engine['gone']>>[number]>(findGone, start, endOfIds(start))],
  };
}
