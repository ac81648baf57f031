import type { Engine, RecordCount } from './engine.ts';
import type { DeadLetter, FoundIds, GoneEvent, ListedRecord, RecordDetail } from './records.ts';
import { bodyOf, type FoundRows, parseRanges } from './rows.ts';

/** What an outbox holds, read only: in SQL that SQLite and PostgreSQL take alike. */

/** The rows of one statement with parameters $1, $2, … */
export type Query = <Row extends object>(sql: string, params?: readonly (string | number)[]) => Promise<Row[]>;

const newestLetter = (column: 'code' | 'reason'): string =>
  `(SELECT ${column} FROM dead_letters WHERE dead_letters.seq = events.seq ORDER BY id DESC LIMIT 1) AS ${column}`;

const EVENT_COLUMNS = `seq, event_id AS id, kind, received_at AS "receivedAt", feed, row_count AS "rowCount",
  pending_rows AS "pendingRows", dead_rows AS "deadRows", body_bytes AS "bodyBytes",
  ${newestLetter('code')}, ${newestLetter('reason')}`;
/** The length of the body is read without its pages. */
const QUARANTINE_COLUMNS = `seq, quarantine_id AS id, kind, received_at AS "receivedAt", feed, 0 AS "rowCount",
  0 AS "pendingRows", 0 AS "deadRows", octet_length(body) AS "bodyBytes", code, reason`;

/** `$1` and `$2`: the position, `$3`: limit, `$4`: kind of events. */
const pageSql = (select: string): string =>
  `${select} (received_at, seq) > ($1, $2) ORDER BY received_at, seq LIMIT $3`;

export const LIST_SQL = {
  waiting: pageSql(`SELECT ${EVENT_COLUMNS} FROM events WHERE kind = $4 AND pending_rows > 0 AND`),
  dead: pageSql(`SELECT ${EVENT_COLUMNS} FROM events WHERE kind = $4 AND dead_rows > 0 AND`),
  quarantined: pageSql(`SELECT ${QUARANTINE_COLUMNS} FROM quarantine WHERE`),
} as const;

const countSql = (state: 'waiting' | 'dead', rows: string): string =>
  `SELECT '${state}' AS state, kind, count(*) AS count, min(received_at) AS "oldestReceivedAt",
     CAST(sum(body_bytes) AS bigint) AS bytes
   FROM events WHERE ${rows} > 0 GROUP BY kind`;
/** Read two indexes and the quarantine, not one event. */
export const COUNT_SQL = {
  waiting: countSql('waiting', 'pending_rows'),
  dead: countSql('dead', 'dead_rows'),
  quarantined: `SELECT 'quarantined' AS state, '' AS kind, count(*) AS count, min(received_at) AS "oldestReceivedAt",
    coalesce(sum(octet_length(body)), 0) AS bytes FROM quarantine`,
} as const;

/** For `EngineState`, those of the open transaction included. */
export function countRecords(query: Query): Promise<RecordCount[]> {
  return query(Object.values(COUNT_SQL).join(' UNION ALL '));
}

/** Sorts after every id that begins with the text, by bytes in UTF-8. */
const endOfIds = (start: string): string => `${start}\u{10ffff}`;

/** Methods of an engine. `read` runs what is given to it in one transaction, where the engine has one for that. */
export function createReads(
  read: <T>(work: (query: Query) => Promise<T>) => Promise<T>,
): Pick<Engine, 'list' | 'show' | 'find' | 'gone' | 'recordedUntil'> {
  return {
    list: ({ state, kinds: chosen, after, limit }) =>
      read(async (query) => {
        const page = [after.receivedAt, after.seq, limit];
        if (state === 'quarantined') return chosen === undefined ? query<ListedRecord>(LIST_SQL.quarantined, page) : [];
        // The index goes by kind, of which there are few: a page of all is merged from a page of each.
        const kinds = chosen ?? (await query<RecordCount>(COUNT_SQL[state])).map(({ kind }) => kind);
        const pages = [];
        for (const kind of kinds) pages.push(await query<ListedRecord>(LIST_SQL[state], [...page, kind]));
        return pages.flat().sort((a, b) => a.receivedAt - b.receivedAt || a.seq - b.seq);
      }),
    // An event first: should a quarantined body have its id, it is shown once the event is gone.
    show: (id) => read(async (query) => (await showEvent(query, id)) ?? showQuarantined(query, id)),
    find: (start) =>
      read(async (query) => {
        const sql = `SELECT min(id) AS first, count(*) AS count FROM (
            SELECT event_id AS id FROM events WHERE event_id >= $1 AND event_id < $2 AND delivered_at IS NULL
            UNION SELECT quarantine_id FROM quarantine WHERE quarantine_id >= $1 AND quarantine_id < $2
          ) AS ids`;
        const [{ first, count } = { first: null, count: 0 }] = await query<FoundIds>(sql, [start, endOfIds(start)]);
        return { first, count };
      }),
    gone: (start) =>
      read(async (query) => {
        // A purge leaves no bytes behind.
        const [found, ...others] = await query<GoneEvent>(
          `SELECT event_id AS id, kind, feed, received_at AS "receivedAt", delivered_at AS "goneAt",
             row_count AS "rowCount", mapped_bytes > 0 AS "isDelivered"
           FROM events WHERE event_id >= $1 AND event_id < $2 AND delivered_at IS NOT NULL LIMIT 2`,
          [start, endOfIds(start)],
        );
        if (found === undefined || others.length > 0) return null;
        // SQLite gives 0 or 1.
        return { ...found, isDelivered: Boolean(found.isDelivered) };
      }),
    recordedUntil: () =>
      read(async (query) => {
        const [found] = await query<{ until: number | null }>(
          `SELECT CAST(max(at) - coalesce(sum(CASE WHEN at - before > 86400000 THEN at - before - 86400000 END), 0) AS bigint)
             AS until
           FROM (SELECT delivered_at AS at, lag(delivered_at) OVER (ORDER BY delivered_at) AS before FROM events
             WHERE delivered_at IS NOT NULL) AS deliveries`,
        );
        return found?.until ?? null;
      }),
  };
}

async function showEvent(query: Query, id: string): Promise<RecordDetail | null> {
  const [event] = await query<ListedRecord & FoundRows & { readonly pending: string }>(
    `SELECT ${EVENT_COLUMNS}, pending, shared, own
     FROM events LEFT JOIN (SELECT seq, shared, own FROM bodies) AS bodies USING (seq)
     WHERE event_id = $1 AND delivered_at IS NULL`,
    [id],
  );
  if (event === undefined) return null;
  const { seq, pending, shared, own, ...summary } = event;
  const letters = await query<Omit<DeadLetter, 'rows'> & { readonly rows: string }>(
    'SELECT rows, code, reason, dead_at AS "buriedAt" FROM dead_letters WHERE seq = $1 ORDER BY id',
    [seq],
  );
  return {
    ...summary,
    type: 'event',
    body: bodyOf({ shared, own }),
    charset: null,
    pending: parseRanges(pending),
    deadLetters: letters.map((letter) => ({ ...letter, rows: parseRanges(letter.rows) })),
  };
}

async function showQuarantined(query: Query, id: string): Promise<RecordDetail | null> {
  const [found] = await query<ListedRecord & Pick<RecordDetail, 'charset' | 'body'>>(
    `SELECT ${QUARANTINE_COLUMNS}, charset, body FROM quarantine WHERE quarantine_id = $1`,
    [id],
  );
  if (found === undefined) return null;
  const { seq: _, ...quarantined } = found;
  return { ...quarantined, type: 'quarantine', pending: [], deadLetters: [] };
}
