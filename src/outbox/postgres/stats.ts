import type { OutboxStats, StateCount } from '../port.ts';
import type { RecordState } from '../records.ts';
import type { Session } from './database.ts';
import { readUsage, type Usage } from './usage.ts';

/** What an ordinary webhook needs: with less than this left the outbox is as good as full. */
const HEADROOM_BYTES = 64 * 1024;

interface Count {
  readonly state: RecordState;
  readonly kind: string;
  readonly n: number;
  readonly bytes: number;
  readonly oldest: number | null;
}

/** Adds up some hundred changes at most, and reads the first entry of an index for each age: not one event. */
const COUNTS = `
  WITH sums AS (
    SELECT state, kind, sum(n)::bigint AS n, sum(bytes)::bigint AS bytes FROM tallies
    WHERE state IN ('waiting', 'dead', 'quarantined') GROUP BY state, kind
  )
  SELECT s.*, CASE s.state
    WHEN 'waiting' THEN (SELECT received_at FROM events e WHERE e.kind = s.kind AND pending_rows > 0
      ORDER BY received_at LIMIT 1)
    WHEN 'dead' THEN (SELECT received_at FROM events e WHERE e.kind = s.kind AND dead_rows > 0
      ORDER BY received_at LIMIT 1)
    ELSE (SELECT received_at FROM quarantine ORDER BY received_at LIMIT 1) END AS oldest
  FROM sums s WHERE n > 0`;

function together(counts: readonly Count[]): StateCount {
  const times = counts.flatMap(({ oldest }) => oldest ?? []);
  return {
    count: counts.reduce((sum, { n }) => sum + n, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}

/** All but whether it can be written. */
export async function readStats(
  session: Session,
  usage: Usage,
  maxBytes: number,
): Promise<Omit<OutboxStats, 'writable' | 'problem'>> {
  const counts = await session.query<Count>(COUNTS);
  const of = (state: RecordState): Count[] => counts.filter((count) => count.state === state);
  const bytes = (state: RecordState): number => of(state).reduce((sum, count) => sum + count.bytes, 0);
  return {
    waiting: Object.fromEntries(of('waiting').map((count) => [count.kind, together([count])])),
    dead: together(of('dead')),
    quarantined: together(of('quarantined')),
    bytes: { waiting: bytes('waiting'), dead: bytes('dead'), quarantined: bytes('quarantined') },
    usedBytes: await readUsage(session, usage),
    maxBytes,
  };
}

export function fullness(usedBytes: number, maxBytes: number): string | null {
  const headroom = Math.min(HEADROOM_BYTES, Math.floor(maxBytes / 16));
  if (usedBytes + headroom <= maxBytes) return null;
  return `the outbox is full: ${usedBytes} of ${maxBytes} bytes are used (OUTBOX_MAX_BYTES)`;
}

/** As large as an ordinary webhook: a disk that is full for those may still have room for a byte. */
export async function tryToWrite(session: Session): Promise<void> {
  await session.run('INSERT INTO write_probe (filler) VALUES (decode(repeat(md5(random()::text), 4096), $1))', ['hex']);
  await session.run('DELETE FROM write_probe');
}

/** A standby, or a server that was made read-only, as Azure does with one that runs out of storage. */
export async function isReadOnly(session: Session): Promise<boolean> {
  const [found] = await session.query<{ read_only: boolean }>(
    `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only`,
  );
  return found?.read_only === true;
}
