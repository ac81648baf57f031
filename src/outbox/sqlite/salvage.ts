import { DatabaseSync } from 'node:sqlite';
import { CopyError } from '../engine.ts';
import { copyRecords, type MoveCounts } from '../move.ts';
import type { Store } from '../store.ts';
import { describe } from './errors.ts';
import { readRecords } from './move.ts';
import { APPLICATION_ID } from './schema.ts';
import { markSalvaged } from './set-aside.ts';
import { pragma } from './sql.ts';
import { mendSet, removeMended } from './wal.ts';

export type SalvageCounts = ReturnType<typeof countsOf>;

/** `unreadable`: records of which only traces can be read; there may be more, of which not even that is left. */
function countsOf({ moved, known, identities }: MoveCounts, unreadable: number) {
  return { recovered: moved, duplicate: known, unreadable, identities };
}

/**
 * Reads what can be read of a database that was set aside and puts it into the outbox. What is known there stays as it is,
 * so that it can be done again. In the end `markSalvaged` renames the file, which ends the alarm, unless nothing came back
 * of the records in it: then a person ends it by removing the file. `nowMs` (since the epoch) is for what has lost its own
 * time; `onProgress` is called after each batch. Rejects with a CopyError.
 */
export async function salvage(
  file: string,
  into: Pick<Store, 'add'>,
  { nowMs, onProgress }: { readonly nowMs: number; readonly onProgress?: (counts: SalvageCounts) => void },
): Promise<SalvageCounts> {
  let unreadable = 0;
  using opened = new DisposableStack();
  const db = openDamaged(file, opened);
  const records = readRecords(db, nowMs, () => undefined).filter((record) => {
    if (record === null) unreadable++;
    return record !== null;
  });
  const tell = (counts: MoveCounts) => onProgress?.(countsOf(counts, unreadable));
  const advice = 'Make room, then salvage the file again: what is stored already is known';
  const salvaged = countsOf(await copyRecords(records, into, tell, 'salvage_not_stored', advice), unreadable);
  // Nothing has the file open when it gets another name.
  opened.dispose();
  if (!cameToNothing(salvaged)) markSalvaged(file);
  return salvaged;
}

/** Whether there were records, and none came back. */
export function cameToNothing({ recovered, duplicate, unreadable }: SalvageCounts): boolean {
  return unreadable > 0 && recovered + duplicate === 0;
}

/** `opened` closes it, and removes the copy that is made where SQLite cannot read the files as they are. */
function openDamaged(file: string, opened: DisposableStack): DatabaseSync {
  try {
    opened.defer(() => removeMended(file));
    const db = opened.use(new DatabaseSync(mendSet(file) ?? file, { readOnly: true }));
    if (Number(pragma(db, 'application_id')) === APPLICATION_ID) return db;
  } catch (error) {
    const advice = 'Is the path right? Where even the first page is broken, restore a backup instead';
    const message = `${file} cannot be read as a database: ${describe(error)}. ${advice}.`;
    throw new CopyError('salvage_unreadable', message, { cause: error });
  }
  throw new CopyError('salvage_unreadable', `${file} is not a database of this service. Is the path right?`);
}
