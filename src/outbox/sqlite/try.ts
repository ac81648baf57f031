import { accessSync, constants, existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { OutboxStartError } from '../start-error.ts';
import { toStartError } from './errors.ts';
import { checkFileSystem } from './file-system.ts';
import { databaseFile, lockFile, missingFolders } from './files.ts';

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
