import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { isBusy, startError, toStartError } from './errors.ts';
import { lockFile, preparePrivateFile } from './files.ts';

/**
 * Who has the outbox of a folder: one exclusive transaction on a file of its own, held as long as the outbox is open.
 * The operating system ends it with the process, kill -9 included, so that a stale lock cannot exist. It is not taken
 * on the database itself, which a reader (a backup, the sqlite3 shell) may open at any time.
 */
export interface OutboxLock {
  /** Twice does nothing. */
  release(): void;
}

/** Long enough for another's `isOutboxLocked`, which holds a shared lock for an instant, to pass. */
const PATIENCE_MS = 1_000;

/** Throws an OutboxStartError, code `outbox_locked`, when another has it. The folder must exist. */
export function acquireLock(dataDir: string): OutboxLock {
  const file = lockFile(dataDir);
  let holder: DatabaseSync | null = null;
  try {
    preparePrivateFile(file);
    holder = new DatabaseSync(file, { timeout: PATIENCE_MS });
    // Nothing is ever written to it, and an empty journal file would stay behind after a kill -9.
    holder.exec('PRAGMA journal_mode = MEMORY');
    holder.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    holder?.close();
    if (isBusy(error)) throw startError('outbox_locked', `The outbox in ${dataDir} is in use by another process`);
    throw toStartError(error, file);
  }
  return {
    release() {
      // Closing ends the transaction. The reference is what keeps the garbage collector from closing it earlier.
      holder?.close();
      holder = null;
    },
  };
}

/** Whether a process, this one included, has the outbox of this folder open now. */
export function isOutboxLocked(dataDir: string): boolean {
  const file = lockFile(dataDir);
  if (!existsSync(file)) return false;
  let probe: DatabaseSync | null = null;
  try {
    probe = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    // Any read takes the shared lock, which an exclusive transaction refuses.
    probe.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw toStartError(error, file);
  } finally {
    probe?.close();
  }
}
