import type { DatabaseSync } from 'node:sqlite';
import type { OutboxStats, StateCount } from '../port.ts';
import type { RecordState } from '../records.ts';
import { describe } from './errors.ts';
import type { Health } from './health.ts';
import { eachRow, getRow } from './sql.ts';
import type { GroupCommit } from './transaction.ts';
import type { Usage } from './usage.ts';

/** What an ordinary webhook needs: with less than this left the outbox is as good as full. */
const HEADROOM_BYTES = 64 * 1024;

interface Count {
  readonly kind: string;
  readonly n: number;
  readonly bytes: number;
}

export interface StatsParts {
  readonly db: DatabaseSync;
  readonly group: GroupCommit;
  readonly usage: Usage;
  readonly health: Health;
  readonly maxBytes: number;
}

/** Throws when the database cannot be read. */
export function createStats({ db, group, usage, health, maxBytes }: StatsParts): () => OutboxStats {
  const counts = db.prepare('SELECT kind, n, bytes FROM counts WHERE state = ? AND n > 0');
  const oldestWaiting = db.prepare('SELECT min(received_at) AS at FROM events WHERE kind = ? AND pending_rows > 0');
  const oldestDead = db.prepare('SELECT min(received_at) AS at FROM events WHERE kind = ? AND dead_rows > 0');
  const oldestQuarantined = db.prepare('SELECT min(received_at) AS at FROM quarantine');
  // As large as an ordinary webhook: a disk that is full for those may still have room for a byte.
  const fill = db.prepare(`INSERT INTO write_probe (filler) VALUES (zeroblob(${HEADROOM_BYTES}))`);
  const clear = db.prepare('DELETE FROM write_probe');
  const headroom = Math.min(HEADROOM_BYTES, Math.floor(maxBytes / 16));

  const oldestAt = (statement: typeof oldestWaiting, ...kind: readonly string[]): number | null =>
    getRow<{ at: number | null }>(statement, ...kind)?.at ?? null;

  function waiting(counted: readonly Count[]): Record<string, StateCount> {
    return Object.fromEntries(
      counted.map(({ kind, n }) => [kind, { count: n, oldestReceivedAt: oldestAt(oldestWaiting, kind) }]),
    );
  }

  function dead(counted: readonly Count[]): StateCount {
    const oldest = counted.map(({ kind }) => oldestAt(oldestDead, kind)).filter((at) => at !== null);
    const oldestReceivedAt = oldest.length === 0 ? null : Math.min(...oldest);
    return { count: counted.reduce((sum, { n }) => sum + n, 0), oldestReceivedAt };
  }

  function countAll(): Pick<OutboxStats, 'waiting' | 'dead' | 'quarantined' | 'bytes'> {
    const countsOf = (state: RecordState): Count[] => [...eachRow<Count>(counts, state)];
    const ofWaiting = countsOf('waiting');
    const ofDead = countsOf('dead');
    const ofQuarantined = countsOf('quarantined');
    const bytes = (counted: readonly Count[]) => counted.reduce((sum, each) => sum + each.bytes, 0);
    return {
      waiting: waiting(ofWaiting),
      dead: dead(ofDead),
      quarantined: {
        count: ofQuarantined.reduce((sum, { n }) => sum + n, 0),
        oldestReceivedAt: oldestAt(oldestQuarantined),
      },
      bytes: { waiting: bytes(ofWaiting), dead: bytes(ofDead), quarantined: bytes(ofQuarantined) },
    };
  }

  function tryToWrite(): void {
    for (const statement of [fill, clear]) {
      const tried = group.run([statement], () => (each) => ({ value: each.run() }));
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
      ...countAll(),
      usedBytes,
      maxBytes,
      writable: problem === null,
      problem,
    };
  };
}
