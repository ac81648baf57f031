import { jsonBytes } from '../../sentinel/fit.ts';
import { columnFitter, joinParts, type Row, type SizedRow } from '../../sentinel/row.ts';
import type { RowPlan } from '../kind.ts';
import { requestTable } from './table.ts';

interface PlanOptions<Unit> {
  readonly eventId: string;
  /** Columns that are the same in every row of the event. */
  readonly shared: Row;
  /** What one row each is made from; at least one. */
  readonly units: readonly Unit[];
  readonly unitColumns: (unit: Unit) => Row;
  /** Names of columns that the body itself shows to be cut short. */
  readonly incomplete: readonly string[];
}

const fitColumns = columnFitter(requestTable);

/** Rows made on demand: the shared columns are cut and measured once, and no two rows are held together. */
export function planRows<Unit>(options: PlanOptions<Unit>): RowPlan {
  const shared = fitColumns(options.shared);
  const sharedBytes = jsonBytes(shared.columns);
  const incomplete = [...options.incomplete, ...shared.truncated];

  function rowAt(index: number, unit: Unit): SizedRow {
    const own = fitColumns(options.unitColumns(unit));
    const truncated = [...incomplete, ...own.truncated];
    const columns = {
      ...own.columns,
      row_id: `${options.eventId}-${index}`,
      access_unit_index: index,
      truncated_fields: truncated.length > 0 ? truncated : null,
    };
    return joinParts(shared.columns, sharedBytes, columns);
  }

  function* rows(range: readonly [number, number]): Generator<SizedRow> {
    for (const [offset, unit] of options.units.slice(range[0], range[1]).entries())
      yield rowAt(range[0] + offset, unit);
  }

  return {
    rowCount: options.units.length,
    rows,
    measure(limitBytes) {
      let total = 0;
      for (const row of rows([0, options.units.length])) {
        total += row.bytes;
        if (total > limitBytes) break;
      }
      return total;
    },
  };
}
