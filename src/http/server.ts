import type { Config } from '../config/config.ts';
import type { Receive } from '../outbox/port.ts';
import type { AppRoute } from './app.ts';
import { createArrivals } from './arrivals.ts';
import { createClients } from './client-address.ts';
import { createHealth, type Health, type ServiceState } from './health.ts';
import { defaultLimits, type EdgeLimits } from './limits.ts';
import { createListener, type ListenerOptions } from './listener.ts';
import { createWebhook } from './webhook.ts';

export interface ServerOptions extends Pick<ListenerOptions, 'host' | 'port' | 'clock' | 'log' | 'onRequest'> {
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

export type WebhookServer = ReturnType<typeof createServer>;

/** The webhook port; `health` is what /healthz answers, and `refusals` are those of the last hour. */
export function createServer(options: ServerOptions) {
  const limits = { ...defaultLimits(options.webhook.maxBodyBytes), ...options.limits };
  const clients = createClients(options.webhook);
  const arrivals = createArrivals(options.kinds, options.clock);
  // Assigned at once: the listener asks for its routes while it is created.
  let health: Health;
  const listener = createListener({
    ...options,
    name: 'webhook',
    limits,
    clients,
    routes(state) {
      health = createHealth({ ...options, sources: options.health, arrivals, state });
      const handleWebhook = createWebhook({ ...options, limits, clients, state });
      const webhooks = [null, ...options.kinds].map(
        (kind): AppRoute => ({
          path: kind === null ? '/apono/webhook' : `/apono/webhook/${kind}`,
          route: 'webhook',
          methods: ['POST', 'PUT'],
          handler: (exchange) => handleWebhook(exchange, kind),
        }),
      );
      return [...webhooks, ...health.routes];
    },
    onRequest(record) {
      arrivals.count(record);
      options.onRequest?.(record);
    },
  });
  return { ...listener, health: () => health.read(), refusals: arrivals.refusals };
}
