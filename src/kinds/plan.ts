import { asText, columnFitter, joinParts, type Row, type RowPart, type RowText } from '../sentinel/row.ts';
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
 * Makes the function that plans the rows of one event in this table: the shared columns are cut and written once, rows
 * are made on demand, and no two of them are held together. It adds `row_id` and `truncated_fields`.
 */
export function rowPlanner(table: TableSchema): PlanRows {
  const fitColumns = columnFitter(table);
  return ({ eventId, shared: sharedColumns, units, unitColumns, incomplete }) => {
    const shared = fitColumns(sharedColumns);

    /** What row `index` has beside the shared columns; never empty. */
    function ownPart(unit: (typeof units)[number], index: number): RowText {
      const columns = { ...unitColumns(unit, index), row_id: `${eventId}-${index}`, truncated_fields: null };
      const own = fitColumns(columns);
      const truncated = [...incomplete, ...shared.truncated, ...own.truncated];
      return truncated.length === 0 ? own : withTruncated(own, truncated);
    }

    function* rows([from, to]: readonly [number, number]): Generator<RowText> {
      for (let index = from; index < Math.min(to, units.length); index++) {
        yield joinParts(shared, ownPart(units[index] as (typeof units)[number], index));
      }
    }

    return {
      rowCount: units.length,
      rows,
      measure(limitBytes, keptBytes) {
        let bytes = 0;
        let kept: RowText[] | null = [];
        for (const [index, unit] of units.entries()) {
          const own = ownPart(unit, index);
          bytes += shared.bytes + own.bytes - 1;
          if (bytes > keptBytes || bytes > limitBytes) kept = null;
          if (bytes > limitBytes) break;
          kept?.push(joinParts(shared, own));
        }
        return { bytes, rows: kept };
      },
    };
  };
}

const NONE_TRUNCATED = '"truncated_fields":null}';

/** The part with the names in its last column, which is null as it stands. */
function withTruncated(part: RowPart, names: readonly string[]): RowText {
  const { json, bytes } = asText({ truncated_fields: names });
  return {
    json: part.json.slice(0, -NONE_TRUNCATED.length) + json.slice(1),
    bytes: part.bytes - NONE_TRUNCATED.length + bytes - 1,
  };
}
