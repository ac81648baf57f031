import { existsSync, linkSync, readdirSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Logger } from '../../ground/log.ts';
import { hasCode } from './errors.ts';
import { databaseFile, identify, SUFFIXES, syncPath } from './files.ts';
import { MENDED } from './wal.ts';

/**
 * A damaged database is set aside: it and its companions get the name `outbox.db.damaged-<UTC time>`, which SQLite still
 * takes for one database. A kill at any moment leaves one whole set, under the old name or the new one, which the next
 * start sorts out (`finishSettingAside`): a log without its database, or the other way round, would lose events.
 */

const DAMAGED = '.damaged-';
const SALVAGED = '.salvaged-';

/** File systems without hard links answer so, and Linux also where the file belongs to somebody else. */
const CANNOT_LINK = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/**
 * Returns the new name of the database. `moved`: it was copied to another outbox as a whole, is closed, and nothing is in
 * its log, so that one renaming is enough. `nowMs` is milliseconds since the epoch.
 */
export function setAside(file: string, nowMs: number, why: 'damaged' | 'moved' = 'damaged'): string {
  const start = `${file}.${why}-${new Date(nowMs).toISOString().replaceAll(':', '-')}`;
  let name = start;
  for (let n = 2; partsOf(name).length > 0; n++) name = `${start}-${n}`;
  if (why === 'damaged' && linkAll(file, name)) removeAll(file);
  else renameAll(file, name);
  return name;
}

/** Which files of a set there are, by suffix. The database is first: while it has its old name, all of the set has. */
function partsOf(file: string) {
  return SUFFIXES.filter((suffix) => existsSync(file + suffix));
}

/** False: this file system has no hard links, and nothing was changed. */
function linkAll(file: string, name: string): boolean {
  try {
    for (const suffix of partsOf(file)) linkSync(file + suffix, name + suffix);
    syncPath(dirname(file));
    return true;
  } catch (error) {
    undoLinks(file, name);
    if (hasCode(error, ...CANNOT_LINK)) return false;
    throw error;
  }
}

function undoLinks(file: string, name: string): void {
  for (const suffix of SUFFIXES) if (isSameFile(file + suffix, name + suffix)) unlinkSync(name + suffix);
}

function removeAll(file: string): void {
  for (const suffix of partsOf(file)) unlinkSync(file + suffix);
  syncPath(dirname(file));
}

/**
 * The database goes first: a log that is left without one shows the next start what to finish, while a database without
 * its log looks whole. The folder is synced after each step, so that a power cut keeps the order.
 */
function renameAll(file: string, name: string): void {
  for (const suffix of partsOf(file)) {
    renameSync(file + suffix, name + suffix);
    syncPath(dirname(file));
  }
}

/**
 * Undoes or ends what a kill left half done, and sets aside a log whose database is gone, which SQLite would delete.
 * To be called before the database is opened or made. Returns the name of the set that the database of this folder now
 * is, for the log; null: there is a database to open, or there never was one.
 */
export function finishSettingAside(file: string, nowMs: number): string | null {
  const sets = findSets(dirname(file));
  if (existsSync(file)) {
    const linked = sets.find((set) => isSameFile(file, set));
    if (linked === undefined) return null;
    const isUndone = partsOf(linked).every((suffix) => isSameFile(file + suffix, linked + suffix));
    if (isUndone) undoLinks(file, linked);
    else removeAll(file);
    return isUndone ? null : linked;
  }
  const left = partsOf(file);
  const owner = sets.findLast(
    (set) =>
      existsSync(set) && left.every((suffix) => !existsSync(set + suffix) || isSameFile(file + suffix, set + suffix)),
  );
  if (left.length === 0) return owner ?? null;
  if (owner === undefined) return setAside(file, nowMs);
  for (const suffix of left) {
    if (isSameFile(file + suffix, owner + suffix)) unlinkSync(file + suffix);
    else renameSync(file + suffix, owner + suffix);
  }
  syncPath(dirname(file));
  return owner;
}

/** Tells at the start about logs that were set aside without their database, by an earlier version or by hand. */
export function tellIncompleteSets(dataDir: string, log: Pick<Logger, 'error'>): void {
  for (const damagedFile of findSets(dataDir)) {
    if (existsSync(damagedFile)) continue;
    log.error(
      { code: 'outbox_damaged_incomplete', damagedFile },
      'a write-ahead log was set aside, and its database is missing beside it. ' +
        'If you have the database, put it there under the name of damagedFile and salvage it; otherwise remove the log',
    );
  }
}

/** The newest set of the folder that was set aside and was neither salvaged nor removed since; null: there is none. */
export function findDamaged(dataDir: string): string | null {
  return findSets(dataDir).at(-1) ?? null;
}

/** Renames a database that was set aside, so that `findDamaged` leaves it out. Another file keeps its name. */
export function markSalvaged(file: string): void {
  const name = basename(file);
  if (!name.includes(DAMAGED)) return;
  const salvaged = join(dirname(file), name.replace(DAMAGED, SALVAGED));
  // The log first: the database alone keeps the alarm up if this is interrupted, and can be salvaged again.
  for (const suffix of partsOf(file).toReversed()) renameSync(file + suffix, salvaged + suffix);
  syncPath(dirname(file));
}

/** The names of the databases that were set aside, the oldest first, also where only a log is left that holds something. */
function findSets(dataDir: string): string[] {
  const prefix = `${basename(databaseFile(dataDir))}${DAMAGED}`;
  const names = namesIn(dataDir)
    .filter((name) => name.startsWith(prefix) && !name.endsWith('-shm') && !name.includes(MENDED))
    .filter((name) => !name.endsWith('-wal') || statSync(join(dataDir, name), { throwIfNoEntry: false })?.size !== 0)
    .map((name) => name.replace(/-wal$/, ''));
  return [...new Set(names)].sort().map((name) => join(dataDir, name));
}

/** None when the folder cannot be read: that is told by whoever reads or writes the database in it. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isSameFile(some: string, other: string): boolean {
  const identity = identify(some);
  return identity !== null && identity === identify(other);
}
