import { statfs } from 'node:fs/promises';
import type { DiskSpace } from './scrape.ts';

/** Of the file system that holds the folder. Free is what this user may still take. Rejects as `statfs` does. */
export async function diskSpace(folder: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}
