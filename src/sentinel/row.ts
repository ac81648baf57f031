import type { JsonValue } from '../ground/json.ts';
import { fitDynamic, fitText, MAX_FIELD_BYTES } from './fit.ts';
import type { ColumnType, TableSchema } from './table.ts';

/** Values of columns of one table, by their names. */
export type Row = Readonly<Record<string, JsonValue>>;

/** One row as it is sent. It is written out once, and from then on text. */
export interface RowText {
  /** A JSON object with every column of its table, null where there is no value. */
  readonly json: string;
  /** Of `json` in UTF-8. */
  readonly bytes: number;
}

/** Some of a row's columns, cut to what Azure takes, as the JSON of an object. */
export interface RowPart extends RowText {
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
  const typeOf = (name: string): ColumnType => {
    const type = types.get(name);
    if (type === undefined) throw new Error(`${name} is no column of ${table.name}`);
    return type;
  };
  return (values) => {
    for (const name of Object.keys(values)) typeOf(name);
    const whole = asText(values);
    // Where all of them together fit into one field, each does. JSON writes a lone surrogate, and nothing else, like this.
    if (whole.bytes <= MAX_FIELD_BYTES && !whole.json.includes('\\ud')) return { ...whole, truncated: NOTHING };
    const columns: Record<string, JsonValue> = {};
    const truncated: string[] = [];
    for (const [name, value] of Object.entries(values)) {
      const fitted = fit(value, typeOf(name));
      columns[name] = fitted.value;
      if (fitted.truncated) truncated.push(name);
    }
    return { ...asText(columns), truncated };
  };
}

const NOTHING: readonly string[] = [];

/** The row of two parts without common columns, neither of them empty. */
export function joinParts(a: RowText, b: RowText): RowText {
  return { json: `${a.json.slice(0, -1)},${b.json.slice(1)}`, bytes: a.bytes + b.bytes - 1 };
}

export function asText(values: Row): RowText {
  const json = JSON.stringify(values);
  return { json, bytes: Buffer.byteLength(json) };
}

function fit(value: JsonValue, type: ColumnType): { readonly value: JsonValue; readonly truncated: boolean } {
  if (type === 'dynamic') return fitDynamic(value);
  return typeof value === 'string' ? fitText(value) : { value, truncated: false };
}
