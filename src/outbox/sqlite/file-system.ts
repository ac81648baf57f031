import { statfsSync } from 'node:fs';
import type { Logger } from '../../ground/log.ts';
import { startError } from './errors.ts';

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

const DOUBTFUL: ReadonlyMap<number, { readonly name: string; readonly warning: string }> = new Map([
  [0x01021994, { name: 'tmpfs', warning: 'it is memory, and what waits there is gone when the host restarts' }],
  [0x858458f6, { name: 'ramfs', warning: 'it is memory, and what waits there is gone when the host restarts' }],
  [
    0x794c7630,
    { name: 'overlay', warning: 'it is the layer of a container, and what waits there goes with the container' },
  ],
  [0x65735546, { name: 'FUSE', warning: 'a sync there may promise less than one of a disk' }],
  [0x01021997, { name: '9p', warning: 'a sync there may promise less than one of a disk' }],
]);

/** Throws an OutboxStartError on a network file system, and warns about one that may lose data. The folder must exist. */
export function checkFileSystem(
  dataDir: string,
  log: Pick<Logger, 'warn'>,
  typeOf: (folder: string) => number | null = readType,
): void {
  const given = typeOf(dataDir);
  // A kernel may return the number as a signed one of 32 bits, which some of them exceed.
  const type = given === null ? null : given >>> 0;
  const network = type === null ? undefined : NETWORK.get(type);
  if (network !== undefined) {
    const problem = `DATA_DIR ${dataDir} is on a network file system (${network}), where SQLite cannot keep its promises`;
    throw startError('outbox_network_file_system', problem);
  }
  const doubtful = type === null ? undefined : DOUBTFUL.get(type);
  if (doubtful === undefined) return;
  const { name, warning } = doubtful;
  log.warn(
    { code: 'outbox_file_system', dataDir, fileSystem: name },
    `DATA_DIR is on ${name}: ${warning}. Use a volume on a local disk`,
  );
}

/** Null on other systems, whose numbers differ. */
function readType(folder: string): number | null {
  return process.platform === 'linux' ? statfsSync(folder).type : null;
}
