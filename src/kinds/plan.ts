import { asText, columnFitter, joinParts, type Row, type RowPart, type RowText } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { InvalidFields } from './event-field.ts';
import type { RowPlan } from './kind.ts';

/** An event makes at most so many rows: those of its first units. */
export const MAX_ROWS_PER_EVENT = 10_000;

export interface PlanOptions<Unit> {
  readonly eventId: string;
  /** Columns that are the same in every row of the event. */
  readonly shared: Row;
  /** What one row each is made from; at least one. */
  readonly units: readonly Unit[];
  /** `invalid` takes what could not be read of this unit. */
  readonly unitColumns: (unit: Unit, index: number, invalid: InvalidFields) => Row;
  /** What could not be read of the event, its units left out. */
  readonly invalid: InvalidFields;
  /** Names of columns that the body itself shows to be cut short. */
  readonly incomplete: readonly string[];
}

export type PlanRows = <Unit>(options: PlanOptions<Unit>) => RowPlan;

/**
 * Makes the function that plans the rows of one event in this table: the shared columns are cut and written once, rows
 * are made on demand, and no two of them are held together. It adds `row_id`, `invalid_fields` and `truncated_fields`.
 */
export function rowPlanner(table: TableSchema): PlanRows {
  const fitColumns = columnFitter(table);
  return ({ eventId, shared: sharedColumns, units: allUnits, unitColumns, invalid: ofEvent, incomplete }) => {
    const shared = fitColumns(sharedColumns);
    const units = allUnits.length > MAX_ROWS_PER_EVENT ? allUnits.slice(0, MAX_ROWS_PER_EVENT) : allUnits;

    /** What row `index` has beside the shared columns; never empty. */
    function ownPart(unit: (typeof units)[number], index: number): OwnPart {
      const invalid = new InvalidFields();
      const columns = unitColumns(unit, index, invalid);
      invalid.addAll(ofEvent);
      const invalidFields = invalid.toColumn();
      const own = fitColumns({
        ...columns,
        row_id: `${eventId}-${index}`,
        invalid_fields: invalidFields,
        truncated_fields: null,
      });
      const truncated = [...incomplete, ...shared.truncated, ...own.truncated];
      if (invalid.isCut && !truncated.includes('invalid_fields')) truncated.push('invalid_fields');
      const text = truncated.length === 0 ? own : withTruncated(own, truncated);
      return { text, hasInvalid: invalidFields !== null };
    }

    function* rows([from, to]: readonly [number, number]): Generator<RowText> {
      for (let index = from; index < Math.min(to, units.length); index++) {
        yield joinParts(shared, ownPart(units[index] as (typeof units)[number], index).text);
      }
    }

    return {
      rowCount: units.length,
      rows,
      measure(limitBytes, keptBytes) {
        let bytes = 0;
        let hasInvalidFields = false;
        let kept: RowText[] | null = [];
        for (const [index, unit] of units.entries()) {
          const { text: own, hasInvalid } = ownPart(unit, index);
          hasInvalidFields ||= hasInvalid;
          bytes += shared.bytes + own.bytes - 1;
          if (bytes > keptBytes || bytes > limitBytes) kept = null;
          if (bytes > limitBytes) break;
          kept?.push(joinParts(shared, own));
        }
        return { bytes, rows: kept, hasInvalidFields };
      },
    };
  };
}

interface OwnPart {
  readonly text: RowText;
  readonly hasInvalid: boolean;
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
