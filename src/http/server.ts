import { type AppOptions, createApp } from './app.ts';
import { createClients } from './client-address.ts';
import { edgeLimits } from './limits.ts';
import { createListener, type Listener } from './listener.ts';

export interface ServerOptions extends AppOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export type WebhookServer = Listener;

/** The webhook port. */
export function createServer(options: ServerOptions): WebhookServer {
  const { host, port, clock, log } = options;
  const limits = edgeLimits(options.webhook.maxBodyBytes, options.limits);
  return createListener({
    name: 'webhook',
    host,
    port,
    limits,
    clock,
    log,
    isTrustedProxy: createClients(options.webhook.trustProxy).isFromTrustedProxy,
    createApp: (state) => createApp(options, state),
  });
}
