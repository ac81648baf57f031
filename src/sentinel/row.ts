import type { JsonValue } from '../json.ts';
import { fitDynamic, fitText, jsonBytes } from './fit.ts';
import type { ColumnType, TableSchema } from './table.ts';

/** One row as it is sent: every column of its table, null where there is no value. */
export type Row = Readonly<Record<string, JsonValue>>;

/** A row with its size as JSON in bytes, so that a call can be filled without writing the row out once more. */
export interface SizedRow {
  readonly row: Row;
  readonly bytes: number;
}

/** Some of a row's columns, cut to what Azure takes. */
export interface RowPart {
  readonly columns: Row;
  /** Names of the columns that lost something. */
  readonly truncated: readonly string[];
}

export type FitColumns = (values: Row) => RowPart;

/**
 * Makes the function that cuts each value to what its column of this table can hold.
 * A key that is no column of the table is a defect of the mapper's, and throws.
 */
export function columnFitter(table: TableSchema): FitColumns {
  const types = new Map(table.columns.map((column) => [column.name, column.type]));
  return (values) => {
    const truncated: string[] = [];
    const columns: Record<string, JsonValue> = {};
    for (const [name, value] of Object.entries(values)) {
      const type = types.get(name);
      if (type === undefined) throw new Error(`${name} is no column of ${table.name}`);
      const fitted = fit(value, type);
      columns[name] = fitted.value;
      if (fitted.truncated) truncated.push(name);
    }
    return { columns, truncated };
  };
}

/** `{...a, ...b}` of two parts without common columns; the bytes are those of the whole as JSON. */
export function joinParts(a: Row, aBytes: number, b: Row): SizedRow {
  return { row: { ...a, ...b }, bytes: aBytes + jsonBytes(b) - 1 };
}

function fit(value: JsonValue, type: ColumnType): { readonly value: JsonValue; readonly truncated: boolean } {
  if (type === 'dynamic') return fitDynamic(value);
  return typeof value === 'string' ? fitText(value) : { value, truncated: false };
}
