import { randomInt } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { RowRange } from '../../ground/event.ts';
import type { ClaimedRows, ClaimRequest, Engine } from '../engine.ts';
import type { Settlement } from '../port.ts';
import {
  countDead,
  countRows,
  type FoundRows,
  formatRanges,
  mergeRanges,
  parseRanges,
  settleRows,
  takeEvents,
} from '../rows.ts';
import { eachRow, getRow } from './sql.ts';

type Seq = { readonly seq: number };

interface EventRow extends Seq {
  readonly rowCount: number;
  readonly pending: string;
  readonly deadRows: number;
}

type CandidateRow = FoundRows & Pick<ClaimedRows, 'eventId' | 'receivedAt'> & { readonly pending: string };

/** Walks an index, which alone passes over what is held. */
export const CANDIDATES_SQL = `
  SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 ORDER BY received_at, seq`;

/**
 * Claims of events, and what becomes of them. `inTransaction` commits what its function has written, which may be called
 * again when that failed.
 */
export function createClaims(
  db: DatabaseSync,
  inTransaction: <T>(act: () => T) => T,
): Pick<Engine, 'claim' | 'settle' | 'revive' | 'purge'> {
  const candidates = db.prepare(CANDIDATES_SQL);
  const candidate = db.prepare('SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 AND event_id = ?');
  const read = db.prepare(
    `SELECT event_id AS eventId, received_at AS receivedAt, pending, shared, own
     FROM events LEFT JOIN bodies USING (seq) WHERE seq = ?`,
  );
  const find = db.prepare(
    `SELECT seq, row_count AS rowCount, pending, dead_rows AS deadRows
     FROM events WHERE event_id = ? AND delivered_at IS NULL`,
  );
  const update = db.prepare(
    'UPDATE events SET pending = ?, pending_rows = ?, dead_rows = ?, delivered_at = ? WHERE seq = ?',
  );
  const forgetSize = db.prepare('UPDATE events SET mapped_bytes = 0 WHERE seq = ?');
  const removeBody = db.prepare('DELETE FROM bodies WHERE seq = ?');
  const bury = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const removeLetters = db.prepare('DELETE FROM dead_letters WHERE seq = ? RETURNING rows');
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');

  // Who holds which rows. A claim ends with the process that took it, so that it is kept in memory: it costs no synced
  // write, works when the disk is full, and is free again after a crash without any clean-up. One claim an event.
  // By `seq`, with the rows that are not settled yet.
  const claims = new Map<number, { readonly token: number; readonly rows: readonly RowRange[] }>();
  // A random place to count from: that a late settlement of a process that died meets its own number again, given anew
  // for the same event, has a chance of 1 in 2^48. A counter on the disk would need a write at every start.
  let nextToken = randomInt(1, 2 ** 48 - 1);

  /** Those that nobody holds, the oldest first. */
  function* candidatesOf({ kind, except, only }: ClaimRequest) {
    const passedOver = new Set(except);
    const found = only === null ? eachRow<Seq>(candidates, kind) : eachRow<Seq>(candidate, kind, only.eventId);
    for (const { seq } of found) {
      if (claims.has(seq)) continue;
      const event = getRow<CandidateRow>(read, seq);
      if (event === undefined || passedOver.has(event.eventId)) continue;
      yield { ...event, seq, pending: parseRanges(event.pending) };
    }
  }

  /** An event without rows that wait or are dead is delivered. */
  function change(seq: number, pending: readonly RowRange[], deadRows: number, now: number): void {
    const isDelivered = pending.length === 0 && deadRows === 0;
    update.run(formatRanges(pending), countRows(pending), deadRows, isDelivered ? now : null, seq);
    if (isDelivered) removeBody.run(seq);
  }

  /** `progress`: what claims still hold, by `seq`. Throws a RangeError for a wrong settlement. */
  function settleOne(settlement: Settlement, progress: Map<number, readonly RowRange[]>, now: number) {
    const event = getRow<EventRow>(find, settlement.eventId);
    if (event === undefined) return 'stale';
    const { seq, rowCount, deadRows } = event;
    const claim = claims.get(seq);
    const held = progress.get(seq) ?? claim?.rows ?? [];
    if (claim?.token !== settlement.token || held.length === 0) return 'stale';
    const before = parseRanges(event.pending);
    const { pending, buried, held: left } = settleRows(settlement, { rowCount, pending: before }, held);
    for (const { rows, code, reason } of buried) bury.run(seq, formatRanges(rows), code, reason, now);
    // A claim that is only given back costs no write: that works on a full disk, too.
    if (countRows(pending) < countRows(before)) change(seq, pending, deadRows + countDead(buried), now);
    progress.set(seq, left);
    return 'applied';
  }

  function reviveOne(eventId: string): number {
    const event = getRow<EventRow>(find, eventId);
    if (event === undefined) return 0;
    const letters = [...eachRow<{ rows: string }>(removeLetters, event.seq)];
    const dead = letters.flatMap(({ rows }) => parseRanges(rows));
    if (dead.length > 0) change(event.seq, mergeRanges(parseRanges(event.pending), dead), 0, 0);
    return countRows(dead);
  }

  function purgeOne(id: string, purged: Set<number>, now: number): boolean {
    const event = getRow<EventRow>(find, id);
    if (event === undefined) return removeQuarantined.run(id).changes !== 0;
    // It counts as delivered from now on, so that its identity is forgotten after DEDUP_DAYS like any other. No bytes tell.
    change(event.seq, [], 0, now);
    forgetSize.run(event.seq);
    removeLetters.run(event.seq);
    purged.add(event.seq);
    return true;
  }

  return {
    async claim(request) {
      // All are read before any is taken: a page that cannot be read must not leave claims that nobody knows of.
      return takeEvents(candidatesOf(request), request).map(({ seq, ...rows }) => {
        const token = nextToken++;
        claims.set(seq, { token, rows: rows.ranges });
        return { ...rows, token };
      });
    },
    async settle(settlements, now) {
      const { outcomes, progress } = inTransaction(() => {
        const progress = new Map<number, readonly RowRange[]>();
        return { outcomes: settlements.map((each) => settleOne(each, progress, now)), progress };
      });
      // Only now: a claim that ended before its rows were recorded would send them again.
      for (const [seq, rows] of progress) {
        const claim = claims.get(seq);
        if (rows.length === 0) claims.delete(seq);
        else if (claim !== undefined) claims.set(seq, { ...claim, rows });
      }
      return outcomes;
    },
    revive: async (eventIds) => inTransaction(() => eventIds.map(reviveOne)),
    async purge(ids, now) {
      const purged = new Set<number>();
      const removed = inTransaction(() => ids.map((id) => purgeOne(id, purged, now)));
      for (const seq of purged) claims.delete(seq);
      return removed;
    },
  };
}
