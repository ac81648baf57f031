import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { hasCode } from './errors.ts';

/**
 * The files of an outbox. Do not open the database or the lock file with node:fs while it is in use: as soon as a process
 * closes any descriptor of a file, POSIX drops all locks that the process holds on it
 * (https://www.sqlite.org/howtocorrupt.html, 2.2), SQLite's and our own included. Renaming, linking and changing modes is
 * safe, and so is opening with `wx`, which succeeds only for a file that did not exist.
 */

export const databaseFile = (dataDir: string): string => join(dataDir, 'outbox.db');
export const lockFile = (dataDir: string): string => join(dataDir, 'outbox.lock');

/** A database, first, and the files that SQLite keeps beside it in WAL mode, as endings of its name. */
export const SUFFIXES = ['', '-wal', '-shm'] as const;

const OWNER_ONLY_FOLDER = 0o700;
const OWNER_ONLY_FILE = 0o600;
const STICKY = 0o1000;

/** Only the owner of a file may change its mode. A volume that belongs to another user keeps the mode it has. */
function isOurs(path: string): boolean {
  return statSync(path).uid === process.getuid?.();
}

/**
 * Makes the folder if it is missing, and lets nobody but its owner into it. `mkdirSync` with `recursive` is of no use: it
 * never returns below /proc or below a deleted folder, where no folder can be made although its parent exists (Node 24;
 * openclaw/openclaw#130807).
 */
export function preparePrivateFolder(dataDir: string): void {
  const path = resolve(dataDir);
  const missing = missingFolders(path);
  for (const folder of missing) {
    try {
      mkdirSync(folder, { mode: OWNER_ONLY_FOLDER });
    } catch (error) {
      // Another process may have made it since we looked.
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
  const found = statSync(path);
  if (!found.isDirectory()) throw Object.assign(new Error(`${path} is no folder`), { code: 'ENOTDIR' });
  // A folder with the sticky bit (/tmp) is shared on purpose, and closing it would break other programs.
  if (isOurs(path) && (found.mode & STICKY) === 0) chmodSync(path, OWNER_ONLY_FOLDER);
  // A new name survives a power cut only after the folder that holds it has been synced.
  for (const folder of missing.toReversed()) syncPath(dirname(folder));
}

/**
 * The folders that must be made for `path` to exist, the outermost first. A link to a missing folder cannot be made into
 * one and counts as there. Throws when a part of the path is not a folder.
 */
export function missingFolders(path: string): string[] {
  const missing: string[] = [];
  let folder = path;
  while (lstatSync(folder, { throwIfNoEntry: false }) === undefined) {
    missing.unshift(folder);
    folder = dirname(folder);
  }
  return missing;
}

/**
 * Makes an empty file if it is missing, and lets nobody but the owner read or write it and its companions. SQLite makes
 * companions with the mode of the database.
 */
export function preparePrivateFile(file: string): void {
  try {
    writeFileSync(file, '', { flag: 'wx', mode: OWNER_ONLY_FILE, flush: true });
    syncPath(dirname(file));
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  for (const path of SUFFIXES.map((suffix) => file + suffix)) {
    if (existsSync(path) && isOurs(path)) chmodSync(path, OWNER_ONLY_FILE);
  }
}

/** Device and inode; null: nothing has this name. */
export function identify(path: string): string | null {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? null : `${stats.dev}-${stats.ino}`;
}

/**
 * Waits until a folder's names, or a file's bytes, are on the disk: before, a power cut can undo a rename. Not for a file
 * that is in use (see above). Windows cannot do it for what is open for reading.
 */
export function syncPath(path: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
