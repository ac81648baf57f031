import { MoveError } from './engine.ts';
import { OutboxUnavailableError } from './port.ts';
import type { StoredRecord } from './records.ts';
import type { Store } from './store.ts';

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
 * source aside as a whole when this has ended. Rejects with a MoveError, or an OutboxUnavailableError of the source.
 */
export async function copyRecords(
  records: AsyncIterable<readonly StoredRecord[]>,
  target: Pick<Store, 'add'>,
  onProgress: (counts: MoveCounts) => void,
): Promise<MoveCounts> {
  const counts = { moved: 0, known: 0, identities: 0 };
  for await (const batch of records) {
    const isNew = await target.add(batch).catch(notStored);
    for (const [index, record] of batch.entries()) {
      if (record.type === 'identity') counts.identities += isNew[index] === true ? 1 : 0;
      else if (isNew[index] === true) counts.moved++;
      else counts.known++;
    }
    onProgress({ ...counts });
  }
  return counts;
}

function notStored(error: unknown): never {
  if (!(error instanceof OutboxUnavailableError)) throw error;
  const advice = 'Nothing was taken away: set right what is wrong, then run it again';
  throw new MoveError('migrate_not_stored', `Not everything was stored: ${error.message}. ${advice}.`);
}
