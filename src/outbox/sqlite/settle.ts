import type { DatabaseSync } from 'node:sqlite';
import type { RowRange } from '../../ground/event.ts';
import type { Settlement, SettlementOutcome } from '../port.ts';
import { areSameRanges, countRows, formatRanges, mergeRanges, parseRanges } from '../ranges.ts';
import { countDead, settleRows } from '../settling.ts';
import type { Claim, Claims } from './claim.ts';
import { eachRow, getRow } from './sql.ts';

interface EventRow {
  readonly seq: number;
  readonly row_count: number;
  readonly pending: string;
  readonly pending_rows: number;
  readonly dead_rows: number;
}

/** What is left of the rows of claims, by event, to be told to the claims once the transaction is committed. */
export type Progress = ReadonlyMap<string, readonly RowRange[]>;

/** What becomes of stored events. All methods must run in a transaction. */
export interface Fates {
  /** Throws a RangeError for a settlement that is wrong. */
  settle(settlements: readonly Settlement[], now: number): { outcomes: SettlementOutcome[]; progress: Progress };
  revive(eventIds: readonly string[]): number[];
  purge(ids: readonly string[], now: number): boolean[];
  prune(deliveredBefore: number, limit: number): number;
}

const EVENT = 'SELECT seq, row_count, pending, pending_rows, dead_rows FROM events';

export function createFates(db: DatabaseSync, claims: Claims): Fates {
  const findBySeq = db.prepare(`${EVENT} WHERE seq = ? AND delivered_at IS NULL`);
  const findById = db.prepare(`${EVENT} WHERE event_id = ? AND delivered_at IS NULL`);
  const update = db.prepare('UPDATE events SET pending = ?, pending_rows = ?, dead_rows = ? WHERE seq = ?');
  const finishWhole = db.prepare(
    `UPDATE events SET delivered_at = ?, pending = '[]', pending_rows = 0
     WHERE seq = ? AND pending = ? AND dead_rows = 0 AND delivered_at IS NULL`,
  );
  const finish = db.prepare(
    `UPDATE events SET delivered_at = ?, pending = '[]', pending_rows = 0, dead_rows = 0 WHERE seq = ?`,
  );
  const removeBody = db.prepare('DELETE FROM bodies WHERE seq = ?');
  const bury = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const findLetters = db.prepare('SELECT rows FROM dead_letters WHERE seq = ?');
  const removeLetters = db.prepare('DELETE FROM dead_letters WHERE seq = ?');
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');
  const forget = db.prepare(
    'DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE delivered_at < ? ORDER BY delivered_at LIMIT ?)',
  );

  /** What nearly every settlement is: all that was still to be sent is delivered. False: this is another one. */
  function deliverWhole(
    { delivered, dead }: Settlement,
    { seq }: Claim,
    held: readonly RowRange[],
    now: number,
  ): boolean {
    if (dead.length > 0 || !areSameRanges(delivered, held)) return false;
    if (finishWhole.run(now, seq, formatRanges(held)).changes === 0) return false;
    removeBody.run(seq);
    return true;
  }

  /** Returns what the claim still holds; null when the event is gone. */
  function settleAny(settlement: Settlement, { seq }: Claim, held: readonly RowRange[], now: number) {
    const event = getRow<EventRow>(findBySeq, seq);
    if (event === undefined) return null;
    const settled = settleRows(settlement, { rowCount: event.row_count, pending: parseRanges(event.pending) }, held);
    for (const { rows, code, reason } of settled.buried) bury.run(seq, formatRanges(rows), code, reason, now);
    const left = countRows(settled.pending);
    const deadRows = event.dead_rows + countDead(settled.buried);
    if (left === 0 && deadRows === 0) {
      finish.run(now, seq);
      removeBody.run(seq);
    } else if (left !== event.pending_rows) {
      update.run(formatRanges(settled.pending), left, deadRows, seq);
    }
    return settled.held;
  }

  function reviveOne(eventId: string): number {
    const event = getRow<EventRow>(findById, eventId);
    if (event === undefined || event.dead_rows === 0) return 0;
    const letters = [...eachRow<{ rows: string }>(findLetters, event.seq)];
    const pending = mergeRanges(
      parseRanges(event.pending),
      letters.flatMap(({ rows }) => parseRanges(rows)),
    );
    const pendingRows = countRows(pending);
    removeLetters.run(event.seq);
    update.run(formatRanges(pending), pendingRows, 0, event.seq);
    return pendingRows - event.pending_rows;
  }

  function purgeOne(id: string, now: number): boolean {
    const event = getRow<EventRow>(findById, id);
    if (event === undefined) return removeQuarantined.run(id).changes !== 0;
    // It counts as delivered from now on, so that its identity is forgotten after DEDUP_DAYS like any other.
    finish.run(now, event.seq);
    removeBody.run(event.seq);
    removeLetters.run(event.seq);
    return true;
  }

  return {
    settle(settlements, now) {
      const progress = new Map<string, readonly RowRange[]>();
      const outcomes = settlements.map((settlement): SettlementOutcome => {
        const { eventId, token } = settlement;
        const claim = claims.find(eventId, token);
        const held = progress.get(eventId) ?? claim?.rows ?? [];
        if (claim === null || held.length === 0) return 'stale';
        const left = deliverWhole(settlement, claim, held, now) ? [] : settleAny(settlement, claim, held, now);
        if (left === null) return 'stale';
        progress.set(eventId, left);
        return 'applied';
      });
      return { outcomes, progress };
    },
    revive: (eventIds) => eventIds.map(reviveOne),
    purge: (ids, now) => ids.map((id) => purgeOne(id, now)),
    prune: (deliveredBefore, limit) => Number(forget.run(deliveredBefore, limit).changes),
  };
}
