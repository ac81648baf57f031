import type { Config } from '../../config/config.ts';
import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import type { OutboxOperator } from '../../outbox/operator.ts';
import { createApp, type Handler } from '../app.ts';
import type { RequestRecord } from '../exchange.ts';
import { createInFlightBytes, type EdgeLimits, edgeLimits } from '../limits.ts';
import { createListener, type Listener } from '../listener.ts';
import { createAdmission } from './admit.ts';
import { outboxRoutes } from './routes.ts';

export interface AdminOptions {
  /** ADMIN_HOST, ADMIN_PORT (0: any free one), ADMIN_TOKEN and METRICS_TOKEN; without a token `host` must be loopback. */
  readonly admin: Pick<Config['admin'], 'host' | 'port' | 'token' | 'metricsToken'>;
  readonly operator: OutboxOperator;
  /** Identifies the outbox, so that a command can tell that it is not the one of its DATA_DIR. */
  readonly storeId: string | null;
  /** The text of /metrics; without it there is no such path. */
  readonly expose?: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly log: Logger;
  readonly clock: Clock;
  /** In place of the defaults. */
  readonly limits?: Partial<EdgeLimits>;
  readonly onRequest?: (record: RequestRecord) => void;
}

/** 1,000 ids of 67 characters are 70 KB. */
const MAX_BODY_BYTES = 262_144;
/** A monitoring system, a dashboard and a few people. */
const MAX_CONNECTIONS = 200;

/** The operator's port, apart from the webhook's: it must never be reachable through the reverse proxy. */
export function createAdminServer(options: AdminOptions): Listener {
  const limits = edgeLimits(MAX_BODY_BYTES, { maxConnections: MAX_CONNECTIONS, ...options.limits });
  const inFlight = createInFlightBytes(limits.maxInFlightBytes);
  const routes = [...outboxRoutes({ ...options, limits, inFlight })];
  if (options.expose !== undefined) {
    routes.push({ path: '/metrics', route: 'metrics', methods: ['GET', 'HEAD'], handler: metrics(options.expose) });
  }
  return createListener({
    ...options,
    ...options.admin,
    name: 'admin',
    limits,
    isTrustedProxy: () => false,
    createApp: () =>
      createApp({
        ...options,
        routes,
        admit: createAdmission({ ...options, ...options.admin, limits }),
        notFoundDetail: 'This port has /metrics and /admin/v1/outbox.',
        limits,
      }),
  });
}

function metrics(expose: NonNullable<AdminOptions['expose']>): Handler {
  return async () => ({ status: 200, ...(await expose()) });
}
