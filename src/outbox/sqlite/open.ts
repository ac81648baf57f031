import { accessSync, constants, existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Logger } from '../../ground/log.ts';
import type { Engine } from '../engine.ts';
import type { OutboxStartError } from '../start-error.ts';
import { openDatabase } from './database.ts';
import { createSqliteEngine } from './engine.ts';
import { toStartError } from './errors.ts';
import { checkFileSystem } from './file-system.ts';
import { databaseFile, lockFile, missingFolders, preparePrivateFolder } from './files.ts';
import { acquireLock, type OutboxLock } from './lock.ts';

/**
 * Makes the folder if it is missing, and keeps every other process from using its outbox until the lock is released.
 * Throws an OutboxStartError. `typeOf` is for tests, which cannot mount a network file system.
 */
export function lockFolder(
  dataDir: string,
  log: Pick<Logger, 'warn'>,
  typeOf?: (folder: string) => number | null,
): OutboxLock {
  try {
    preparePrivateFolder(dataDir);
  } catch (error) {
    throw toStartError(error, dataDir);
  }
  checkFileSystem(dataDir, log, typeOf);
  return acquireLock(dataDir);
}

export interface OpenSqliteOptions {
  readonly dataDir: string;
  readonly maxBytes: number;
  readonly nowMs: number;
  /** A damaged page was met: the whole file is checked, whatever its size. */
  readonly isSuspect: boolean;
  readonly onCheckpointTrouble: (reason: string) => void;
}

export interface OpenedSqlite {
  readonly engine: Engine;
  /** Where the former database is, if it was damaged and a fresh one took its place. */
  readonly damagedFile: string | null;
}

/** Opens the engine on the database of a folder that this process has locked. Throws an OutboxStartError. */
export function openSqlite({
  dataDir,
  maxBytes,
  nowMs,
  isSuspect,
  onCheckpointTrouble,
}: OpenSqliteOptions): OpenedSqlite {
  const { db, damagedFile } = openDatabase(dataDir, nowMs, isSuspect);
  return {
    engine: createSqliteEngine({ db, file: databaseFile(dataDir), maxBytes, onCheckpointTrouble }),
    damagedFile,
  };
}

/**
 * Why no outbox could be opened in this folder: a part of the path is no folder, the rights are missing, the file system
 * is read-only or a network's. Null when nothing is found. A folder is made beside the outbox, or where its own would be
 * made, and removed again; whether a service has the outbox open makes no difference.
 */
export function tryDataDir(dataDir: string): OutboxStartError | null {
  try {
    const path = resolve(dataDir);
    const [outermost] = missingFolders(path);
    const folder = outermost === undefined ? path : dirname(outermost);
    rmdirSync(mkdtempSync(join(folder, '.probe-')));
    for (const file of [databaseFile(path), lockFile(path)]) {
      if (existsSync(file)) accessSync(file, constants.R_OK | constants.W_OK);
    }
    checkFileSystem(folder, { warn: () => undefined });
    return null;
  } catch (error) {
    return toStartError(error, dataDir);
  }
}
