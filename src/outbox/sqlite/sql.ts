import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { Query } from '../reads.ts';

/** For a reader from outside (a backup, the sqlite3 shell); the service itself has one connection. */
export const BUSY_TIMEOUT_MS = 5_000;

/**
 * node:sqlite gives rows as records of any value. STRICT tables keep a column to its declared type, so a statement's
 * rows can be given the type that its SELECT says; these three are the only places where that is done.
 */
export function getRow<Row>(statement: StatementSync, ...params: SQLInputValue[]): Row | undefined {
  return statement.get(...params) as Row | undefined;
}

/** Reads on as the caller asks for more; leaving the loop early ends the statement. */
export function eachRow<Row>(statement: StatementSync, ...params: SQLInputValue[]): Iterable<Row> {
  return statement.iterate(...params) as Iterable<unknown> as Iterable<Row>;
}

/** For statements that both engines run. The work is done before it returns. */
export function queryOf(db: DatabaseSync): Query {
  return async <Row extends object>(sql: string, params: readonly SQLInputValue[] = []) =>
    db.prepare(sql.replaceAll('$', '?')).all(...params) as Row[];
}

/** The first column of a PRAGMA's only row. */
export function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}
