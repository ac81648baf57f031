import type { DatabaseSync } from 'node:sqlite';
import { describe } from './errors.ts';
import type { Health } from './health.ts';
import { emptyLog } from './log.ts';
import type { GroupCommit } from './transaction.ts';

/** Some milliseconds of work, so that a put that comes meanwhile does not wait longer. */
const CHUNK = 500;

/** See Outbox.recordedUntil. */
export const RECORDED_UNTIL = `
  SELECT max(at) - coalesce(sum(max(0, at - before - 86400000)), 0) AS until
  FROM (SELECT delivered_at AS at, lag(delivered_at) OVER (ORDER BY delivered_at) AS before FROM deliveries)`;

export interface PruneChunk {
  readonly forgotten: number;
  /** False: there may be more, call again. */
  readonly done: boolean;
}

/** Forgets one chunk of the identities that were delivered before a time, in ms since the epoch, oldest first. */
export function createPrune(
  db: DatabaseSync,
  group: GroupCommit,
  health: Health,
): (deliveredBefore: number) => PruneChunk {
  const oldest = `SELECT delivered_at, event_id FROM deliveries WHERE delivered_at < ?
    ORDER BY delivered_at, event_id LIMIT ${CHUNK}`;
  const forget = db.prepare(`DELETE FROM identities WHERE event_id IN (SELECT event_id FROM (${oldest}))`);
  const strike = db.prepare(`DELETE FROM deliveries WHERE (delivered_at, event_id) IN (${oldest})`);

  return (deliveredBefore) => {
    const result = group.run([deliveredBefore], () => (before) => {
      forget.run(before);
      return { value: Number(strike.run(before).changes) };
    });
    if (!result.committed) {
      health.failed(describe(result.error));
      return { forgotten: 0, done: true };
    }
    const [forgotten] = result.results;
    if (typeof forgotten !== 'number') throw forgotten ?? new Error('The group lost its call');
    if (result.wrote) health.wrote();
    const done = forgotten < CHUNK;
    if (done) emptyLog(db);
    return { forgotten, done };
  };
}
