import { parseExact } from '../../src/apono/exact-json.ts';
import type { RowPlan } from '../../src/kinds/kind.ts';
import type { RowRange } from '../../src/outbox/port.ts';
import type { Row } from '../../src/sentinel/row.ts';

/** The rows that are sent for a plan, decoded again; numbers keep their digits. */
export function rowsOfPlan(plan: RowPlan, range: RowRange = [0, plan.rowCount]): Row[] {
  return [...plan.rows(range)].map(({ json }) => parseExact(json) as Row);
}
