import type { JsonValue } from '../ground/json.ts';
import { type Fitted, fitDynamic, fitText } from './fit.ts';
import type { ColumnType, TableSchema } from './table.ts';

/** Values of columns of one table, by their names. */
export type Row = Readonly<Record<string, JsonValue>>;

/** Some of a row's columns, cut to what Azure takes. */
export interface RowPart {
  /** A JSON object, written out once and from then on text. */
  readonly json: string;
  /** Names of the columns that lost something. */
  readonly truncated: readonly string[];
}

/**
 * Makes the function that cuts each value to what its column of this table can hold.
 * A key that is no column of the table is a defect of the mapper's, and throws.
 */
export function columnFitter(table: TableSchema): (values: Row) => RowPart {
  const types = new Map(table.columns.map((column) => [column.name, column.type]));
  return (values) => {
    const columns: Record<string, JsonValue> = {};
    const truncated: string[] = [];
    for (const [name, value] of Object.entries(values)) {
      const type = types.get(name);
      if (type === undefined) throw new Error(`${name} is no column of ${table.name}`);
      const fitted = fit(value, type);
      columns[name] = fitted.value;
      if (fitted.truncated) truncated.push(name);
    }
    return { json: JSON.stringify(columns), truncated };
  };
}

function fit(value: JsonValue, type: ColumnType): Fitted<JsonValue> {
  if (type === 'dynamic') return fitDynamic(value);
  return typeof value === 'string' ? fitText(value) : { value, truncated: false };
}
