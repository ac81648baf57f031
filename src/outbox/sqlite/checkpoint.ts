import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { describe } from './errors.ts';

/**
 * SQLite folds the write-ahead log into the database by itself when it has 4 MiB (wal_autocheckpoint), and says nothing
 * when it cannot. Above this size we do it, and tell why it fails.
 */
const MAX_LOG_BYTES = 8 * 1024 * 1024;
/** A checkpoint that a reader hinders will be hindered for longer than this. */
const PAUSE_MS = 1_000;
/** For a reader from outside (a backup, the sqlite3 shell); the service itself has one connection. */
export const BUSY_TIMEOUT_MS = 5_000;

/** The write-ahead log of an open database. `onTrouble` gets the reason if the log is long and cannot be folded in. */
export function createWriteAheadLog(db: DatabaseSync, file: string, onTrouble: (reason: string) => void) {
  let triedAt = Number.NEGATIVE_INFINITY;

  function bytes(): number {
    return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Whether all of the log is in the database. */
  function checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): boolean {
    const row = db.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
    return row?.['busy'] === 0 && row['log'] === row['checkpointed'];
  }

  /**
   * Folds the log in and cuts it to nothing, if nobody reads the database: rows that were delivered are zeroed in the
   * database, but their text would stay in old pages of the log until something else is written over them. Waits for
   * nobody: whoever reads the database may do so for hours.
   */
  function empty(): void {
    try {
      const isFolded = checkpoint('PASSIVE');
      db.exec('PRAGMA busy_timeout = 0');
      if (isFolded && checkpoint('TRUNCATE')) return;
      if (bytes() <= MAX_LOG_BYTES) return;
      onTrouble(
        'another program has the database open in a read transaction, so that its write-ahead log cannot be emptied',
      );
    } catch (error) {
      onTrouble(`the write-ahead log could not be written into the database: ${describe(error)}`);
    } finally {
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  /** Outside of a transaction: empties the log if it has grown. */
  function tidy(): void {
    const now = performance.now();
    if (now - triedAt < PAUSE_MS || bytes() <= MAX_LOG_BYTES) return;
    triedAt = now;
    empty();
  }

  return { bytes, tidy, empty };
}
