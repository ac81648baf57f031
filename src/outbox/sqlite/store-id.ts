import { statSync } from 'node:fs';
import { lockFile } from './files.ts';

/**
 * Tells the outboxes of one machine apart, whatever the path or mount by which a folder is reached: a command compares
 * its DATA_DIR with what the admin API serves before it deletes anything. Null: the folder has no outbox.
 */
export function storeId(dataDir: string): string | null {
  const stats = statSync(lockFile(dataDir), { throwIfNoEntry: false, bigint: true });
  return stats === undefined ? null : `${stats.dev}-${stats.ino}`;
}
