import { jsonBytes } from '../sentinel/fit.ts';
import { columnFitter, joinParts, type Row, type SizedRow } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';
import type { RowPlan } from './kind.ts';

export interface PlanOptions<Unit> {
  readonly eventId: string;
  /** Columns that are the same in every row of the event. */
  readonly shared: Row;
  /** What one row each is made from; at least one. */
  readonly units: readonly Unit[];
  readonly unitColumns: (unit: Unit, index: number) => Row;
  /** Names of columns that the body itself shows to be cut short. */
  readonly incomplete: readonly string[];
}

export type PlanRows = <Unit>(options: PlanOptions<Unit>) => RowPlan;

/**
 * Makes the function that plans the rows of one event in this table: the shared columns are cut and measured once, rows
 * are made on demand, and no two of them are held together. It adds `row_id` and `truncated_fields`.
 */
export function rowPlanner(table: TableSchema): PlanRows {
  const fitColumns = columnFitter(table);
  return (options) => {
    const shared = fitColumns(options.shared);
    const sharedBytes = jsonBytes(shared.columns);
    const incomplete = [...options.incomplete, ...shared.truncated];

    function rowAt(index: number, unit: (typeof options.units)[number]): SizedRow {
      const own = fitColumns(options.unitColumns(unit, index));
      const truncated = [...incomplete, ...own.truncated];
      const columns = {
        ...own.columns,
        row_id: `${options.eventId}-${index}`,
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
  };
}
