import type { RowRange } from '../ground/event.ts';
import type { DeadRows, Settlement } from './port.ts';
import { countRows, intersectRanges, mergeRanges, rangesProblem, subtractRanges } from './ranges.ts';

/** What is kept of a reason, in characters. */
const MAX_REASON_LENGTH = 4_096;

/** What a settlement makes of an event's rows. */
export interface Settled {
  /** Of the event: what is still to be sent. */
  readonly pending: readonly RowRange[];
  /** The rows that are dead now and were pending before, with the reasons cut to what is kept. */
  readonly buried: readonly DeadRows[];
  /** Of the claim: what it still holds; none ends it. */
  readonly held: readonly RowRange[];
}

/**
 * The rule of a settlement, whatever the engine. `held`: the rows of the claim, since others may have come to wait after
 * it was taken, and are not its own. A row that is not pending any more keeps the fate it has: naming it again is no
 * error. Throws a RangeError when the settlement names rows that the event does not have, or gives a row two fates.
 */
export function settleRows(
  settlement: Settlement,
  event: { readonly rowCount: number; readonly pending: readonly RowRange[] },
  held: readonly RowRange[],
): Settled {
  checkRows(settlement, event.rowCount);
  let pending = subtractRanges(event.pending, intersectRanges(held, settlement.delivered));
  const buried: DeadRows[] = [];
  for (const dead of settlement.dead) {
    const rows = intersectRanges(intersectRanges(pending, held), dead.rows);
    if (rows.length === 0) continue;
    buried.push({ rows, code: dead.code, reason: cutReason(dead.reason) });
    pending = subtractRanges(pending, rows);
  }
  const named = [settlement.delivered, ...settlement.dead.map((each) => each.rows)];
  return { pending, buried, held: settlement.release ? [] : named.reduce(subtractRanges, held) };
}

export function countDead(buried: readonly DeadRows[]): number {
  return buried.reduce((sum, { rows }) => sum + countRows(rows), 0);
}

function cutReason(reason: string): string {
  // toWellFormed: a cut through a surrogate pair would leave half a character, which is no valid text.
  return reason.length > MAX_REASON_LENGTH ? reason.slice(0, MAX_REASON_LENGTH).toWellFormed() : reason;
}

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
