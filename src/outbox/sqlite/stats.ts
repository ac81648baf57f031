import type { DatabaseSync } from 'node:sqlite';
import type { OutboxStats, StateCount } from '../port.ts';
import { describe } from './errors.ts';
import type { Health } from './health.ts';
import { eachRow, getRow } from './sql.ts';
import type { GroupCommit } from './transaction.ts';
import type { Usage } from './usage.ts';

/** What an ordinary webhook needs: with less than this left the outbox is as good as full. */
const HEADROOM_BYTES = 64 * 1024;

export interface StatsParts {
  readonly db: DatabaseSync;
  readonly group: GroupCommit;
  readonly usage: Usage;
  readonly health: Health;
  readonly maxBytes: number;
}

/** Throws when the database cannot be read. */
export function createStats({ db, group, usage, health, maxBytes }: StatsParts): () => OutboxStats {
  const counts = db.prepare('SELECT kind, n FROM counts WHERE state = ? AND n > 0');
  const oldestWaiting = db.prepare('SELECT min(received_at) AS at FROM events WHERE kind = ? AND pending_rows > 0');
  const oldestDead = db.prepare('SELECT min(received_at) AS at FROM events WHERE dead_rows > 0');
  const oldestQuarantined = db.prepare('SELECT min(received_at) AS at FROM quarantine');
  // As large as an ordinary webhook: a disk that is full for those may still have room for a byte.
  const fill = db.prepare(`INSERT INTO write_probe (filler) VALUES (zeroblob(${HEADROOM_BYTES}))`);
  const clear = db.prepare('DELETE FROM write_probe');
  const headroom = Math.min(HEADROOM_BYTES, Math.floor(maxBytes / 16));

  const countsOf = (state: string) => [...eachRow<{ kind: string; n: number }>(counts, state)];

  function total(state: string, oldest: typeof oldestDead): StateCount {
    const count = countsOf(state).reduce((sum, { n }) => sum + n, 0);
    return { count, oldestReceivedAt: getRow<{ at: number | null }>(oldest)?.at ?? null };
  }

  function waiting(): Record<string, StateCount> {
    return Object.fromEntries(
      countsOf('waiting').map(({ kind, n }) => {
        const oldest = getRow<{ at: number | null }>(oldestWaiting, kind)?.at ?? null;
        return [kind, { count: n, oldestReceivedAt: oldest }];
      }),
    );
  }

  function tryToWrite(): void {
    for (const statement of [fill, clear]) {
      const tried = group.run([statement], (each) => ({ keep: true, value: each.run() }));
      if (tried.committed) continue;
      health.failed(describe(tried.error));
      return;
    }
    health.wrote();
  }

  function findProblem(usedBytes: number): string | null {
    if (health.problem !== null) tryToWrite();
    if (health.problem !== null) return health.problem;
    if (usedBytes + headroom <= maxBytes) return null;
    return `the outbox is full: ${usedBytes} of ${maxBytes} bytes are used (OUTBOX_MAX_BYTES)`;
  }

  return () => {
    const usedBytes = usage.usedBytes();
    const problem = findProblem(usedBytes);
    return {
      waiting: waiting(),
      dead: total('dead', oldestDead),
      quarantined: total('quarantined', oldestQuarantined),
      usedBytes,
      maxBytes,
      writable: problem === null,
      problem,
    };
  };
}
