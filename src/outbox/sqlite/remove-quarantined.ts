import type { DatabaseSync } from 'node:sqlite';
import { getRow } from './sql.ts';
import type { Tally } from './tally.ts';

/** Makes the function that deletes one quarantined body and counts it off. It says whether there was one. */
export function createRemoveQuarantined(db: DatabaseSync, tally: Tally): (quarantineId: string) => boolean {
  const remove = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ? RETURNING length(body) AS bytes');
  return (quarantineId) => {
    const removed = getRow<{ bytes: number }>(remove, quarantineId);
    if (removed !== undefined) tally.removeQuarantined(removed.bytes);
    return removed !== undefined;
  };
}
