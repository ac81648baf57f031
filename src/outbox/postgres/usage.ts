import type { EngineState } from '../engine.ts';
import type { StateCount } from '../port.ts';
import type { Session } from './database.ts';

/** A standby, or a server that was made read-only, as Azure does with one that runs out of storage. */
export async function isReadOnly(session: Session): Promise<boolean> {
  const [found] = await session.query<{ read_only: boolean }>(
    `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only`,
  );
  return found?.read_only === true;
}

/** What a record takes beside its body: row, indexes, dead letters, and the versions that wait for a vacuum. */
export const RECORD_BYTES = 512;
const IDENTITY_BYTES = 200;

interface Count {
  readonly state: 'waiting' | 'dead' | 'quarantined' | 'known';
  readonly kind: string;
  readonly n: number;
  readonly bytes: number;
  readonly oldest: number | null;
}

/** Reads two indexes and the quarantine, not one event. The number of identities is the server's own estimate. */
const COUNTS = `
  SELECT 'waiting' AS state, kind, count(*) AS n, sum(body_bytes)::bigint AS bytes, min(received_at) AS oldest
    FROM events WHERE pending_rows > 0 GROUP BY kind
  UNION ALL SELECT 'dead', kind, count(*), sum(body_bytes)::bigint, min(received_at)
    FROM events WHERE dead_rows > 0 GROUP BY kind
  UNION ALL SELECT 'quarantined', '', count(*), coalesce(sum(octet_length(body)), 0)::bigint, min(received_at)
    FROM quarantine
  UNION ALL SELECT 'known', '', greatest(reltuples, 0)::bigint, 0, NULL FROM pg_class WHERE oid = 'events'::regclass`;

/**
 * Counts, ages and sizes, those of the open transaction included. OUTBOX_MAX_BYTES is compared with what is stored plus an
 * allowance for each record, not with the files, which shrink only when the server vacuums.
 */
export async function readState(session: Session): Promise<EngineState> {
  const counts = await session.query<Count>(COUNTS);
  const of = (state: Count['state']): Count[] => counts.filter((count) => count.state === state);
  const bytes = (state: Count['state']): number => of(state).reduce((sum, count) => sum + count.bytes, 0);
  const waiting = of('waiting');
  const states = { dead: sumOf(of('dead')), quarantined: sumOf(of('quarantined')) };
  const records = sumOf(waiting).count + states.dead.count + states.quarantined.count;
  const identities = sumOf(of('known')).count;
  const stored = { waiting: bytes('waiting'), dead: bytes('dead'), quarantined: bytes('quarantined') };
  const bodies = stored.waiting + stored.dead + stored.quarantined;
  return {
    waiting: Object.fromEntries(waiting.map((count) => [count.kind, sumOf([count])])),
    ...states,
    bytes: stored,
    dataBytes: bodies + records * RECORD_BYTES + identities * IDENTITY_BYTES,
    logBytes: 0,
    refuses: (await isReadOnly(session)) ? 'the database is read-only: a standby, or set so' : null,
  };
}

function sumOf(counts: readonly Count[]): StateCount {
  const times = counts.flatMap(({ oldest }) => oldest ?? []);
  return {
    count: counts.reduce((sum, { n }) => sum + n, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}
