import type { DatabaseSync } from 'node:sqlite';
import type { RowRange } from '../port.ts';
import { countRows, mergeRanges } from '../ranges.ts';
import { eachRow, getRow, IS_EVENT } from './sql.ts';
import type { Counted, Tally } from './tally.ts';
import type { CallResult } from './transaction.ts';

interface EventRow extends Counted {
  readonly seq: number;
  readonly pending: string;
}

/** The statements of one revive call. A claim of the event goes on with the rows that it had. */
export function createRevive(
  db: DatabaseSync,
  tally: Tally,
): (eventIds: readonly string[]) => CallResult<readonly number[]> {
  const find = db.prepare(
    `SELECT seq, kind, pending, pending_rows, dead_rows, body_bytes FROM events WHERE ${IS_EVENT} AND dead_rows > 0`,
  );
  const findLetters = db.prepare('SELECT rows FROM dead_letters WHERE seq = ?');
  const removeLetters = db.prepare('DELETE FROM dead_letters WHERE seq = ?');
  const update = db.prepare('UPDATE events SET pending = ?, pending_rows = ?, dead_rows = 0 WHERE seq = ?');

  function reviveOne(eventId: string): number {
    const event = getRow<EventRow>(find, eventId);
    if (event === undefined) return 0;
    const letters = [...eachRow<{ rows: string }>(findLetters, event.seq)];
    const before = JSON.parse(event.pending) as readonly RowRange[];
    const dead = letters.flatMap(({ rows }) => JSON.parse(rows) as readonly RowRange[]);
    const pending = mergeRanges(before, dead);
    const pendingRows = countRows(pending);
    removeLetters.run(event.seq);
    update.run(JSON.stringify(pending), pendingRows, event.seq);
    tally.removeEvent(event);
    tally.addEvent({ ...event, pending_rows: pendingRows, dead_rows: 0 });
    return pendingRows - countRows(before);
  }

  return (eventIds) => ({ value: eventIds.map(reviveOne) });
}
