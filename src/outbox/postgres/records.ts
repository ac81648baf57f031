import type { RecordSlice } from '../engine.ts';
import { parseRanges } from '../ranges.ts';
import {
  type DeadLetter,
  endOfIds,
  type FoundIds,
  type ListArgs,
  type RecordDetail,
  type RecordSummary,
} from '../records.ts';
import { arrayOf, parseRows, type StoredRows } from '../rows.ts';
import type { Session } from './database.ts';

type SummaryRow = RecordSummary & { readonly seq: number };

const EVENT_COLUMNS = `e.seq, e.event_id AS id, e.kind, e.received_at AS "receivedAt", e.feed, e.row_count AS "rowCount",
  e.pending_rows AS "pendingRows", e.dead_rows AS "deadRows", e.body_bytes AS "bodyBytes", newest.code, newest.reason`;
const NEWEST_LETTER = `LEFT JOIN LATERAL
  (SELECT code, reason FROM dead_letters d WHERE d.seq = e.seq ORDER BY d.id DESC LIMIT 1) newest ON true`;
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

export async function listRecords(session: Session, { state, kind, after, limit }: ListArgs): Promise<RecordSlice> {
  if (kind?.includes('\0')) return { records: [], next: null };
  const rows = await session.query<SummaryRow>(LIST[state], [kind, after.receivedAt, after.seq, limit + 1]);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const isLast = rows.length <= limit || last === undefined;
  return { records: page.map(toSummary), next: isLast ? null : { receivedAt: last.receivedAt, seq: last.seq } };
}

function toSummary({ seq: _, ...summary }: SummaryRow): RecordSummary {
  return summary;
}

/** An event first: should a quarantined body have its id, it is shown once the event is gone. */
export async function showRecord(session: Session, id: string): Promise<RecordDetail | null> {
  if (id.includes('\0')) return null;
  const [event] = await session.query<SummaryRow & StoredRows & { pending: string }>(
    `SELECT ${EVENT_COLUMNS}, e.pending, b.shared, b.own FROM events e JOIN bodies b USING (seq) ${NEWEST_LETTER}
     WHERE e.event_id = $1 AND e.delivered_at IS NULL`,
    [id],
  );
  if (event !== undefined) {
    const { seq, pending, shared, own, ...summary } = event;
    const body = new TextEncoder().encode(arrayOf(parseRows({ shared, own })));
    const deadLetters = (await lettersOf(session, [seq])).get(seq) ?? [];
    return { ...summary, type: 'event', body, charset: null, pending: parseRanges(pending), deadLetters };
  }
  const [quarantined] = await session.query<SummaryRow & Pick<RecordDetail, 'body' | 'charset'>>(
    `SELECT ${QUARANTINE_COLUMNS}, charset, body FROM quarantine WHERE quarantine_id = $1`,
    [id],
  );
  if (quarantined === undefined) return null;
  const { seq: _, ...detail } = quarantined;
  return { ...detail, type: 'quarantine', pending: [], deadLetters: [] };
}

export async function findRecords(session: Session, start: string): Promise<FoundIds> {
  const none = { first: null, count: 0 };
  if (start.includes('\0')) return none;
  const [found] = await session.query<FoundIds>(
    `SELECT min(id) AS first, count(*) AS count FROM (
       SELECT event_id AS id FROM events WHERE event_id >= $1 AND event_id < $2 AND delivered_at IS NULL
       UNION SELECT quarantine_id FROM quarantine WHERE quarantine_id >= $1 AND quarantine_id < $2) ids`,
    [start, endOfIds(start)],
  );
  return found ?? none;
}

/** By the number of the event. */
export async function lettersOf(session: Session, seqs: readonly number[]): Promise<Map<number, DeadLetter[]>> {
  const letters = await session.query<Omit<DeadLetter, 'rows'> & { seq: number; rows: string }>(
    `SELECT seq, rows, code, reason, dead_at AS "buriedAt" FROM dead_letters
     WHERE seq = ANY ($1::bigint[]) ORDER BY id`,
    [seqs],
  );
  const bySeq = new Map<number, DeadLetter[]>(seqs.map((seq) => [seq, []]));
  for (const { seq, rows, ...letter } of letters) bySeq.get(seq)?.push({ ...letter, rows: parseRanges(rows) });
  return bySeq;
}
