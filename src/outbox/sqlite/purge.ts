import type { DatabaseSync } from 'node:sqlite';
import type { CallResult } from './transaction.ts';

export interface PurgeArgs {
  readonly ids: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The statements of one purge call. Ending the claims of its events is up to the caller, after the commit. */
export function createPurge(db: DatabaseSync): (call: PurgeArgs) => CallResult<readonly boolean[]> {
  // Body and dead letters go with it, by the foreign keys.
  const removeEvent = db.prepare('DELETE FROM events WHERE event_id = ?');
  // Counts as delivered from now on, so that it is forgotten after DEDUP_DAYS like any other.
  const markDelivered = db.prepare('UPDATE identities SET delivered_at = ? WHERE event_id = ?');
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');

  function purgeOne(id: string, now: number): boolean {
    if (removeEvent.run(id).changes === 0) return removeQuarantined.run(id).changes !== 0;
    markDelivered.run(now, id);
    return true;
  }

  return ({ ids, now }) => ({ keep: true, value: ids.map((id) => purgeOne(id, now)) });
}
