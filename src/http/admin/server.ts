import type { Config } from '../../config/config.ts';
import { isLoopbackHost } from '../../config/parse.ts';
import { problem } from '../answer.ts';
import { authenticate, createJudge } from '../authenticate.ts';
import { createClients } from '../client-address.ts';
import type { Exchange } from '../exchange.ts';
import { defaultLimits, type EdgeLimits } from '../limits.ts';
import { createListener, type Listener, type ListenerOptions } from '../listener.ts';
import { createStatus, type StatusSources } from '../status.ts';
import { isOpen, pageRoutes } from './page/routes.ts';
import { type AdminRouteOptions, adminRoutes } from './routes.ts';

export interface AdminOptions
  extends Omit<AdminRouteOptions, 'limits' | 'readStatus'>,
    StatusSources,
    Pick<ListenerOptions, 'log' | 'onRequest'> {
  /** ADMIN_HOST, ADMIN_PORT (0: any free one), ADMIN_TOKEN and METRICS_TOKEN; without a token `host` must be loopback. */
  readonly admin: Pick<Config['admin'], 'host' | 'port' | 'token' | 'metricsToken'>;
  /** In place of the defaults. */
  readonly limits?: Partial<EdgeLimits>;
}

/** 1,000 ids of 67 characters are 70 KB. */
const MAX_BODY_BYTES = 262_144;
/** A monitoring system, a dashboard and a few people. */
const MAX_CONNECTIONS = 200;

/** The operator's port, apart from the webhook's: it must never be reachable through the reverse proxy. */
export function createAdminServer(options: AdminOptions): Listener {
  const limits = { ...defaultLimits(MAX_BODY_BYTES), maxConnections: MAX_CONNECTIONS, ...options.limits };
  const admit = createAdmission({ ...options, limits });
  const needsToken = () => options.admin.token !== null;
  const readStatus = createStatus(options, options.clock);
  return createListener({
    ...options,
    ...options.admin,
    name: 'admin',
    limits,
    clients,
    routes: [
      ...adminRoutes({ ...options, limits, readStatus }),
      ...pageRoutes({ ...options, readStatus, admit, needsToken }),
    ],
    async admit(exchange) {
      // Without a token everything is open to this machine, and nothing to others.
      if (!needsToken() || !isOpen(exchange.request)) await admit(exchange);
    },
    notFoundDetail: 'This port has a page at /, and /metrics and /admin/v1.',
  });
}

/** Nothing stands in front of this port, so no X-Forwarded-For is believed. */
const clients = createClients({ trustProxy: false, allowedCidrs: [] });

const codes = { missing: 'token_missing', not_bearer: 'token_not_bearer', wrong: 'token_wrong' } as const;

/**
 * Decides who may use the admin port: ADR 11. That it is on loopback where there is no token is config/load.ts's matter.
 * Throws the problem that is answered.
 */
function createAdmission(options: AdminOptions & { limits: EdgeLimits }): (exchange: Exchange) => Promise<void> {
  const { admin } = options;
  const judge = createJudge({ ...options, codes, challenge: 'Bearer realm="apono-sentinel admin"', clients });
  return async (exchange) => {
    const { request, record } = exchange;
    record.route = 'admin';
    checkOrigin(exchange);
    // The path as Express matches it.
    const isForMetrics = admin.metricsToken !== null && /^\/metrics\/?$/.test(request.path);
    if (!isForMetrics && admin.token === null) return checkHost(exchange);
    // Not X-Webhook-Secret, which a proxy in front of the webhook port may add.
    const { authorization } = request.headersDistinct;
    const found = authenticate({ authorization }, admin.token, isForMetrics ? admin.metricsToken : null);
    // Both tokens are in use; only the webhook's log says that an old secret was used.
    await judge(exchange, found === 'previous' ? 'current' : found);
  };
}

/** What another site's page asks for is refused; commands send no Origin. */
function checkOrigin({ request, record }: Exchange): void {
  const { origin, host } = request.headers;
  if (origin === undefined || URL.parse(origin)?.host === host) return;
  record.clientAddress = clients.clientOf(request).address;
  throw problem('origin_not_allowed');
}

/** Against web pages whose own name resolves to this machine ("DNS rebinding"): ADR 11. */
function checkHost({ request, record }: Exchange): void {
  const host = URL.parse(`http://${request.headers.host ?? ''}`)?.hostname ?? '';
  if (isLoopbackHost(host)) return;
  record.clientAddress = clients.clientOf(request).address;
  throw problem('host_not_allowed');
}
