import type { Position } from '../cursor.ts';
import type { EventMeta, RowRange } from '../port.ts';
import { type DeadLetter, endOfIds, type FoundIds, type RecordDetail, type RecordSummary } from '../records.ts';
import type { ListArgs } from '../requests.ts';
import type { Session } from './database.ts';
import { storable } from './settle.ts';

/** The records of one page, and where the next one begins; null when there is none. */
export interface Page {
  readonly records: readonly RecordSummary[];
  readonly next: Position | null;
}

interface SummaryRow {
  readonly seq: number;
  readonly id: string;
  readonly kind: string | null;
  readonly received_at: number;
  readonly feed: Buffer | null;
  readonly row_count: number;
  readonly pending_rows: number;
  readonly dead_rows: number;
  readonly body_bytes: number;
  readonly code: string | null;
  readonly reason: Buffer | null;
}

interface EventRow extends SummaryRow {
  readonly body_form: EventMeta['bodyForm'];
  readonly pending: string;
  readonly body: Buffer;
}

interface LetterRow {
  readonly rows: string;
  readonly code: string;
  readonly reason: Buffer;
  readonly dead_at: number;
}

/** Without the body: its length is known without its pages. */
const EVENT_COLUMNS = `e.seq, e.event_id AS id, e.kind, e.received_at, e.feed, e.row_count, e.pending_rows, e.dead_rows,
  octet_length(e.body) AS body_bytes, newest.code, newest.reason`;
const NEWEST_LETTER = `LEFT JOIN LATERAL
  (SELECT code, reason FROM dead_letters d WHERE d.seq = e.seq ORDER BY d.id DESC LIMIT 1) newest ON true`;
const QUARANTINE_COLUMNS = `seq, quarantine_id AS id, kind, received_at, feed, 0 AS row_count, 0 AS pending_rows,
  0 AS dead_rows, octet_length(body) AS body_bytes, code, reason`;

/** $1: kind or null, $2 and $3: the cursor, $4: limit. The index goes by kind: a page of all is merged from one of each. */
const eventsOf = (state: 'waiting' | 'dead'): string => `
  SELECT ${EVENT_COLUMNS} FROM (
    SELECT e.* FROM (SELECT DISTINCT kind FROM tallies WHERE state = '${state}' AND ($1::text IS NULL OR kind = $1)) k
    CROSS JOIN LATERAL (
      SELECT * FROM events WHERE kind = k.kind AND ${state === 'waiting' ? 'pending_rows' : 'dead_rows'} > 0
        AND (received_at, seq) > ($2::bigint, $3::bigint) ORDER BY received_at, seq LIMIT $4
    ) e ORDER BY e.received_at, e.seq LIMIT $4
  ) e ${NEWEST_LETTER} ORDER BY e.received_at, e.seq`;

const LIST_SQL = {
  waiting: eventsOf('waiting'),
  dead: eventsOf('dead'),
  quarantined: `SELECT ${QUARANTINE_COLUMNS} FROM quarantine
    WHERE $1::text IS NULL AND (received_at, seq) > ($2::bigint, $3::bigint) ORDER BY received_at, seq LIMIT $4`,
} as const;

export async function listRecords(session: Session, { state, kind, after, limit }: ListArgs): Promise<Page> {
  if (kind?.includes('\0')) return { records: [], next: null };
  const rows = await session.query<SummaryRow>(LIST_SQL[state], [kind, after.receivedAt, after.seq, limit + 1]);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const isLast = rows.length <= limit || last === undefined;
  return { records: page.map(toSummary), next: isLast ? null : { receivedAt: last.received_at, seq: last.seq } };
}

/** An event first: should a quarantined body have its id, it is shown once the event is gone. */
export async function showRecord(session: Session, id: string): Promise<RecordDetail | null> {
  if (storable([id]).length === 0) return null;
  const [event] = await session.query<EventRow>(
    `SELECT ${EVENT_COLUMNS}, e.body_form, e.pending, e.body FROM events e ${NEWEST_LETTER} WHERE e.event_id = $1`,
    [id],
  );
  if (event !== undefined) return toDetail(event, await lettersOf(session, event.seq));
  const [quarantined] = await session.query<SummaryRow & { body: Buffer; charset: string | null }>(
    `SELECT ${QUARANTINE_COLUMNS}, charset, body FROM quarantine WHERE quarantine_id = $1`,
    [id],
  );
  if (quarantined === undefined) return null;
  const { body, charset } = quarantined;
  return { ...toSummary(quarantined), type: 'quarantine', body, charset, meta: null, pending: [], deadLetters: [] };
}

export async function findRecords(session: Session, start: string): Promise<FoundIds> {
  if (storable([start]).length === 0) return { first: null, count: 0 };
  const [found] = await session.query<FoundIds>(
    `SELECT min(id) AS first, count(*)::integer AS count FROM (
       SELECT event_id AS id FROM events WHERE event_id >= $1 AND event_id < $2
       UNION SELECT quarantine_id FROM quarantine WHERE quarantine_id >= $1 AND quarantine_id < $2) ids`,
    [start, endOfIds(start)],
  );
  return { first: found?.first ?? null, count: found?.count ?? 0 };
}

export async function lettersOf(session: Session, seq: number): Promise<DeadLetter[]> {
  const rows = await session.query<LetterRow>(
    'SELECT rows, code, reason, dead_at FROM dead_letters WHERE seq = $1 ORDER BY id',
    [seq],
  );
  return rows.map((row) => ({
    rows: JSON.parse(row.rows) as readonly RowRange[],
    code: row.code,
    reason: row.reason.toString(),
    buriedAt: row.dead_at,
  }));
}

function toDetail(event: EventRow, deadLetters: readonly DeadLetter[]): RecordDetail {
  const summary = toSummary(event);
  return {
    ...summary,
    type: 'event',
    body: event.body,
    meta: { receivedAt: event.received_at, bodyForm: event.body_form, feed: summary.feed },
    pending: JSON.parse(event.pending) as readonly RowRange[],
    deadLetters,
  };
}

function toSummary(row: SummaryRow): RecordSummary {
  return {
    id: row.id,
    kind: row.kind,
    receivedAt: row.received_at,
    feed: row.feed?.toString() ?? null,
    rowCount: row.row_count,
    pendingRows: row.pending_rows,
    deadRows: row.dead_rows,
    bodyBytes: row.body_bytes,
    code: row.code,
    reason: row.reason?.toString() ?? null,
  };
}
