import type { DatabaseSync } from 'node:sqlite';
import type { RowRange, SettlementOutcome } from '../port.ts';
import { countRows } from '../ranges.ts';
import { countDead, settleRows } from '../settling.ts';
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

  return ({ settlements, now }, earlier) => {
    const progress = new Map<string, readonly RowRange[]>();
    const outcomes = settlements.map((settlement): SettlementOutcome => {
      const { eventId, token } = settlement;
      const claimed = claims.rowsOf(eventId, token);
      const held = claimed === null ? [] : (progress.get(eventId) ?? earlier.get(eventId) ?? claimed);
      const event = held.length === 0 ? undefined : getRow<EventRow>(find, eventId);
      if (event === undefined) return 'stale';
      const before = JSON.parse(event.pending) as readonly RowRange[];
      const settled = settleRows(settlement, { rowCount: event.row_count, pending: before }, held);
      for (const { rows, code, reason } of settled.buried) bury.run(event.seq, JSON.stringify(rows), code, reason, now);
      const left = countRows(settled.pending);
      const deadRows = event.dead_rows + countDead(settled.buried);
      if (left === 0 && deadRows === 0) {
        remove.run(event.seq); // its body goes with it, by the foreign key
        markDelivered.run(now, eventId);
      } else if (left !== countRows(before)) {
        update.run(JSON.stringify(settled.pending), left, deadRows, event.seq);
      }
      progress.set(eventId, settled.held);
      return 'applied';
    });
    return { keep: true, value: { outcomes, progress } };
  };
}
