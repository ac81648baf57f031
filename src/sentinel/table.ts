/** Types of a Log Analytics column, as a stream declaration spells them. */
export type ColumnType = 'string' | 'int' | 'long' | 'boolean' | 'datetime' | 'dynamic';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly description: string;
}

/** A table of ours: the single source for the mapper, deploy/ and docs. The files are schemas/tables/<name>.json. */
export interface TableSchema {
  readonly name: string;
  readonly description: string;
  readonly columns: readonly Column[];
}
