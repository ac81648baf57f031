import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { hasCode } from './errors.ts';
import { eachRow } from './sql.ts';

/**
 * Reads a database of which pages may be damaged: what is reachable through intact pages, and skips the rest. Each table
 * and index is a tree of its own pages, so an index often still names rows that its table has lost.
 */

export type Row = Readonly<Record<string, unknown>>;

export type Reader = ReturnType<typeof createReader>;

export function createReader(db: DatabaseSync, onDamage: () => void) {
  /** A damaged page explains the error if SQLite reports one, or read a number that no column of ours can hold. */
  function noteDamage(error: unknown): void {
    if (!hasCode(error, 'ERR_OUT_OF_RANGE') && !(error instanceof Error && 'errcode' in error)) throw error;
    onDamage();
  }

  /** Rows up to the first damaged page. Returns whether there was none. */
  function* rows(sql: string, ...params: SQLInputValue[]): Generator<Row, boolean> {
    try {
      yield* eachRow<Row>(db.prepare(sql), ...params);
      return true;
    } catch (error) {
      noteDamage(error);
      return false;
    }
  }

  /** Reads from both ends of an ordering, up to the first damaged page on either side. */
  function* fromBothEnds(sql: string, ...orderedBy: readonly string[]): Generator<Row, void> {
    const isWhole = yield* rows(`${sql} ORDER BY ${orderedBy.join(', ')}`);
    if (!isWhole) yield* rows(`${sql} ORDER BY ${orderedBy.map((column) => `${column} DESC`).join(', ')}`);
  }

  /**
   * Rows of a table by `seq`, each once, also those of which other trees do not know. `select` ends in WHERE or AND. What
   * is read is taken out of `lost`.
   */
  function* walk(select: string, lost: Set<number>): Generator<Row, void> {
    const seqs = [...lost].sort((a, b) => a - b);
    const upTo = seqs.at(-1) ?? 0;
    const seen = new Set<number>();
    for (let next = seqs[0] ?? 1; next <= upTo; ) {
      try {
        for (const row of eachRow<Row>(db.prepare(`${select} seq >= ? AND seq <= ? ORDER BY seq`), next, upTo)) {
          const seq = Number(row['seq']);
          if (seen.has(seq)) continue;
          seen.add(seq);
          lost.delete(seq);
          next = Math.max(next, seq + 1);
          yield row;
        }
        return;
      } catch (error) {
        noteDamage(error);
        // One number after another, until an intact page is reached again.
        next++;
      }
    }
  }

  return { rows, fromBothEnds, walk };
}
