import type { Config } from '../config/config.ts';
import type { Receive } from '../outbox/port.ts';
import { type AppOptions, type AppRoute, createApp } from './app.ts';
import { createArrivals } from './arrivals.ts';
import { createClients } from './client-address.ts';
import { type HealthSources, healthRoutes } from './health.ts';
import { type EdgeLimits, edgeLimits } from './limits.ts';
import { createListener, type Listener, type ListenerOptions } from './listener.ts';
import { createWebhook } from './webhook.ts';

export interface ServerOptions
  extends Pick<AppOptions, 'clock' | 'log' | 'onRequest'>,
    Pick<ListenerOptions, 'host' | 'port'> {
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
  /** In place of the defaults of limits.ts. */
  readonly limits?: Partial<EdgeLimits>;
}

/** The webhook port. */
export function createServer(options: ServerOptions): Listener {
  const limits = edgeLimits(options.webhook.maxBodyBytes, options.limits);
  const clients = createClients(options.webhook);
  const arrivals = createArrivals(options.kinds, options.clock);
  return createListener({
    ...options,
    name: 'webhook',
    limits,
    isTrustedProxy: clients.isFromTrustedProxy,
    createApp(state) {
      const handleWebhook = createWebhook({ ...options, limits, clients, state });
      const webhooks = [null, ...options.kinds].map(
        (kind): AppRoute => ({
          path: kind === null ? '/apono/webhook' : `/apono/webhook/${kind}`,
          route: 'webhook',
          methods: ['POST', 'PUT'],
          handler: (exchange) => handleWebhook(exchange, kind),
        }),
      );
      return createApp({
        ...options,
        limits,
        routes: [...webhooks, ...healthRoutes({ ...options, sources: options.health, limits, arrivals, state })],
        onRequest(record) {
          arrivals.count(record);
          options.onRequest?.(record);
        },
      });
    },
  });
}
