import { hostname } from 'node:os';
import table from '../../schemas/tables/AponoProxyHeartbeat_CL.json' with { type: 'json' };
import type { Clock } from '../ground/clock.ts';
import { type OutboxStats, oldestAgeMs, summary } from '../outbox/port.ts';
import type { Row } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';

/** The table of the rows about the service itself. They are no webhook kind, since no event of Apono's makes them. */
export const heartbeatTable = table as TableSchema;

export const heartbeatStreamVariable = 'LOGS_INGESTION_STREAM_HEARTBEAT';
export const heartbeatDefaultStream = `Custom-${heartbeatTable.name}`;

/** What this process has done since it started. */
export interface Totals {
  /** Events without duplicates. */
  readonly accepted: number;
  readonly duplicate: number;
  /** Webhooks answered 401 or 429. */
  readonly unauthorized: number;
  /** Rows of events that Azure took. */
  readonly delivered: number;
}

export interface HeartbeatSources {
  readonly version: string;
  /** Milliseconds since the epoch; the totals count from then on. */
  readonly startedAt: number;
  readonly totals: () => Promise<Totals>;
  /** Null: the outbox does not answer. */
  readonly stats: () => Promise<OutboxStats | null>;
  /** When the credential for Azure expires, in milliseconds since the epoch; null if that is not known. */
  readonly credentialEndsAt: () => number | null;
  readonly clock: Clock;
}

/** A row of AponoProxyHeartbeat_CL. When the outbox does not answer, the columns that only it knows are null. */
export async function makeHeartbeatRow(sources: HeartbeatSources): Promise<Row> {
  const stats = await sources.stats();
  const { accepted, duplicate, unauthorized, delivered } = await sources.totals();
  const now = sources.clock.now();
  const endsAt = sources.credentialEndsAt();
  // Events on hold count as waiting.
  const undelivered = stats && summary(stats, []).undelivered;
  return {
    TimeGenerated: new Date(now).toISOString(),
    instance: hostname(),
    version: sources.version,
    started_at: new Date(sources.startedAt).toISOString(),
    accepted,
    duplicate,
    quarantined: stats?.quarantined.count ?? null,
    dead: stats?.dead.count ?? null,
    unauthorized,
    delivered,
    waiting: undelivered?.count ?? null,
    oldest_waiting_seconds: undelivered && Math.floor(oldestAgeMs(undelivered, now) / 1000),
    credential_expires_at: endsAt === null ? null : new Date(endsAt).toISOString(),
  };
}
