import express, { type Express } from 'express';
import type { Config } from '../config/config.ts';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Receive } from '../outbox/receive.ts';
import { createArrivals } from './arrivals.ts';
import { createAuthenticator } from './authenticate.ts';
import { createAllowlist, createClients } from './client-address.ts';
import type { RequestRecord } from './exchange.ts';
import { configure, createExchanges } from './exchanges.ts';
import { createFailureLimiter } from './failure-limit.ts';
import { createHealth, type HealthSources } from './health.ts';
import { createInFlightBytes } from './in-flight.ts';
import { type EdgeLimits, edgeLimits } from './limits.ts';
import type { ListenerState } from './listener.ts';
import { problem } from './problem.ts';
import { createWebhook } from './webhook.ts';

export interface AppOptions {
  readonly webhook: Pick<
    Config['webhook'],
    'secret' | 'previousSecret' | 'maxBodyBytes' | 'allowedCidrs' | 'trustProxy'
  >;
  readonly receive: Receive;
  /** Names of the webhook kinds, each of which has a path of its own. */
  readonly kinds: readonly string[];
  readonly health: HealthSources;
  /** Of this service, shown in /healthz. */
  readonly version: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** In place of the defaults of limits.ts. */
  readonly limits?: Partial<EdgeLimits>;
  /** Called once for each request when its answer is ready, or when its caller went away before. */
  readonly onRequest?: (record: RequestRecord) => void;
}

export function createApp(options: AppOptions, { isStopping, isClosing, isCrowded }: ListenerState): Express {
  const { webhook, clock, log, receive } = options;
  const limits = edgeLimits(webhook.maxBodyBytes, options.limits);
  const authenticator = createAuthenticator({ ...webhook, clock });
  const clients = createClients(webhook.trustProxy);
  const handleWebhook = createWebhook({
    authenticator,
    clients,
    failures: createFailureLimiter({ clients, limits, clock, log }),
    isAllowed: createAllowlist(webhook.allowedCidrs),
    receive,
    inFlight: createInFlightBytes(limits.maxInFlightBytes),
    limits,
    clock,
    log,
    isClosing,
    isCrowded,
  });
  const arrivals = createArrivals(options.kinds, clock);
  const health = createHealth({
    sources: options.health,
    version: options.version,
    limits,
    clock,
    lastAccepted: arrivals.lastAccepted,
    refused: arrivals.refused,
    looksEscaped: arrivals.looksEscaped,
    previousSecretLastUsedAt: authenticator.previousLastUsedAt,
    isStopping,
  });
  const exchanges = createExchanges({
    ...options,
    limits,
    onRequest(record) {
      arrivals.count(record);
      options.onRequest?.(record);
    },
  });

  const app = express();
  configure(app);
  app.use(exchanges.guard(exchanges.checkHost));
  for (const kind of [null, ...options.kinds]) {
    const path = kind === null ? '/apono/webhook' : `/apono/webhook/${kind}`;
    app.all(
      path,
      exchanges.handle('webhook', ['POST', 'PUT'], (exchange) => handleWebhook(exchange, kind)),
    );
  }
  app.all(
    '/livez',
    exchanges.handle('livez', ['GET', 'HEAD'], () => health.livez()),
  );
  app.all(
    '/readyz',
    exchanges.handle('readyz', ['GET', 'HEAD'], ({ record }) => health.readyz(record.requestId)),
  );
  app.all(
    '/healthz',
    exchanges.handle('healthz', ['GET', 'HEAD'], ({ request }) =>
      health.healthz({ failDegraded: request.query['fail'] === 'degraded' }),
    ),
  );
  app.use(() => {
    throw problem('not_found');
  });
  app.use(exchanges.fail);
  return app;
}
