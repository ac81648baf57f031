import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { eachRow } from './sql.ts';

/**
 * Reading a database in which some pages are broken: what hangs on a sound page is read, and what does not is walked
 * around. Every tree (table or index) breaks by itself, so that one often knows of what another has lost.
 */

/** Whether a damaged page explains the error: SQLite says so, or what it read is no value that a column could have. */
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
  /** False: reading ended at a broken page, and what came before it is here. */
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

/** Both ends of what an ordering reaches, up to the first broken page from either side. `sql` ends in ORDER BY … */
export function readFromBothEnds<Row>(db: DatabaseSync, sql: string): Row[] {
  const forward = readAll<Row>(db, sql);
  if (forward.isWhole) return [...forward.rows];
  return [...forward.rows, ...readAll<Row>(db, `${sql} DESC`).rows];
}

/**
 * Rows of a table by `seq`, between two numbers inclusive: after a broken page it goes on with the next number, until one
 * lies on a sound page again. Gives null for each number that it tried in vain, so that the caller can pause.
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
      for (const row of eachRow<Row>(db.prepare(`${select} WHERE seq >= ? AND seq <= ? ORDER BY seq`), next, upTo)) {
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
