import type { DatabaseSync } from 'node:sqlite';
import { MoveError } from '../move.ts';
import type { MovedRecord } from '../records.ts';
import { type Finding, readEvents, readIdentities, readQuarantine } from './salvage-read.ts';

const MAX_BATCH_RECORDS = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** Everything in the database, in batches. The caller has the database for itself. */
export async function* readRecords(db: DatabaseSync): AsyncGenerator<readonly MovedRecord[]> {
  yield* inBatches(
    (function* () {
      for (const finding of allFindings(db, 0)) {
        if (finding === null || finding === 'unreadable') {
          const message = 'The database in DATA_DIR is damaged: nothing was taken away. Start the service on it once';
          throw new MoveError('migrate_unreadable', `${message}, which sets it aside, and then salvage it.`);
        }
        yield finding;
      }
    })(),
  );
}

/** Identities last: an event whose own row was read must not be taken for delivered. */
export function* allFindings(db: DatabaseSync, nowMs: number): Generator<Finding> {
  yield* readEvents(db, nowMs);
  yield* readQuarantine(db);
  yield* readIdentities(db);
}

export function* inBatches(records: Iterable<MovedRecord>): Generator<readonly MovedRecord[]> {
  let batch: MovedRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    batch.push(record);
    bytes += sizeOf(record);
    if (batch.length < MAX_BATCH_RECORDS && bytes < MAX_BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

function sizeOf(record: MovedRecord): number {
  if (record.type === 'identity') return 0;
  if (record.type === 'quarantine') return record.entry.body.length;
  const { shared, own } = record.entry.rows;
  return own.reduce((sum, text) => sum + text.length, shared.length);
}
