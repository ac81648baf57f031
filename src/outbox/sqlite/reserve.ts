import { randomBytes } from 'node:crypto';
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDiskFull } from './errors.ts';

/** Enough for any event but the very largest. Of a small disk it is a sixteenth. */
const MAX_BYTES = 8 * 1024 * 1024;
/** While the disk is full, each try to make it writes until there is no room. */
const PAUSE_MS = 1_000;

/**
 * A file that keeps room on the disk for recording what Azure took (ADR 7). It is given up when the disk is full, and
 * nothing new is stored until it is there again. `bytes`: how large it is.
 */
export function createReserve(dataDir: string) {
  const file = join(dataDir, 'outbox.reserve');
  const { blocks, bsize } = statfsSync(dataDir);
  const bytes = Math.min(MAX_BYTES, Math.floor((blocks * bsize) / 16));
  let isKept = (statSync(file, { throwIfNoEntry: false })?.size ?? -1) >= bytes;
  let triedAt = Number.NEGATIVE_INFINITY;
  let isFull = false;

  return {
    bytes,
    get isFull() {
      return isFull;
    },
    /** Makes it unless it is there. False: the disk has no room for it. */
    keep(): boolean {
      if (isKept || performance.now() - triedAt < PAUSE_MS) return !isFull;
      triedAt = performance.now();
      try {
        // Random, since a file system that compresses would keep no room for zeros.
        writeFileSync(file, randomBytes(bytes), { mode: 0o600, flush: true });
        isKept = true;
        isFull = false;
      } catch (error) {
        rmSync(file, { force: true });
        // It is a help, and no condition: what else is wrong with the disk shows in the database.
        isFull = isDiskFull(error);
      }
      return !isFull;
    },
    giveUp(): void {
      rmSync(file, { force: true });
      isKept = false;
      isFull = true;
    },
  };
}
