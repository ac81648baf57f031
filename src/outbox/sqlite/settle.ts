import type { DatabaseSync } from 'node:sqlite';
import type { RowRange, Settlement, SettlementOutcome } from '../port.ts';
import { countRows, intersectRanges, mergeRanges, rangesProblem, subtractRanges } from '../ranges.ts';
import type { Claims } from './claims.ts';
import type { SettleArgs } from './protocol.ts';
import { getRow } from './sql.ts';
import type { CallResult } from './transaction.ts';

interface EventRow {
  readonly seq: number;
  readonly row_count: number;
  readonly pending: string;
  readonly dead_rows: number;
}

/** What the settlements of a transaction leave of the rows that its claims hold; none ends the claim. */
export type ClaimProgress = ReadonlyMap<string, readonly RowRange[]>;

export interface Settled {
  readonly outcomes: readonly SettlementOutcome[];
  /** To be told to the claims once the transaction is committed, and not before. */
  readonly progress: ClaimProgress;
}

/** What is kept of a reason, in characters. */
const MAX_REASON_LENGTH = 4_096;

function cutReason(reason: string): string {
  // toWellFormed: a cut through a surrogate pair would leave half a character, which is no valid text.
  return reason.length > MAX_REASON_LENGTH ? reason.slice(0, MAX_REASON_LENGTH).toWellFormed() : reason;
}

/** Throws a RangeError when a settlement names rows that its event does not have, or gives a row two fates. */
function checkRows(settlement: Settlement, rowCount: number): void {
  let named: readonly RowRange[] = [];
  for (const rows of [settlement.delivered, ...settlement.dead.map((dead) => dead.rows)]) {
    const problem = rangesProblem(rows, rowCount);
    if (problem !== null) throw new RangeError(`Settlement of event ${settlement.eventId}: ${problem}`);
    if (intersectRanges(named, rows).length > 0) {
      throw new RangeError(`Settlement of event ${settlement.eventId}: a row is named twice`);
    }
    named = mergeRanges(named, rows);
  }
}

/** The statements of one settle call. `earlier` is the progress of the calls before it in the transaction. */
export function createSettle(
  db: DatabaseSync,
  claims: Claims,
): (call: SettleArgs, earlier: ClaimProgress) => CallResult<Settled> {
  const find = db.prepare('SELECT seq, row_count, pending, dead_rows FROM events WHERE event_id = ?');
  const update = db.prepare('UPDATE events SET pending = ?, pending_rows = ?, dead_rows = ? WHERE seq = ?');
  const bury = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const remove = db.prepare('DELETE FROM events WHERE seq = ?');
  const markDelivered = db.prepare('UPDATE identities SET delivered_at = ? WHERE event_id = ?');

  /** `held`: the rows of the claim. Others may have come to wait since it was taken, and are not this claim's. */
  function apply(settlement: Settlement, event: EventRow, held: readonly RowRange[], now: number): void {
    const before = JSON.parse(event.pending) as readonly RowRange[];
    // A row that is not pending any more keeps the fate it has: naming it again is not an error.
    let pending = subtractRanges(before, intersectRanges(held, settlement.delivered));
    let deadRows = event.dead_rows;
    for (const dead of settlement.dead) {
      const rows = intersectRanges(intersectRanges(pending, held), dead.rows);
      if (rows.length === 0) continue;
      bury.run(event.seq, JSON.stringify(rows), dead.code, cutReason(dead.reason), now);
      deadRows += countRows(rows);
      pending = subtractRanges(pending, rows);
    }
    const left = countRows(pending);
    if (left === 0 && deadRows === 0) {
      remove.run(event.seq); // its body goes with it, by the foreign key
      markDelivered.run(now, settlement.eventId);
    } else if (left !== countRows(before)) {
      update.run(JSON.stringify(pending), left, deadRows, event.seq);
    }
  }

  return ({ settlements, now }, earlier) => {
    const progress = new Map<string, readonly RowRange[]>();
    const outcomes = settlements.map((settlement): SettlementOutcome => {
      const { eventId, token, delivered, dead, release } = settlement;
      const claimed = claims.rowsOf(eventId, token);
      const held = claimed === null ? [] : (progress.get(eventId) ?? earlier.get(eventId) ?? claimed);
      const event = held.length === 0 ? undefined : getRow<EventRow>(find, eventId);
      if (event === undefined) return 'stale';
      checkRows(settlement, event.row_count);
      apply(settlement, event, held, now);
      const settled = [delivered, ...dead.map((each) => each.rows)].reduce(subtractRanges, held);
      progress.set(eventId, release ? [] : settled);
      return 'applied';
    });
    return { keep: true, value: { outcomes, progress } };
  };
}
