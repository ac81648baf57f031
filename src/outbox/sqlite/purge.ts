import type { DatabaseSync } from 'node:sqlite';
import type { CallResult } from './transaction.ts';

export interface PurgeArgs {
  readonly ids: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The identities go too: the records are another outbox's now, from which they may come back. */
  readonly forget: boolean;
}

/** The statements of one purge call. Ending the claims of its events is up to the caller, after the commit. */
export function createPurge(db: DatabaseSync): (call: PurgeArgs) => CallResult<readonly boolean[]> {
  // Body and dead letters go with it, by the foreign keys.
  const removeEvent = db.prepare('DELETE FROM events WHERE event_id = ?');
  // Counts as delivered from now on, so that it is forgotten after DEDUP_DAYS like any other.
  const markDelivered = db.prepare('UPDATE identities SET delivered_at = ? WHERE event_id = ?');
  const removeIdentity = db.prepare('DELETE FROM identities WHERE event_id = ?');
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');

  function purgeOne(id: string, { now, forget }: PurgeArgs): boolean {
    if (removeEvent.run(id).changes === 0) return removeQuarantined.run(id).changes !== 0;
    if (forget) removeIdentity.run(id);
    else markDelivered.run(now, id);
    return true;
  }

  return (call) => ({ keep: true, value: call.ids.map((id) => purgeOne(id, call)) });
}
