import type { RowRange } from '../port.ts';
import { countRows, mergeRanges } from '../ranges.ts';
import type { Session } from './database.ts';
import { storable } from './settle.ts';
import { Tally } from './tally.ts';

/** What an operator changes, and what time does. */

interface EventRow {
  readonly seq: number;
  readonly event_id: string;
  readonly kind: string;
  readonly pending: string;
  readonly pending_rows: number;
  readonly dead_rows: number;
  readonly body_bytes: number;
}

const EVENT_COLUMNS = 'seq, event_id, kind, pending, pending_rows, dead_rows, octet_length(body) AS body_bytes';

const countedOf = (row: EventRow) => ({
  kind: row.kind,
  pendingRows: row.pending_rows,
  deadRows: row.dead_rows,
  bodyBytes: row.body_bytes,
});

export interface Revived {
  /** In the order of the ids: rows that wait again. */
  readonly counts: readonly number[];
  readonly kinds: readonly string[];
}

/** A claim of the event goes on with the rows that it had. */
export async function reviveEvents(session: Session, eventIds: readonly string[]): Promise<Revived> {
  const rows = await session.query<EventRow>(
    `SELECT ${EVENT_COLUMNS} FROM events WHERE event_id = ANY ($1::text[]) AND dead_rows > 0 ORDER BY seq FOR UPDATE`,
    [storable(new Set(eventIds))],
  );
  const events = new Map(rows.map((row) => [row.event_id, row]));
  const dead = await takeLetters(
    session,
    rows.map(({ seq }) => seq),
  );
  const tally = new Tally();
  const revived = new Map<string, number>();
  const updates = rows.map((row) => {
    const before = JSON.parse(row.pending) as readonly RowRange[];
    const pending = mergeRanges(before, dead.get(row.seq) ?? []);
    const pendingRows = countRows(pending);
    revived.set(row.event_id, pendingRows - countRows(before));
    tally.event(countedOf(row), { ...countedOf(row), pendingRows, deadRows: 0 });
    return { seq: row.seq, pending: JSON.stringify(pending), pendingRows };
  });
  if (updates.length > 0) {
    await session.run(
      `UPDATE events e SET pending = u.pending, pending_rows = u.pending_rows, dead_rows = 0
       FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS u (seq, pending, pending_rows) WHERE e.seq = u.seq`,
      [updates.map(({ seq }) => seq), updates.map(({ pending }) => pending), updates.map((each) => each.pendingRows)],
    );
  }
  await tally.write(session);
  const counts = eventIds.map((id) => {
    const count = revived.get(id) ?? 0;
    revived.delete(id);
    return count;
  });
  return { counts, kinds: [...new Set([...events.values()].map(({ kind }) => kind))] };
}

async function takeLetters(session: Session, seqs: readonly number[]): Promise<Map<number, RowRange[]>> {
  const bySeq = new Map<number, RowRange[]>();
  if (seqs.length === 0) return bySeq;
  const letters = await session.query<{ seq: number; rows: string }>(
    'DELETE FROM dead_letters WHERE seq = ANY ($1::bigint[]) RETURNING seq, rows',
    [seqs],
  );
  for (const { seq, rows } of letters) {
    bySeq.set(seq, [...(bySeq.get(seq) ?? []), ...(JSON.parse(rows) as readonly RowRange[])]);
  }
  return bySeq;
}

/**
 * In the order of the ids: whether there was such a record. A claim of it is stale from then on. The identity of an event
 * counts as delivered from then on, so that it is forgotten after DEDUP_DAYS like any other, or goes too.
 */
export async function purgeRecords(
  session: Session,
  ids: readonly string[],
  identities: { readonly deliveredAt: number } | 'forget',
): Promise<boolean[]> {
  const asked = storable(new Set(ids));
  const events = await session.query<EventRow>(
    `SELECT ${EVENT_COLUMNS} FROM events WHERE event_id = ANY ($1::text[]) ORDER BY seq FOR UPDATE`,
    [asked],
  );
  const bodies = await session.query<{ seq: number; id: string; bytes: number }>(
    `SELECT seq, quarantine_id AS id, octet_length(body) AS bytes FROM quarantine
     WHERE quarantine_id = ANY ($1::text[]) ORDER BY seq FOR UPDATE`,
    [asked],
  );
  const foundEvents = new Map(events.map((row) => [row.event_id, row]));
  const foundBodies = new Map(bodies.map((row) => [row.id, row]));
  const purgedEvents: EventRow[] = [];
  const purgedBodies: number[] = [];
  const tally = new Tally();
  const purged = ids.map((id) => {
    const event = foundEvents.get(id);
    const body = event === undefined ? foundBodies.get(id) : undefined;
    if (event !== undefined) {
      foundEvents.delete(id);
      purgedEvents.push(event);
      tally.event(countedOf(event), null);
    } else if (body !== undefined) {
      foundBodies.delete(id);
      purgedBodies.push(body.seq);
      tally.add('quarantined', '', -1, -body.bytes);
    }
    return event !== undefined || body !== undefined;
  });
  if (purgedEvents.length > 0) {
    const seqs = purgedEvents.map(({ seq }) => seq);
    await takeLetters(session, seqs);
    const gone = 'WITH gone AS (DELETE FROM events WHERE seq = ANY ($1::bigint[]) RETURNING event_id)';
    const those = 'WHERE event_id IN (SELECT event_id FROM gone)';
    if (identities === 'forget') {
      const forgotten = await session.run(`${gone} DELETE FROM identities ${those}`, [seqs]);
      tally.add('identity', '', -forgotten, 0);
    } else {
      await session.run(`${gone} UPDATE identities SET delivered_at = $2 ${those}`, [seqs, identities.deliveredAt]);
    }
  }
  if (purgedBodies.length > 0)
    await session.run('DELETE FROM quarantine WHERE seq = ANY ($1::bigint[])', [purgedBodies]);
  await tally.write(session);
  return purged;
}

/** Some hundredths of a second of work. */
export const PRUNE_CHUNK = 2_000;

/** Forgets one chunk of the identities that were delivered before a time, in ms since the epoch. How many. */
export async function pruneChunk(session: Session, deliveredBefore: number): Promise<number> {
  const forgotten = await session.run(
    `DELETE FROM identities WHERE event_id = ANY (ARRAY(
       SELECT event_id FROM identities WHERE delivered_at < $1 ORDER BY delivered_at LIMIT ${PRUNE_CHUNK}
       FOR UPDATE SKIP LOCKED))`,
    [deliveredBefore],
  );
  const tally = new Tally();
  tally.add('identity', '', -forgotten, 0);
  await tally.write(session);
  return forgotten;
}

/** See Outbox.recordedUntil. */
export async function recordedUntil(session: Session): Promise<number | null> {
  const [found] = await session.query<{ until: number | null }>(
    `SELECT (max(at) - coalesce(sum(greatest(0, at - before - 86400000)), 0))::bigint AS until
     FROM (SELECT delivered_at AS at, lag(delivered_at) OVER (ORDER BY delivered_at) AS before FROM identities
       WHERE delivered_at IS NOT NULL) AS deliveries`,
  );
  return found?.until ?? null;
}

/** Replicas that are gone for good: nothing that they held can be theirs any more. */
export async function forgetReplicas(session: Session): Promise<void> {
  await session.run(`DELETE FROM replicas WHERE alive_until < clock_timestamp() - interval '1 day'`);
}
