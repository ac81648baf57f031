import { CopyError } from './engine.ts';
import { sizeOf } from './group.ts';
import { OutboxUnavailableError } from './port.ts';
import type { StoredRecord } from './records.ts';
import type { Store } from './store.ts';

/** Of one transaction of the target. */
export const MAX_BATCH_RECORDS = 200;
export const MAX_BATCH_BYTES = 4 * 1024 * 1024;

type Records = AsyncIterable<StoredRecord> | Iterable<StoredRecord>;

export interface MoveCounts {
  /** Events and quarantined bodies that are in the target now and were not before. */
  readonly moved: number;
  /** Those that it knew already, as after a move that was cut off. */
  readonly known: number;
  /** Identities of delivered events that are remembered there now. */
  readonly identities: number;
}

/**
 * Copies everything. Killed at any moment, it can be run again, and what is in both is known there; the caller sets the
 * source aside as a whole when this has ended. Rejects with a CopyError, by default for a migration, or with what the
 * source rejects with.
 */
export async function copyRecords(
  records: Records,
  target: Pick<Store, 'add'>,
  onProgress: (counts: MoveCounts) => void,
  code: CopyError['code'] = 'migrate_not_stored',
  advice = 'Nothing was taken away: set right what is wrong, then run it again',
): Promise<MoveCounts> {
  const counts = { moved: 0, known: 0, identities: 0 };
  for await (const batch of inBatches(records)) {
    const isNew = await target.add(batch).catch((error: unknown) => {
      if (!(error instanceof OutboxUnavailableError)) throw error;
      throw new CopyError(code, `Not everything was stored: ${error.message}. ${advice}.`);
    });
    for (const [index, record] of batch.entries()) {
      if (record.type === 'identity') counts.identities += Number(isNew[index]);
      else counts[isNew[index] ? 'moved' : 'known']++;
    }
    onProgress({ ...counts });
  }
  return counts;
}

async function* inBatches(records: Records): AsyncGenerator<readonly StoredRecord[]> {
  let batch: StoredRecord[] = [];
  let bytes = 0;
  for await (const record of records) {
    batch.push(record);
    bytes += sizeOf([record]);
    if (batch.length < MAX_BATCH_RECORDS && bytes < MAX_BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
