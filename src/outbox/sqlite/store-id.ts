import { existsSync, statSync } from 'node:fs';
import { lockFile } from './files.ts';

/**
 * Tells the outboxes of one machine apart, whatever the path or mount by which a folder is reached: a command compares
 * its DATA_DIR with what the admin API serves before it deletes anything. Null: the folder has no outbox.
 */
export function storeId(dataDir: string): string | null {
  if (!existsSync(lockFile(dataDir))) return null;
  // Of the folder, which stays the same when a file of it is set aside, or removed and made again.
  const { dev, ino } = statSync(dataDir, { bigint: true });
  return `${dev}-${ino}`;
}
