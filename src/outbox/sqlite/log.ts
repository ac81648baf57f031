import type { DatabaseSync } from 'node:sqlite';

/**
 * Checkpoints of the write-ahead log that are not SQLite's own (database.ts, wal_autocheckpoint). When one fails nothing
 * is lost: the log stays as it is, and the next write reports what is wrong with the disk.
 */

/** Copies what is committed into the database, so that the next write starts at the log's beginning. */
export function foldLog(db: DatabaseSync): void {
  checkpoint(db, 'PASSIVE');
}

/**
 * The same, and cuts the log to nothing: bodies that were delivered are zeroed in the database, but their text would
 * stay in old pages of the log until something else is written over them.
 */
export function emptyLog(db: DatabaseSync): void {
  checkpoint(db, 'TRUNCATE');
}

function checkpoint(db: DatabaseSync, mode: 'PASSIVE' | 'TRUNCATE'): void {
  try {
    db.exec(`PRAGMA wal_checkpoint(${mode})`);
  } catch {
    // See above.
  }
}
