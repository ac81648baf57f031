import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/**
 * The files of an outbox. Never open one of them with node:fs while it is in use: POSIX drops all the locks that a
 * process has on a file as soon as it closes any descriptor of it (https://www.sqlite.org/howtocorrupt.html, 2.2), and
 * with them SQLite's and our own. Names and modes are safe, and so is `wx`, which opens only what did not exist.
 */

export const databaseFile = (dataDir: string): string => join(dataDir, 'outbox.db');
export const lockFile = (dataDir: string): string => join(dataDir, 'outbox.lock');

/** SQLite keeps them beside a database in WAL mode. */
export const COMPANIONS = ['-wal', '-shm'] as const;

const OWNER_ONLY_FOLDER = 0o700;
const OWNER_ONLY_FILE = 0o600;
const STICKY = 0o1000;

/** Only the owner may change a mode; a volume that belongs to somebody else keeps the one it was given. */
function isOurs(path: string): boolean {
  return statSync(path).uid === process.getuid?.();
}

/** Makes the folder if there is none, and closes it to everybody but its owner. */
export function preparePrivateFolder(dataDir: string): void {
  const path = resolve(dataDir);
  const made = missingFolders(path);
  makeFolders(made);
  // A sticky folder (/tmp) is shared on purpose, and closing it would break the machine.
  if (isOurs(path) && (statSync(path).mode & STICKY) === 0) chmodSync(path, OWNER_ONLY_FOLDER);
  // A new name is durable only when the folder that holds it is synced.
  for (const folder of made.toReversed()) syncFolder(dirname(folder));
}

/**
 * One after another, since `mkdirSync` with `recursive` never returns below /proc and below a folder that was deleted:
 * no folder can be made there although the one above exists (Node 24; openclaw/openclaw#130807).
 */
function makeFolders(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      mkdirSync(folder, { mode: OWNER_ONLY_FOLDER });
    } catch (error) {
      // Another process may have made it in the meantime.
      if (!statsOf(folder)?.isDirectory()) throw error;
    }
  }
}

/**
 * The folders that have to be made for `path`, the outermost first; none when it is there. Throws when a part of the path
 * is no folder.
 */
export function missingFolders(path: string): string[] {
  const missing: string[] = [];
  let folder = path;
  for (let found = statsOf(folder); !found?.isDirectory(); found = statsOf(folder)) {
    if (found !== null) throw Object.assign(new Error(`${folder} is no folder`), { code: 'ENOTDIR' });
    missing.unshift(folder);
    folder = dirname(folder);
  }
  return missing;
}

/** Null when nothing is there, not even a link to nothing. */
function statsOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    // ENOTDIR: a part of the path is a file, which is found on the way up.
    if ((code !== 'ENOENT' && code !== 'ENOTDIR') || dirname(path) === path) throw error;
    return code === 'ENOENT' ? (lstatSync(path, { throwIfNoEntry: false }) ?? null) : null;
  }
}

/**
 * Makes the file, empty, if there is none, and closes it and its companions to everybody but the owner. SQLite gives
 * the companions that it makes the mode of the database.
 */
export function preparePrivateFile(file: string): void {
  try {
    const descriptor = openSync(file, 'wx', OWNER_ONLY_FILE);
    try {
      fchmodSync(descriptor, OWNER_ONLY_FILE);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    syncFolder(dirname(file));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  for (const path of [file, ...COMPANIONS.map((suffix) => file + suffix)]) {
    if (existsSync(path) && isOurs(path)) chmodSync(path, OWNER_ONLY_FILE);
  }
}

export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
