import type { Config } from '../config/config.ts';
import type { Receive } from '../outbox/port.ts';
import { type AppOptions, type AppRoute, createApp } from './app.ts';
import { type Arrivals, createArrivals } from './arrivals.ts';
import { createClients } from './client-address.ts';
import { createHealth, type Health, type ServiceState } from './health.ts';
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
  readonly health: ServiceState;
  /** Of this service, shown in /healthz. */
  readonly version: string;
  /** In place of the defaults of limits.ts. */
  readonly limits?: Partial<EdgeLimits>;
}

export interface WebhookServer extends Listener {
  /** What /healthz answers. */
  readonly health: Health['read'];
  /** The refused webhooks of the last hour. */
  readonly refusals: Arrivals['refusals'];
}

/** The webhook port. */
export function createServer(options: ServerOptions): WebhookServer {
  const limits = edgeLimits(options.webhook.maxBodyBytes, options.limits);
  const clients = createClients(options.webhook);
  const arrivals = createArrivals(options.kinds, options.clock);
  // Assigned at once: the listener makes its app while it is created.
  let health: Health;
  const listener = createListener({
    ...options,
    name: 'webhook',
    limits,
    isTrustedProxy: clients.isFromTrustedProxy,
    createApp(state) {
      health = createHealth({ ...options, sources: options.health, limits, arrivals, state });
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
        routes: [...webhooks, ...health.routes],
        onRequest(record) {
          arrivals.count(record);
          options.onRequest?.(record);
        },
      });
    },
  });
  return { ...listener, health: () => health.read(), refusals: arrivals.refusals };
}
