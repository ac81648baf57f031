import type { Engine, EngineState, RecordCount } from '../engine.ts';
import { endOfIds, type FoundIds, type ListArgs, type ListedRecord, type RecordDetail } from '../records.ts';
import { bodyOf, type FoundRows } from '../rows.ts';
import type { Session } from './database.ts';

const EVENT_COLUMNS = `e.seq, e.event_id AS id, e.kind, e.received_at AS "receivedAt", e.feed, e.row_count AS "rowCount",
  e.pending_rows AS "pendingRows", e.dead_rows AS "deadRows", e.body_bytes AS "bodyBytes", newest.code, newest.reason`;
const NEWEST_LETTER = `LEFT JOIN LATERAL
  (SELECT code, reason FROM dead_letters d WHERE d.seq = e.seq ORDER BY d.id DESC LIMIT 1) newest ON true`;
/** The dead letters of the event `e`, the oldest first. */
export const DEAD_LETTERS = `(SELECT coalesce(json_agg(json_build_object(
  'rows', d.rows::json, 'code', d.code, 'reason', d.reason, 'buriedAt', d.dead_at) ORDER BY d.id), '[]')
  FROM dead_letters d WHERE d.seq = e.seq) AS "deadLetters"`;
/** The length of the body is read without its pages. */
const QUARANTINE_COLUMNS = `seq, quarantine_id AS id, kind, received_at AS "receivedAt", feed, 0 AS "rowCount",
  0 AS "pendingRows", 0 AS "deadRows", octet_length(body) AS "bodyBytes", code, reason`;

/** `$1`: kind or null, `$2` and `$3`: the position, `$4`: limit. The page is chosen in the index alone. */
const eventsWith = (rows: 'pending_rows' | 'dead_rows'): string => `
  SELECT ${EVENT_COLUMNS} FROM (
    SELECT seq FROM events
    WHERE ${rows} > 0 AND ($1::text IS NULL OR kind = $1) AND (received_at, seq) > ($2::bigint, $3::bigint)
    ORDER BY received_at, seq LIMIT $4
  ) page JOIN events e USING (seq) ${NEWEST_LETTER} ORDER BY e.received_at, e.seq`;

const LIST = {
  waiting: eventsWith('pending_rows'),
  dead: eventsWith('dead_rows'),
  quarantined: `SELECT ${QUARANTINE_COLUMNS} FROM quarantine
    WHERE $1::text IS NULL AND (received_at, seq) > ($2::bigint, $3::bigint) ORDER BY received_at, seq LIMIT $4`,
} as const;

export function listRecords(session: Session, { state, kind, after, limit }: ListArgs): Promise<ListedRecord[]> {
  return session.query(LIST[state], [kind, after.receivedAt, after.seq, limit]);
}

/** An event first: should a quarantined body have its id, it is shown once the event is gone. */
export async function showRecord(session: Session, id: string): Promise<RecordDetail | null> {
  const [event] = await session.query<ListedRecord & FoundRows & Pick<RecordDetail, 'pending' | 'deadLetters'>>(
    `SELECT ${EVENT_COLUMNS}, e.pending::json, ${DEAD_LETTERS}, b.shared, b.own
     FROM events e LEFT JOIN bodies b USING (seq) ${NEWEST_LETTER} WHERE e.event_id = $1 AND e.delivered_at IS NULL`,
    [id],
  );
  if (event !== undefined) {
    const { seq: _, shared, own, ...detail } = event;
    return { ...detail, type: 'event', body: bodyOf({ shared, own }), charset: null };
  }
  const [quarantined] = await session.query<ListedRecord & Pick<RecordDetail, 'body' | 'charset'>>(
    `SELECT ${QUARANTINE_COLUMNS}, charset, body FROM quarantine WHERE quarantine_id = $1`,
    [id],
  );
  if (quarantined === undefined) return null;
  const { seq: _, ...detail } = quarantined;
  return { ...detail, type: 'quarantine', pending: [], deadLetters: [] };
}

export async function findRecords(session: Session, start: string): Promise<FoundIds> {
  const [found] = await session.query<FoundIds>(
    `SELECT min(id) AS first, count(*) AS count FROM (
       SELECT event_id AS id FROM events WHERE event_id >= $1 AND event_id < $2 AND delivered_at IS NULL
       UNION SELECT quarantine_id FROM quarantine WHERE quarantine_id >= $1 AND quarantine_id < $2) ids`,
    [start, endOfIds(start)],
  );
  return found ?? { first: null, count: 0 };
}

export function findGone(session: Session, start: string): ReturnType<Engine['gone']> {
  return session.query(
    `SELECT event_id AS id, kind, feed, received_at AS "receivedAt", delivered_at AS "goneAt", row_count AS "rowCount",
       mapped_bytes AS "mappedBytes"
     FROM events WHERE event_id >= $1 AND event_id < $2 AND delivered_at IS NOT NULL LIMIT 2`,
    [start, endOfIds(start)],
  );
}

/** A standby, or a server that was made read-only, as Azure does with one that runs out of storage. */
export async function isReadOnly(session: Session): Promise<boolean> {
  const [found] = await session.query<{ read_only: boolean }>(
    `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only`,
  );
  return found?.read_only === true;
}

/** What a record takes beside its body: row, indexes, dead letters, and the versions that wait for a vacuum. */
export const RECORD_BYTES = 512;
const IDENTITY_BYTES = 200;

/** Reads two indexes and the quarantine, not one event. */
const COUNTS = `
  SELECT 'waiting' AS state, kind, count(*), sum(body_bytes)::bigint AS bytes, min(received_at) AS "oldestReceivedAt"
    FROM events WHERE pending_rows > 0 GROUP BY kind
  UNION ALL SELECT 'dead', '', count(*), coalesce(sum(body_bytes), 0)::bigint, min(received_at)
    FROM events WHERE dead_rows > 0
  UNION ALL SELECT 'quarantined', '', count(*), coalesce(sum(octet_length(body)), 0)::bigint, min(received_at)
    FROM quarantine`;
/** The server's own estimate. */
const IDENTITIES = `SELECT greatest(reltuples, 0)::bigint AS known FROM pg_class WHERE oid = 'events'::regclass`;

/**
 * Counts, ages and sizes, those of the open transaction included. OUTBOX_MAX_BYTES is compared with what is stored plus an
 * allowance for each record, not with the files, which shrink only when the server vacuums.
 */
export async function readState(session: Session): Promise<EngineState> {
  const counts = await session.query<RecordCount>(COUNTS);
  const [{ known = 0 } = {}] = await session.query<{ known?: number }>(IDENTITIES);
  const dataBytes = counts.reduce(
    (sum, { count, bytes }) => sum + bytes + count * RECORD_BYTES,
    known * IDENTITY_BYTES,
  );
  const refuses = (await isReadOnly(session)) ? 'the database is read-only: a standby, or set so' : null;
  return { counts, dataBytes, logBytes: 0, refuses };
}

/** See Engine. */
export async function recordedUntil(session: Session): Promise<number | null> {
  const [found] = await session.query<{ until: number | null }>(
    `SELECT (max(at) - coalesce(sum(greatest(0, at - before - 86400000)), 0))::bigint AS until
     FROM (SELECT delivered_at AS at, lag(delivered_at) OVER (ORDER BY delivered_at) AS before FROM events
       WHERE delivered_at IS NOT NULL) AS deliveries`,
  );
  return found?.until ?? null;
}
