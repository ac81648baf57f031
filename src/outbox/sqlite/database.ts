import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CopyError, DamageError, OutboxStartError } from '../engine.ts';
import { describe, isDamage, toStartError } from './errors.ts';
import { databaseFile, preparePrivateFile, syncPath } from './files.ts';
import { isOutboxLocked } from './lock.ts';
import { APPLICATION_ID, SCHEMA, SCHEMA_VERSION } from './schema.ts';
import { finishSettingAside, setAside } from './set-aside.ts';
import { BUSY_TIMEOUT_MS, pragma } from './sql.ts';
import { isLogDamaged } from './wal.ts';

/** A whole check reads about 500 MB/s from the cache and 100 MB/s from a disk, so that it stays below a second. */
const WHOLE_CHECK_MAX_BYTES = 64 * 1024 * 1024;

/**
 * Opens the database of the folder, or makes it. The folder must exist, and the caller must hold its lock. Only a damaged
 * database is set aside, under the name `damagedFile`; any other failure is an OutboxStartError.
 */
export function openDatabase(dataDir: string, nowMs: number, isSuspect: boolean) {
  const file = databaseFile(dataDir);
  try {
    const finished = finishSettingAside(file, nowMs);
    try {
      return { db: openFile(file, isSuspect), damagedFile: finished };
    } catch (error) {
      if (!isDamage(error)) throw error;
      const damagedFile = setAside(file, nowMs);
      return { db: openFile(file, false), damagedFile };
    }
  } catch (error) {
    throw toStartError(error, file);
  }
}

function openFile(file: string, isSuspect: boolean): DatabaseSync {
  preparePrivateFile(file);
  // Before any connection, even one that only reads: SQLite forgets what stands after a damaged frame.
  if (isLogDamaged(file)) throw new DamageError('The write-ahead log has a damaged frame before its end');
  const version = inspect(file, isSuspect);
  using opening = new DisposableStack();
  const db = opening.use(new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS }));
  configure(db, file);
  if (version === 0) db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
  opening.move();
  return db;
}

/**
 * Checks the file before anything is written to it: a file that is not ours, newer, or damaged must stay as it is. A
 * connection that only reads does not even checkpoint the log when it closes. Returns the schema's version, 0 if empty.
 */
function inspect(file: string, isSuspect: boolean): number {
  using db = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  const version = Number(pragma(db, 'user_version'));
  const id = Number(pragma(db, 'application_id'));
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  const isEmpty = version === 0 && id === 0 && tables.length === 0;
  if (!isEmpty && id !== APPLICATION_ID) {
    throw new OutboxStartError('outbox_foreign_database', `${file} is a database of another program`);
  }
  if (version > SCHEMA_VERSION) {
    const problem = `${file} was written by a later version of this service (schema ${version}, not ${SCHEMA_VERSION})`;
    throw new OutboxStartError('outbox_newer_version', problem);
  }
  if (!isEmpty && version < SCHEMA_VERSION) {
    throw new OutboxStartError('outbox_older_version', `${file} was written by a version of this service before 0.1.0`);
  }
  if (isSuspect || statSync(file).size <= WHOLE_CHECK_MAX_BYTES) {
    // The quick check does not compare indexes with their tables, which takes several times as long.
    const check = isSuspect ? 'integrity_check' : 'quick_check';
    const found = pragma(db, `${check}(1)`);
    if (found !== 'ok') throw new DamageError(`${check}: ${String(found)}`);
  } else {
    // Checking a large file as a whole would delay the start: only both ends of every table are read. Damage elsewhere
    // is found when it is met, and then the file is opened as suspect.
    for (const { name } of tables) {
      for (const order of ['ASC', 'DESC']) db.prepare(`SELECT * FROM "${name}" ORDER BY rowid ${order} LIMIT 1`).get();
    }
  }
  return version;
}

/** Of each PRAGMA, as it reads back. */
const SETTINGS: Readonly<Record<string, string | number>> = {
  journal_mode: 'wal',
  // FULL: every commit is synced before it returns. NORMAL would sync only at checkpoints.
  synchronous: 2,
  // Deleted bodies are overwritten with zeros, not only unlinked.
  secure_delete: 1,
  // MEMORY: otherwise savepoints spill to a temporary file, which would hold bodies and may not be writable in a container.
  temp_store: 2,
  // KiB. Identities are spread at random over their tree; this keeps its inner pages at hand.
  cache_size: -8192,
  // After a group of puts that made the log longer (up to 16 MiB of bodies, group.ts) it is cut back to 16 MiB. What it has
  // counts towards the limit of the outbox (engine.ts).
  journal_size_limit: 16 * 1024 * 1024,
};

/** Applies the settings and reads each one back, because SQLite does not report a setting that it did not take. */
function configure(db: DatabaseSync, file: string): void {
  for (const [name, value] of Object.entries(SETTINGS)) {
    db.exec(`PRAGMA ${name} = ${value}`);
    const found = pragma(db, name);
    if (found !== value) {
      throw new OutboxStartError('outbox_unsupported', `${file}: ${name} = ${value} does not hold, it reads ${found}`);
    }
  }
}

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
