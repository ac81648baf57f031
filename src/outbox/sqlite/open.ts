import { accessSync, constants, existsSync, mkdtempSync, rmdirSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import type { Logger } from '../../ground/log.ts';
import { OutboxStartError } from '../engine.ts';
import { toStartError } from './errors.ts';
import { databaseFile, lockFile, missingFolders, preparePrivateFolder } from './files.ts';
import { acquireLock } from './lock.ts';

/**
 * Makes the folder if it is missing, and keeps every other process from using its outbox until the lock is released.
 * Throws an OutboxStartError. `typeOf` is for tests, which cannot mount a network file system.
 */
export function lockFolder(dataDir: string, log: Pick<Logger, 'warn'>, typeOf?: (folder: string) => number) {
  try {
    preparePrivateFolder(dataDir);
  } catch (error) {
    throw toStartError(error, dataDir);
  }
  checkFileSystem(dataDir, log, typeOf);
  return acquireLock(dataDir);
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

/**
 * SQLite's write-ahead log needs memory that all processes with the database open share, which a network file system
 * cannot give (https://www.sqlite.org/wal.html, "Overview"), and locks and syncs that work, which few of them have
 * (https://www.sqlite.org/howtocorrupt.html, 2.1 and 3.1). The numbers are the types that statfs(2) returns on Linux, from
 * include/uapi/linux/magic.h, https://man7.org/linux/man-pages/man2/statfs.2.html, and the file systems' own sources.
 */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS (SMB)'],
  [0xfe534d42, 'SMB 2'],
  [0x564c, 'NCP'],
  [0x73757245, 'Coda'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x7461636f, 'OCFS2'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x20030528, 'OrangeFS'],
]);

const MEMORY = 'it is memory, and what waits there is gone when the host restarts';
const LAYER = 'it is the layer of a container, and what waits there goes with the container';
const WEAK_SYNC = 'a sync there may promise less than one of a disk';
const DOUBTFUL: ReadonlyMap<number, readonly [name: string, warning: string]> = new Map([
  [0x01021994, ['tmpfs', MEMORY]],
  [0x858458f6, ['ramfs', MEMORY]],
  [0x794c7630, ['overlay', LAYER]],
  [0x65735546, ['FUSE', WEAK_SYNC]],
  [0x01021997, ['9p', WEAK_SYNC]],
]);

/** Throws an OutboxStartError on a network file system, and warns about one that may lose data. The folder must exist. */
function checkFileSystem(dataDir: string, log: Pick<Logger, 'warn'>, typeOf = typeOfFileSystem): void {
  // A kernel may return the number as a signed one of 32 bits, which some of them exceed.
  const type = typeOf(dataDir) >>> 0;
  const network = NETWORK.get(type);
  if (network !== undefined) {
    const problem = `DATA_DIR ${dataDir} is on a network file system (${network}), where SQLite cannot keep its promises`;
    throw new OutboxStartError('outbox_network_file_system', problem);
  }
  const [name, warning] = DOUBTFUL.get(type) ?? [];
  if (name === undefined) return;
  log.warn(
    { code: 'outbox_file_system', dataDir, fileSystem: name },
    `DATA_DIR is on ${name}: ${warning}. Use a volume on a local disk`,
  );
}

/** 0 on other systems, whose numbers differ. */
function typeOfFileSystem(folder: string): number {
  return process.platform === 'linux' ? statfsSync(folder).type : 0;
}
