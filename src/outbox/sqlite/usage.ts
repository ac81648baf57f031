import type { DatabaseSync } from 'node:sqlite';
import { pragma } from './sql.ts';

export interface Usage {
  /**
   * Bytes of the database's pages in use, the open transaction included. The file never grows past the largest value:
   * pages that became free are used again first. The write-ahead log comes on top, and is bounded (database.ts).
   */
  usedBytes(): number;
}

export function createUsage(db: DatabaseSync): Usage {
  const pageSize = Number(pragma(db, 'page_size'));
  const pages = db.prepare('PRAGMA page_count');
  const free = db.prepare('PRAGMA freelist_count');
  return {
    usedBytes: () => (Number(pages.get()?.['page_count']) - Number(free.get()?.['freelist_count'])) * pageSize,
  };
}
