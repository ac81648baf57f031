import { DatabaseSync } from 'node:sqlite';
import { setImmediate as pause } from 'node:timers/promises';
import { MoveError, type MoveSource } from '../move.ts';
import type { SalvagedRecord } from '../salvaged.ts';
import { databaseFile } from './files.ts';
import type { SqliteOutbox } from './outbox.ts';
import { type Finding, readEvents, readIdentities, readQuarantine } from './salvage-read.ts';

const MAX_BATCH_RECORDS = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** `outbox` holds the lock of the folder, so that nobody writes while it is read. `nowMs`: since the epoch. */
export function sqliteMoveSource(outbox: SqliteOutbox, dataDir: string, nowMs: number): MoveSource {
  return {
    takeAway: (ids) => outbox.takeAway(ids),
    async *records() {
      const db = new DatabaseSync(databaseFile(dataDir), { readOnly: true });
      try {
        yield* batches(findings(db, nowMs));
      } finally {
        db.close();
      }
    },
  };
}

function* findings(db: DatabaseSync, nowMs: number): Generator<Finding> {
  yield* readEvents(db, nowMs);
  yield* readQuarantine(db);
  yield* readIdentities(db);
}

async function* batches(found: Iterable<Finding>): AsyncGenerator<SalvagedRecord[]> {
  let batch: SalvagedRecord[] = [];
  let bytes = 0;
  for (const finding of found) {
    if (finding === null || finding === 'unreadable') {
      const message = 'The database in DATA_DIR is damaged: nothing was taken away. Start the service on it once';
      throw new MoveError('migrate_unreadable', `${message}, which sets it aside, and then salvage it.`);
    }
    batch.push(finding);
    bytes += finding.type === 'identity' ? 0 : finding.entry.body.length;
    if (batch.length < MAX_BATCH_RECORDS && bytes < MAX_BATCH_BYTES) continue;
    yield batch;
    await pause();
    batch = [];
    bytes = 0;
  }
  yield batch;
}
