import express, { type Express } from 'express';
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import type { OutboxOperator } from '../../outbox/operator.ts';
import type { RequestRecord } from '../exchange.ts';
import { configure, createExchanges, type Handler } from '../exchanges.ts';
import { createInFlightBytes } from '../in-flight.ts';
import { type EdgeLimits, edgeLimits } from '../limits.ts';
import { createListener, type Listener } from '../listener.ts';
import { problem } from '../problem.ts';
import { createAdmission } from './admit.ts';
import { createOutboxRoutes } from './routes.ts';

export interface AdminOptions {
  /** ADMIN_HOST, ADMIN_PORT (0: any free one), ADMIN_TOKEN and METRICS_TOKEN; without a token `host` must be loopback. */
  readonly admin: Pick<Config['admin'], 'host' | 'port' | 'token' | 'metricsToken'>;
  readonly operator: OutboxOperator;
  /** Which outbox it is, so that a command can tell that it is not the one of its DATA_DIR. */
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

const read = ['GET', 'HEAD'];

/** The operator's port, apart from the webhook's: it is never to be reachable through the reverse proxy. */
export function createAdminServer(options: AdminOptions): Listener {
  const { admin, clock, log } = options;
  const limits = edgeLimits(MAX_BODY_BYTES, { maxConnections: MAX_CONNECTIONS, ...options.limits });
  const { host, port } = admin;
  return createListener({
    name: 'admin',
    host,
    port,
    limits,
    clock,
    log,
    isTrustedProxy: () => false,
    createApp: () => createApp(options, limits),
  });
}

function createApp(options: AdminOptions, limits: EdgeLimits): Express {
  const { admin, operator, storeId, clock, log } = options;
  const exchanges = createExchanges({ ...options, limits });
  const inFlight = createInFlightBytes(limits.maxInFlightBytes);
  const routes = createOutboxRoutes({ operator, storeId, limits, clock, inFlight });
  const app = express();
  configure(app);
  app.use(exchanges.guard(exchanges.checkHost));
  app.use(exchanges.guard(createAdmission({ ...admin, limits, clock, log })));
  const outbox = (path: string, methods: readonly string[], handler: Handler): void =>
    void app.all(`/admin/v1/outbox${path}`, exchanges.handle('admin', methods, handler));
  outbox('', read, routes.stats);
  outbox('/records', read, routes.records);
  outbox('/records/:id', read, routes.record);
  outbox('/replay', ['POST'], routes.replay);
  outbox('/purge', ['POST'], routes.purge);
  if (options.expose !== undefined) app.all('/metrics', exchanges.handle('metrics', read, metrics(options.expose)));
  app.use(() => {
    throw problem('not_found', { detail: 'This port has /metrics and /admin/v1/outbox.' });
  });
  app.use(exchanges.fail);
  return app;
}

function metrics(expose: NonNullable<AdminOptions['expose']>): Handler {
  return async () => {
    const { contentType, body } = await expose();
    return { status: 200, contentType, body };
  };
}
