import type { RowRange } from '../../ground/event.ts';
import type { Settlement, SettlementOutcome } from '../port.ts';
import { countDead, countRows, formatRanges, mergeRanges, settleRows } from '../rows.ts';
import type { Query } from './database.ts';
import { addLetters, type EventLetter, removeQuarantined } from './put.ts';

/** What becomes of stored events. Everything here locks events in the order of `seq`. */

/** `$1`: a JSON array, `$2`: the time. An event without rows that wait or are dead is delivered. */
const CHANGE = `
  WITH changed AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json)
      AS c (seq bigint, pending text, pending_rows integer, dead_rows integer, claimed text)
  ), gone AS (
    DELETE FROM bodies b USING changed c WHERE b.seq = c.seq AND c.pending_rows + c.dead_rows = 0
  )
  UPDATE events e SET pending = c.pending, pending_rows = c.pending_rows, dead_rows = c.dead_rows, claimed = c.claimed,
    token = CASE WHEN c.claimed IS NOT NULL THEN e.token END, holder = CASE WHEN c.claimed IS NOT NULL THEN e.holder END,
    delivered_at = CASE WHEN c.pending_rows + c.dead_rows = 0 THEN $2::bigint END
  FROM changed c WHERE e.seq = c.seq`;

/** An event while it is worked out what becomes of it. */
interface Open {
  readonly seq: number;
  readonly rowCount: number;
  readonly token: number | null;
  readonly pending: readonly RowRange[];
  readonly deadRows: number;
  /** The rows of the claim that are not settled yet; without any it is over. */
  readonly held: readonly RowRange[];
}

/** Those that are there and not delivered, by id. */
async function lockEvents(query: Query, ids: readonly string[]): Promise<Map<string, Open>> {
  const rows = await query<Open & { readonly id: string }>(
    `SELECT event_id AS id, seq, row_count AS "rowCount", token, pending::json, dead_rows AS "deadRows",
       coalesce(claimed, '[]')::json AS held
     FROM events WHERE event_id = ANY ($1::text[]) AND delivered_at IS NULL ORDER BY seq FOR UPDATE`,
    [ids],
  );
  return new Map(rows.map(({ id, ...event }) => [id, event]));
}

async function change(query: Query, events: Iterable<Open>, now: number): Promise<void> {
  const rows = [...events].map(({ seq, pending, deadRows, held }) => ({
    seq,
    pending: formatRanges(pending),
    pending_rows: countRows(pending),
    dead_rows: deadRows,
    claimed: held.length === 0 ? null : formatRanges(held),
  }));
  if (rows.length > 0) await query(CHANGE, [JSON.stringify(rows), now]);
}

/** See Engine. Throws a RangeError for a settlement that is wrong. */
export async function settleAll(query: Query, settlements: readonly Settlement[], now: number) {
  const ids = settlements.map(({ eventId }) => eventId);
  const events = await lockEvents(query, ids);
  const changed = new Map<string, Open>();
  const letters: EventLetter[] = [];
  const outcomes = settlements.map((settlement): SettlementOutcome => {
    const event = changed.get(settlement.eventId) ?? events.get(settlement.eventId);
    if (event === undefined || event.token !== settlement.token || event.held.length === 0) return 'stale';
    const { pending, held, buried } = settleRows(settlement, event, event.held);
    changed.set(settlement.eventId, { ...event, pending, held, deadRows: event.deadRows + countDead(buried) });
    letters.push(...buried.map((dead) => ({ ...dead, seq: event.seq, buriedAt: now })));
    return 'applied';
  });
  await change(query, changed.values(), now);
  await addLetters(query, letters);
  return outcomes;
}

/** How many rows of each event wait again. A claim goes on with the rows that it had. */
export async function revive(query: Query, eventIds: readonly string[]): Promise<number[]> {
  const events = await lockEvents(query, eventIds);
  const dead = [...events.values()].filter(({ deadRows }) => deadRows > 0);
  const letters = await removeLetters(query, dead);
  const revived = dead.map((event) => {
    const rows = letters.filter(({ seq }) => seq === event.seq).flatMap((letter) => letter.rows);
    return { ...event, pending: mergeRanges(event.pending, rows), deadRows: 0 };
  });
  await change(query, revived, 0);
  return eventIds.map((id) => {
    const count = events.get(id)?.deadRows ?? 0;
    events.delete(id);
    return count;
  });
}

export async function purge(query: Query, ids: readonly string[], now: number): Promise<boolean[]> {
  const events = await lockEvents(query, ids);
  const purged = [...events.values()].map((event) => ({ ...event, pending: [], deadRows: 0, held: [] }));
  await removeLetters(query, purged);
  await change(query, purged, now);
  await query('UPDATE events SET mapped_bytes = 0 WHERE seq = ANY ($1::bigint[])', [purged.map(({ seq }) => seq)]);
  // An id that is an event's names that; the same id once more names the quarantined body that has it.
  const isEvent = ids.map((id) => events.delete(id));
  const others = ids.filter((_, index) => isEvent[index] === false);
  const bodies = await removeQuarantined(query, others);
  return ids.map((id, index) => isEvent[index] === true || bodies.delete(id));
}

function removeLetters(query: Query, events: readonly Open[]) {
  return query<{ seq: number; rows: RowRange[] }>(
    'DELETE FROM dead_letters WHERE seq = ANY ($1::bigint[]) RETURNING seq, rows::json',
    [events.map(({ seq }) => seq)],
  );
}

/** How many identities were forgotten. So are replicas that have been gone for a day: their claims are long over. */
export async function prune(query: Query, deliveredBefore: number, limit: number): Promise<number> {
  await query(`DELETE FROM replicas WHERE alive_until < clock_timestamp() - interval '1 day'`);
  const forgotten = await query(
    `DELETE FROM events WHERE seq = ANY (ARRAY(
       SELECT seq FROM events WHERE delivered_at < $1 ORDER BY delivered_at LIMIT $2 FOR UPDATE SKIP LOCKED))
     RETURNING seq`,
    [deliveredBefore, limit],
  );
  return forgotten.length;
}
