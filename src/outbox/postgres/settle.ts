import type { DeadRows, RowRange, Settlement, SettlementOutcome } from '../port.ts';
import { countRows } from '../ranges.ts';
import { countDead, settleRows } from '../settling.ts';
import { type Database, RollbackError, type Session } from './database.ts';
import { type Counted, Tally } from './tally.ts';

export interface SettleCall {
  readonly settlements: readonly Settlement[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

interface EventRow {
  readonly seq: number;
  readonly event_id: string;
  readonly kind: string;
  readonly row_count: number;
  readonly pending: string;
  readonly dead_rows: number;
  readonly body_bytes: number;
  readonly token: number | null;
  readonly claimed: string | null;
}

interface Burial extends DeadRows {
  readonly seq: number;
  readonly deadAt: number;
}

/** An event while a group of settlements is worked out; nothing is written before that is done. */
interface Open {
  readonly row: EventRow;
  readonly pending: readonly RowRange[];
  readonly deadRows: number;
  /** Of the claim; none: it is over. */
  readonly held: readonly RowRange[];
  readonly burials: readonly Burial[];
  readonly settledAt: number;
}

/** One result a call: its outcomes, or the RangeError that was its own fault. */
export async function settleCalls(
  database: Database,
  calls: readonly SettleCall[],
): Promise<(readonly SettlementOutcome[] | Error)[]> {
  try {
    return await database.transaction('write', async (session) => {
      const finished = await finishWhole(session, calls);
      const left = calls.map(({ settlements, now }) => ({
        settlements: settlements.filter(({ eventId }) => !finished.has(eventId)),
        now,
      }));
      const results = await settleEach(session, left);
      // Of a call that is at fault nothing may be applied.
      if (results.some((result) => result instanceof Error)) throw new FaultError();
      return calls.map(({ settlements }, index) => {
        const others = (results[index] as readonly SettlementOutcome[]).values();
        return settlements.map(({ eventId }) => (finished.has(eventId) ? 'applied' : (others.next().value ?? 'stale')));
      });
    });
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    return database.transaction('write', (session) => settleEach(session, calls));
  }
}

class FaultError extends RollbackError {}

/**
 * What nearly all settlements are: all rows that wait of an event, of which none is dead, were claimed and are delivered.
 * The body goes, the identity stays. Locks the others too, in the order of `seq`, as everybody locks events.
 */
const FINISH_WHOLE = `
  WITH held AS MATERIALIZED (
    SELECT e.seq, e.event_id, e.kind, octet_length(e.body) AS bytes, s.settled_at,
      e.token = s.token AND e.claimed = s.rows AND e.pending = s.rows AND e.dead_rows = 0 AS is_whole
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS s (event_id, token, rows, settled_at)
      JOIN events e USING (event_id)
    ORDER BY e.seq FOR UPDATE OF e
  ), whole AS (
    SELECT * FROM held WHERE is_whole
  ), gone AS (
    DELETE FROM events e USING whole w WHERE e.seq = w.seq
  ), remembered AS (
    UPDATE identities i SET delivered_at = w.settled_at FROM whole w WHERE i.event_id = w.event_id
  ), tallied AS (
    INSERT INTO tallies (state, kind, n, bytes)
    SELECT 'waiting', kind, -count(*), -sum(bytes) FROM whole GROUP BY kind
    UNION ALL SELECT 'event', '', -count(*), -sum(bytes) FROM whole HAVING count(*) > 0
  )
  SELECT ARRAY(SELECT id FROM unnest($1::text[]) AS asked (id) WHERE id NOT IN (SELECT event_id FROM whole)) AS others`;

async function finishWhole(session: Session, calls: readonly SettleCall[]): Promise<ReadonlySet<string>> {
  const plain = new Map<string, { readonly token: number; readonly rows: string; readonly now: number } | null>();
  for (const { settlements, now } of calls) {
    for (const { eventId, token, delivered, dead } of settlements) {
      // Of two settlements of one event the second depends on the first.
      const isPlain = dead.length === 0 && delivered.length > 0 && Number.isSafeInteger(token) && !plain.has(eventId);
      plain.set(eventId, isPlain ? { token, rows: JSON.stringify(delivered), now } : null);
    }
  }
  if ([...plain.values()].every((each) => each === null)) return new Set();
  // Those that are not plain match nothing, and are locked only.
  const none = { token: null, rows: null, now: null };
  const asked = storable(plain.keys()).map((eventId) => ({ eventId, ...(plain.get(eventId) ?? none) }));
  const [row] = await session.query<{ others: string[] }>(FINISH_WHOLE, [
    asked.map(({ eventId }) => eventId),
    asked.map(({ token }) => token),
    asked.map(({ rows }) => rows),
    asked.map(({ now }) => now),
  ]);
  if (row === undefined) throw new Error('The database does not say what it settled');
  const finished = new Set(asked.map(({ eventId }) => eventId));
  for (const eventId of row.others) finished.delete(eventId);
  return finished;
}

async function settleEach(
  session: Session,
  calls: readonly SettleCall[],
): Promise<(readonly SettlementOutcome[] | Error)[]> {
  if (calls.every(({ settlements }) => settlements.length === 0)) return calls.map(() => []);
  let events = await lockEvents(session, calls);
  const results = calls.map((call) => {
    // A call that is at fault leaves everything as it was before it.
    const tried = new Map(events);
    try {
      const outcomes = call.settlements.map((settlement) => settleOne(tried, settlement, call.now));
      events = tried;
      return outcomes;
    } catch (error) {
      if (error instanceof RangeError) return error;
      throw error;
    }
  });
  await write(session, [...events.values()]);
  return results;
}

/** In the order of `seq`, as everybody locks events: nobody waits in a circle. */
async function lockEvents(session: Session, calls: readonly SettleCall[]): Promise<Map<string, Open>> {
  const ids = new Set(calls.flatMap(({ settlements }) => settlements.map(({ eventId }) => eventId)));
  const rows = await session.query<EventRow>(
    `SELECT seq, event_id, kind, row_count, pending, dead_rows, octet_length(body) AS body_bytes, token, claimed
     FROM events WHERE event_id = ANY ($1::text[]) ORDER BY seq FOR UPDATE`,
    [storable(ids)],
  );
  return new Map(
    rows.map((row) => [
      row.event_id,
      {
        row,
        pending: JSON.parse(row.pending) as readonly RowRange[],
        deadRows: row.dead_rows,
        held: row.claimed === null ? [] : (JSON.parse(row.claimed) as readonly RowRange[]),
        burials: [],
        settledAt: 0,
      },
    ]),
  );
}

/** No text of the database holds U+0000: there is no record of such an id. */
export function storable(ids: Iterable<string>): string[] {
  return [...ids].filter((id) => !id.includes('\0'));
}

function settleOne(events: Map<string, Open>, settlement: Settlement, now: number): SettlementOutcome {
  const open = events.get(settlement.eventId);
  if (open === undefined || open.row.token !== settlement.token || open.held.length === 0) return 'stale';
  const { row, pending } = open;
  const settled = settleRows(settlement, { rowCount: row.row_count, pending }, open.held);
  events.set(settlement.eventId, {
    row,
    pending: settled.pending,
    deadRows: open.deadRows + countDead(settled.buried),
    held: settled.held,
    burials: [...open.burials, ...settled.buried.map((dead) => ({ ...dead, seq: row.seq, deadAt: now }))],
    settledAt: now,
  });
  return 'applied';
}

async function write(session: Session, all: readonly Open[]): Promise<void> {
  const changed = all.filter(({ settledAt }) => settledAt > 0);
  const isDone = ({ pending, deadRows }: Open): boolean => pending.length === 0 && deadRows === 0;
  await finish(session, changed.filter(isDone));
  await update(
    session,
    changed.filter((open) => !isDone(open)),
  );
  await bury(
    session,
    changed.flatMap(({ burials }) => burials),
  );
  const tally = new Tally();
  for (const open of changed) tally.event(countedBefore(open.row), isDone(open) ? null : countedAfter(open));
  await tally.write(session);
}

/** All rows are delivered: the body goes, the identity stays. */
async function finish(session: Session, done: readonly Open[]): Promise<void> {
  if (done.length === 0) return;
  await session.run(
    `WITH gone AS (DELETE FROM events WHERE seq = ANY ($1::bigint[]))
     UPDATE identities i SET delivered_at = d.at FROM unnest($2::text[], $3::bigint[]) AS d (event_id, at)
     WHERE i.event_id = d.event_id`,
    [done.map(({ row }) => row.seq), done.map(({ row }) => row.event_id), done.map(({ settledAt }) => settledAt)],
  );
}

async function update(session: Session, left: readonly Open[]): Promise<void> {
  if (left.length === 0) return;
  await session.run(
    `UPDATE events e SET pending = u.pending, pending_rows = u.pending_rows, dead_rows = u.dead_rows,
       claimed = u.claimed, token = CASE WHEN u.claimed IS NULL THEN NULL ELSE e.token END,
       holder = CASE WHEN u.claimed IS NULL THEN NULL ELSE e.holder END
     FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::text[])
       AS u (seq, pending, pending_rows, dead_rows, claimed)
     WHERE e.seq = u.seq`,
    [
      left.map(({ row }) => row.seq),
      left.map(({ pending }) => JSON.stringify(pending)),
      left.map(({ pending }) => countRows(pending)),
      left.map(({ deadRows }) => deadRows),
      left.map(({ held }) => (held.length === 0 ? null : JSON.stringify(held))),
    ],
  );
}

async function bury(session: Session, burials: readonly Burial[]): Promise<void> {
  if (burials.length === 0) return;
  await session.run(
    `INSERT INTO dead_letters (seq, rows, code, reason, dead_at)
     SELECT seq, rows, code, decode(reason, 'base64'), dead_at
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
       WITH ORDINALITY AS b (seq, rows, code, reason, dead_at, n) ORDER BY n`,
    [
      burials.map(({ seq }) => seq),
      burials.map(({ rows }) => JSON.stringify(rows)),
      burials.map(({ code }) => code),
      burials.map(({ reason }) => Buffer.from(reason).toString('base64')),
      burials.map(({ deadAt }) => deadAt),
    ],
  );
}

function countedBefore({ kind, pending, dead_rows, body_bytes }: EventRow): Counted {
  const pendingRows = countRows(JSON.parse(pending) as readonly RowRange[]);
  return { kind, pendingRows, deadRows: dead_rows, bodyBytes: body_bytes };
}

function countedAfter({ row, pending, deadRows }: Open): Counted {
  return { kind: row.kind, pendingRows: countRows(pending), deadRows, bodyBytes: row.body_bytes };
}
