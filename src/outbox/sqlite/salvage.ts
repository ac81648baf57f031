import { DatabaseSync } from 'node:sqlite';
import { OutboxUnavailableError } from '../port.ts';
import type { StoredRecord } from '../records.ts';
import type { Store } from '../store.ts';
import { describe } from './errors.ts';
import { readRecords } from './move.ts';
import { APPLICATION_ID } from './schema.ts';
import { markSalvaged } from './set-aside.ts';
import { pragma } from './sql.ts';
import { mendLog, removeMended } from './wal.ts';

export interface SalvageCounts {
  /** Events and quarantined bodies that are in the outbox now and were not before. */
  readonly recovered: number;
  /** Records that the outbox knew already, delivered ones too. */
  readonly duplicate: number;
  /** Records of which only traces can be read; there may be more, of which not even that is left. */
  readonly unreadable: number;
  /** Identities of delivered events that are remembered again, for deduplication. */
  readonly identities: number;
}

export interface SalvageOptions {
  /** Called after each batch, for progress and to tell delivery that there are events. */
  readonly onProgress?: (counts: SalvageCounts) => void;
  /** Milliseconds since the epoch, for what has lost its own time. */
  readonly nowMs: number;
}

/** The message says what to do. What was stored before it stays: salvaging again goes on, duplicates being known. */
export class SalvageError extends Error {
  override readonly name = 'SalvageError';
  /** `unreadable`: the file is not there, not ours, or its first page is broken. `not_stored`: the outbox took no more. */
  readonly code: 'salvage_unreadable' | 'salvage_not_stored';

  constructor(code: SalvageError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Reads what can be read of a database that was set aside (`outbox.db.damaged-<time>`) and puts it into the outbox:
 * events with the rows that still wait and their dead letters, quarantined bodies, identities of delivered events. What
 * the outbox knows already stays as it is there. In the end the file, when it has that name, is renamed to
 * `outbox.db.salvaged-<time>`, which ends the alarm. Rejects with a SalvageError.
 */
export async function salvage(file: string, into: Pick<Store, 'add'>, options: SalvageOptions): Promise<SalvageCounts> {
  const counts = { recovered: 0, duplicate: 0, unreadable: 0, identities: 0 };
  const { db, done } = openDamaged(file);
  try {
    const losses = { nowMs: options.nowMs, onUnreadable: () => counts.unreadable++, onDamage: () => undefined };
    for (const batch of readRecords(db, losses)) {
      const isNew = await add(batch, into);
      for (const [index, record] of batch.entries()) {
        if (record.type === 'identity') counts.identities += Number(isNew[index]);
        else counts[isNew[index] ? 'recovered' : 'duplicate']++;
      }
      options.onProgress?.({ ...counts });
    }
  } finally {
    done();
  }
  markSalvaged(file);
  return counts;
}

async function add(batch: readonly StoredRecord[], into: Pick<Store, 'add'>): Promise<readonly boolean[]> {
  try {
    return await into.add(batch);
  } catch (error) {
    if (!(error instanceof OutboxUnavailableError)) throw error;
    const advice = 'Make room, then salvage the file again: what is stored already is known';
    throw new SalvageError('salvage_not_stored', `Not everything was stored: ${error.message}. ${advice}.`);
  }
}

/** `done` closes it, and removes a copy that was made to read what stands after a damaged frame of the log. */
function openDamaged(file: string): { readonly db: DatabaseSync; done(): void } {
  let db: DatabaseSync | null = null;
  let mended: string | null = null;
  const done = (): void => {
    db?.close();
    if (mended !== null) removeMended(mended);
  };
  try {
    mended = mendLog(file);
    db = new DatabaseSync(mended ?? file, { readOnly: true });
    if (Number(pragma(db, 'application_id')) === APPLICATION_ID) return { db, done };
  } catch (error) {
    done();
    const advice = 'Is the path right? Where even the first page is broken, restore a backup instead';
    const message = `${file} cannot be read as a database: ${describe(error)}. ${advice}.`;
    throw new SalvageError('salvage_unreadable', message, { cause: error });
  }
  done();
  throw new SalvageError('salvage_unreadable', `${file} is not a database of this service. Is the path right?`);
}
