import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { quarantined } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

const PAGE = 4096;
const MIB = 2 ** 20;

/** A database that is larger than what the start checks as a whole, with identities on several pages of their index. */
export async function fillLargeDatabase(dataDir: string): Promise<void> {
  const { outbox, cleanup } = await openSqliteFixture({ dataDir });
  for (const name of ['a', 'b']) await outbox.put([quarantined(name, { body: new Uint8Array(35 * MIB) })]);
  await outbox.add(
    Array.from({ length: 1_000 }, (_, n) => {
      const eventId = `v1${String((n * 7919) % 1_000).padStart(3, '0')}${'f'.repeat(60)}`;
      return { type: 'identity', eventId, storedAt: Date.now(), deliveredAt: Date.now() };
    }),
  );
  await cleanup();
}

/** Breaks a page in the middle of the index by which a put looks for its event: about one event in ten touches it. */
export function breakIndexPage(dataDir: string): void {
  const file = join(dataDir, 'outbox.db');
  const db = new DatabaseSync(file, { readOnly: true });
  const leaves = db
    .prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_autoindex_events_1' AND pagetype = 'leaf' ORDER BY path")
    .all();
  db.close();
  const page = Number(leaves[Math.floor(leaves.length / 2)]?.['pageno']);
  const bytes = readFileSync(file);
  assert(bytes.length > 64 * MIB && leaves.length > 8);
  writeFileSync(file, bytes.fill(0xa5, (page - 1) * PAGE, page * PAGE));
}
