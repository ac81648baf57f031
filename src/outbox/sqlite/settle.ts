import type { DatabaseSync } from 'node:sqlite';
import type { RowRange, Settlement, SettlementOutcome } from '../port.ts';
import { areSameRanges, countRows, formatRanges, parseRanges } from '../ranges.ts';
import { countDead, settleRows } from '../settling.ts';
import type { Claim, Claims } from './claims.ts';
import type { SettleArgs } from './protocol.ts';
import { ADD_DELIVERY, getRow } from './sql.ts';
import type { Counted, Tally } from './tally.ts';
import type { CallResult } from './transaction.ts';

interface EventRow extends Counted {
  readonly row_count: number;
  readonly pending: string;
}

/** What the settlements of a transaction leave of the rows that its claims hold; none ends the claim. */
export type ClaimProgress = ReadonlyMap<string, readonly RowRange[]>;

export interface Settled {
  readonly outcomes: readonly SettlementOutcome[];
  /** To be told to the claims once the transaction is committed, and not before. */
  readonly progress: ClaimProgress;
}

/** The statements of one settle call. `earlier` is the progress of the calls before it in the transaction. */
export function createSettle(
  db: DatabaseSync,
  claims: Claims,
  tally: Tally,
): (call: SettleArgs, earlier: ClaimProgress) => CallResult<Settled> {
  const find = db.prepare(
    'SELECT kind, row_count, pending, pending_rows, dead_rows, body_bytes FROM events WHERE seq = ?',
  );
  const update = db.prepare('UPDATE events SET pending = ?, pending_rows = ?, dead_rows = ? WHERE seq = ?');
  const bury = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  // Its body goes with it, by the foreign key.
  const removeWhole = db.prepare('DELETE FROM events WHERE seq = ? AND pending = ? AND dead_rows = 0');
  const remove = db.prepare('DELETE FROM events WHERE seq = ?');
  const addDelivery = db.prepare(ADD_DELIVERY);

  /** What nearly every settlement is: all that was still to be sent is delivered. False: this is another one. */
  function deliverWhole(settlement: Settlement, claim: Claim, held: readonly RowRange[], now: number): boolean {
    if (settlement.dead.length > 0 || !areSameRanges(settlement.delivered, held)) return false;
    if (removeWhole.run(claim.seq, formatRanges(held)).changes === 0) return false;
    const { kind, eventId, bodyBytes } = claim;
    addDelivery.run(now, eventId);
    tally.removeEvent({ kind, body_bytes: bodyBytes, pending_rows: countRows(held), dead_rows: 0 });
    return true;
  }

  /** Returns what the claim still holds; null when the event is gone. */
  function settleAny(settlement: Settlement, claim: Claim, held: readonly RowRange[], now: number) {
    const { seq, eventId } = claim;
    const event = getRow<EventRow>(find, seq);
    if (event === undefined) return null;
    const before = parseRanges(event.pending);
    const settled = settleRows(settlement, { rowCount: event.row_count, pending: before }, held);
    for (const { rows, code, reason } of settled.buried) bury.run(seq, formatRanges(rows), code, reason, now);
    const left = countRows(settled.pending);
    const deadRows = event.dead_rows + countDead(settled.buried);
    tally.removeEvent(event);
    if (left === 0 && deadRows === 0) {
      remove.run(seq);
      addDelivery.run(now, eventId);
    } else {
      if (left !== event.pending_rows) update.run(formatRanges(settled.pending), left, deadRows, seq);
      tally.addEvent({ ...event, pending_rows: left, dead_rows: deadRows });
    }
    return settled.held;
  }

  return ({ settlements, now }, earlier) => {
    const progress = new Map<string, readonly RowRange[]>();
    const outcomes = settlements.map((settlement): SettlementOutcome => {
      const { eventId, token } = settlement;
      const claim = claims.find(eventId, token);
      if (claim === null) return 'stale';
      const held = progress.get(eventId) ?? earlier.get(eventId) ?? claim.rows;
      if (held.length === 0) return 'stale';
      const left = deliverWhole(settlement, claim, held, now) ? [] : settleAny(settlement, claim, held, now);
      if (left === null) return 'stale';
      progress.set(eventId, left);
      return 'applied';
    });
    return { value: { outcomes, progress } };
  };
}
