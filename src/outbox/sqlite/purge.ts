import type { DatabaseSync } from 'node:sqlite';
import { createRemoveQuarantined } from './remove-quarantined.ts';
import { ADD_DELIVERY, getRow, IS_EVENT } from './sql.ts';
import type { Counted, Tally } from './tally.ts';
import type { CallResult } from './transaction.ts';

export interface PurgeArgs {
  readonly ids: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The identities go too: the records are another outbox's now, from which they may come back. */
  readonly forget: boolean;
}

/** The statements of one purge call. Ending the claims of its events is up to the caller, after the commit. */
export function createPurge(db: DatabaseSync, tally: Tally): (call: PurgeArgs) => CallResult<readonly boolean[]> {
  // Body and dead letters go with it, by the foreign keys.
  const removeEvent = db.prepare(
    `DELETE FROM events WHERE ${IS_EVENT} RETURNING kind, pending_rows, dead_rows, body_bytes`,
  );
  // Counts as delivered from now on, so that it is forgotten after DEDUP_DAYS like any other.
  const addDelivery = db.prepare(ADD_DELIVERY);
  const removeIdentity = db.prepare('DELETE FROM identities WHERE event_id = ?');
  const removeQuarantined = createRemoveQuarantined(db, tally);

  function purgeOne(id: string, { now, forget }: PurgeArgs): boolean {
    const event = getRow<Counted>(removeEvent, id);
    if (event === undefined) return removeQuarantined(id);
    tally.removeEvent(event);
    if (forget) removeIdentity.run(id);
    else addDelivery.run(now, id);
    return true;
  }

  return (call) => ({ value: call.ids.map((id) => purgeOne(id, call)) });
}
