import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { eachRow } from './sql.ts';

/**
 * Reads a database in which some pages are damaged: what is reachable through intact pages, and skips the rest. Each
 * table and index is a tree of its own pages, so an index often still names rows that its table has lost.
 */

/** Whether a damaged page explains the error: SQLite reports one, or it read a number that no column of ours can hold. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && ('errcode' in error || ('code' in error && error.code === 'ERR_OUT_OF_RANGE'));
}

/** Null when it cannot be read; undefined when there is no such row. */
export function readOne<Row>(db: DatabaseSync, sql: string, ...params: SQLInputValue[]): Row | undefined | null {
  const rows = readAll<Row>(db, sql, ...params);
  return rows.isWhole ? rows.rows[0] : null;
}

export interface ReadRows<Row> {
  readonly rows: readonly Row[];
  /** False: reading ended at a damaged page, and `rows` has what came before it. */
  readonly isWhole: boolean;
}

export function readAll<Row>(db: DatabaseSync, sql: string, ...params: SQLInputValue[]): ReadRows<Row> {
  const rows: Row[] = [];
  try {
    for (const row of eachRow<Row>(db.prepare(sql), ...params)) rows.push(row);
    return { rows, isWhole: true };
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { rows, isWhole: false };
  }
}

/** Reads from both ends of an ordering, up to the first damaged page on either side. `sql` must end in ORDER BY … */
export function readFromBothEnds<Row>(db: DatabaseSync, sql: string): Row[] {
  const forward = readAll<Row>(db, sql);
  if (forward.isWhole) return [...forward.rows];
  return [...forward.rows, ...readAll<Row>(db, `${sql} DESC`).rows];
}

/**
 * Reads the rows of a table by `seq`, between two numbers inclusive; `select` ends in WHERE or AND. At a damaged page it tries one number after another
 * until it reaches an intact page again, and yields null for each number that failed, so that the caller can pause.
 */
export function* walkRows<Row extends { readonly seq: number }>(
  db: DatabaseSync,
  select: string,
  from: number,
  upTo: number,
): Generator<Row | null> {
  let next = from;
  while (next <= upTo) {
    try {
      for (const row of eachRow<Row>(db.prepare(`${select} seq >= ? AND seq <= ? ORDER BY seq`), next, upTo)) {
        if (row.seq >= next) next = row.seq + 1;
        yield row;
      }
      return;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      next++;
      yield null;
    }
  }
}
