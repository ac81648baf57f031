import type { Tree } from './tree.ts';
import type { Value } from './values.ts';

export type Row = Readonly<Record<string, Value>>;

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** A function of a query. */
export interface Lambda {
  readonly parameters: readonly { readonly name: string; readonly byDefault: Value | undefined }[];
  readonly body: Tree;
}

/** What a name stands for: a column of the row at hand, else a scalar, a table or a function. */
export interface Scope {
  readonly row: Row;
  readonly values: ReadonlyMap<string, Value>;
  readonly tables: ReadonlyMap<string, Table>;
  readonly functions: ReadonlyMap<string, Lambda>;
  /** What `now()` says, where `set query_now` says it. */
  readonly now?: Value;
  /** The row before this one, for `prev()`; null for the first. */
  readonly previous?: Row | null;
  /** What `row_cumsum()` has summed up in the rows before this one. */
  readonly running?: Map<string, number>;
  readonly arrange: (rows: readonly Row[]) => readonly Row[];
}
