import { existsSync, type FSWatcher, watch } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { OutboxStartError } from '../engine.ts';
import { isBusy, toStartError } from './errors.ts';
import { identify, lockFile, preparePrivateFile } from './files.ts';

/** Long enough for another's `isOutboxLocked`, which holds a shared lock for an instant, to pass. */
const PATIENCE_MS = 1_000;
/** The same while the service runs, whose thread stands still meanwhile. */
const PROBE_PATIENCE_MS = 100;

/**
 * Who has the outbox of a folder: one exclusive transaction on a file of its own (ADR 7). The lock belongs to the file, not
 * to its name: the holder watches the name, and locks the new file as soon as the old one is gone. If another process was
 * faster, the outbox is lost to this one for good, which then must not write: `isHeld` is asked before each request.
 * The folder must exist. Throws an OutboxStartError, code `outbox_locked`, when another has it.
 */
export function acquireLock(dataDir: string) {
  // This reference is what keeps the garbage collector from closing the database, which would end the transaction.
  let holder: ReturnType<typeof take> | null = take(dataDir, PATIENCE_MS);
  let watcher = watchFile(dataDir, isHeld);

  /** Twice does nothing. */
  function release(): void {
    watcher?.close();
    holder?.db.close();
    holder = null;
  }

  /** Takes the lock again if its file was removed. False: another process has it, now or since it was lost. */
  function isHeld(): boolean {
    if (holder === null) return false;
    if (holder.file === identify(lockFile(dataDir))) return true;
    release();
    try {
      holder = take(dataDir, PROBE_PATIENCE_MS);
    } catch {
      return false;
    }
    watcher = watchFile(dataDir, isHeld);
    return true;
  }

  return { isHeld, release };
}

function take(dataDir: string, patienceMs: number) {
  const file = lockFile(dataDir);
  let db: DatabaseSync | null = null;
  try {
    preparePrivateFile(file);
    // Before it is opened: if the name means another file by then, `isHeld` finds that out.
    const identity = identify(file);
    db = new DatabaseSync(file, { timeout: patienceMs });
    // Nothing is ever written to it, and an empty journal file would stay behind after a kill -9.
    db.exec('PRAGMA journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
    return { db, file: identity };
  } catch (error) {
    db?.close();
    if (!isBusy(error)) throw toStartError(error, file);
    throw new OutboxStartError('outbox_locked', `The outbox in ${dataDir} is in use by another process`);
  }
}

/** Null where the system has no watch to give: then the next request finds that the file is gone. */
function watchFile(dataDir: string, onChange: () => void): FSWatcher | null {
  try {
    return watch(lockFile(dataDir), { persistent: false }, onChange).on('error', () => undefined);
  } catch {
    return null;
  }
}

/** Whether a process, this one included, has the outbox of this folder open now. */
export function isOutboxLocked(dataDir: string): boolean {
  const file = lockFile(dataDir);
  if (!existsSync(file)) return false;
  try {
    using probe = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    // Any read takes the shared lock, which an exclusive transaction refuses.
    probe.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw toStartError(error, file);
  }
}

/**
 * Tells the outboxes of one machine apart, whatever the path or mount by which a folder is reached: a command compares
 * its DATA_DIR with what the admin API serves before it deletes anything. Null: the folder has no outbox.
 */
export function storeId(dataDir: string): string | null {
  // Of the folder, which stays the same when a file of it is set aside, or removed and made again.
  return existsSync(lockFile(dataDir)) ? identify(dataDir) : null;
}
