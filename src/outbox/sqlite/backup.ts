import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CopyError } from '../engine.ts';
import { describe } from './errors.ts';
import { databaseFile, preparePrivateFile, syncPath } from './files.ts';
import { isOutboxLocked } from './lock.ts';
import { APPLICATION_ID } from './schema.ts';
import { BUSY_TIMEOUT_MS, pragma } from './sql.ts';
import { isLogDamaged } from './wal.ts';

/**
 * Makes a consistent copy of the outbox of a folder, while a service uses it or not, and returns its size in bytes. It
 * holds a read transaction, for which neither writers nor the start of a service wait. The copy gets its name when it is
 * complete and synced. Throws a CopyError, and leaves nothing of the copy.
 */
export function backUp(dataDir: string, file: string): number {
  if (existsSync(file)) throw new CopyError('backup_failed', `${file} exists already: name a file that does not`);
  const partial = `${resolve(file)}.partial`;
  try {
    rmSync(partial, { force: true });
    preparePrivateFile(partial);
    copyTo(dataDir, partial);
    // SQLite leaves that to the system.
    syncPath(partial);
    renameSync(partial, file);
    syncPath(dirname(partial));
    return statSync(file).size;
  } catch (error) {
    rmSync(partial, { force: true });
    if (error instanceof CopyError) throw error;
    const message = `The backup was not made: ${describe(error)}. Check the path, its permissions, and the room there.`;
    throw new CopyError('backup_failed', message, { cause: error });
  }
}

function copyTo(dataDir: string, partial: string): void {
  const source = databaseFile(dataDir);
  // The log of a running service changes while it is read, and SQLite knows what is in it.
  if (!isOutboxLocked(dataDir) && isLogDamaged(source)) {
    const advice = 'Start the service once, which sets it aside, then salvage it';
    throw new CopyError('backup_failed', `The write-ahead log is damaged. ${advice}`);
  }
  using db = new DatabaseSync(source, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  if (pragma(db, 'application_id') !== APPLICATION_ID) {
    throw new CopyError('backup_failed', `${source} is not a database of this service. Is DATA_DIR right?`);
  }
  db.prepare('VACUUM INTO ?').run(partial);
}
