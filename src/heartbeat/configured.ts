import { hostname } from 'node:os';
import { explainUpload } from '../azure/fixes.ts';
import type { Config } from '../config/config.ts';
import type { Ingestion } from '../delivery/ingestion.ts';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Outbox } from '../outbox/port.ts';
import type { HeartbeatOutcome } from './beat.ts';
import { createHeartbeat, type Heartbeat } from './heartbeat.ts';
import { logHeartbeat } from './log.ts';
import { createHeartbeatRow, type Totals } from './row.ts';
import { heartbeatStreamVariable } from './table.ts';

export interface ConfiguredHeartbeatOptions {
  readonly config: Pick<Config, 'heartbeat' | 'ingestion' | 'credential'>;
  /** Of this service. */
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly outbox: Pick<Outbox, 'stats'>;
  readonly ingestion: Ingestion;
  readonly totals: () => Promise<Totals>;
  /** Counts what became of each attempt. */
  readonly onHeartbeat: (outcome: HeartbeatOutcome) => void;
  readonly credentialEndsAt: () => number | null;
}

/** The heartbeat of the configuration, whose `started_at` is now; null where none is to be sent. */
export function createConfiguredHeartbeat(options: ConfiguredHeartbeatOptions): Heartbeat | null {
  const { config, version, clock, log, outbox, ingestion, totals, onHeartbeat, credentialEndsAt } = options;
  if (config.heartbeat === null || config.heartbeat.intervalMs === 0) return null;
  const { stream, intervalMs } = config.heartbeat;
  const { endpoint, ruleId } = config.ingestion;
  const context = { stream, streamVariable: heartbeatStreamVariable, ruleId, endpoint, credential: config.credential };
  const logged = logHeartbeat(log, clock, stream);
  return createHeartbeat({
    stream,
    intervalMs,
    ingestion,
    makeRow: createHeartbeatRow({
      instance: hostname(),
      version,
      startedAt: clock.now(),
      totals,
      stats: () => outbox.stats(),
      credentialEndsAt,
      clock,
    }),
    explain: (result, code) => explainUpload(result, context, code),
    clock,
    random: Math.random,
    observer: {
      sent(failing) {
        onHeartbeat('delivered');
        logged.sent(failing);
      },
      failed(failing) {
        onHeartbeat(failing.outcome);
        logged.failed(failing);
      },
    },
  });
}
