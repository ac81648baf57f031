import type { Config } from '../../config/config.ts';
import { isLoopbackHost } from '../../config/parse.ts';
import { type Answer, HttpProblem, problem } from '../answer.ts';
import { reads } from '../app.ts';
import { authenticate, createJudge } from '../authenticate.ts';
import { createClients } from '../client-address.ts';
import type { Exchange } from '../exchange.ts';
import { defaultLimits, type EdgeLimits } from '../limits.ts';
import { createListener, type Listener, type ListenerOptions } from '../listener.ts';
import { createStatus, type StatusSources } from '../status.ts';
import { signInPage } from './page/layout.ts';
import { pageRoutes } from './page/routes.ts';
import { type AdminRouteOptions, adminRoutes } from './routes.ts';

export interface AdminOptions
  extends Omit<AdminRouteOptions, 'limits' | 'readStatus'>,
    StatusSources,
    Pick<ListenerOptions, 'log' | 'onRequest'> {
  /** ADMIN_HOST, ADMIN_PORT (0: any free one), ADMIN_TOKEN and METRICS_TOKEN; without a token `host` must be loopback. */
  readonly admin: Pick<Config['admin'], 'host' | 'port' | 'token' | 'metricsToken'>;
  readonly limits?: Partial<EdgeLimits>;
}

/** 1,000 ids of 67 characters are 70 KB. */
const MAX_BODY_BYTES = 262_144;
/** A monitoring system, a dashboard and a few people. */
const MAX_CONNECTIONS = 200;

/** The operator's port, apart from the webhook's: it must never be reachable through the reverse proxy. */
export function createAdminServer(options: AdminOptions): Listener {
  const limits = { ...defaultLimits(MAX_BODY_BYTES), maxConnections: MAX_CONNECTIONS, ...options.limits };
  const readStatus = createStatus(options, options.clock);
  return createListener({
    ...options,
    ...options.admin,
    name: 'admin',
    limits,
    clients,
    routes: [...adminRoutes({ ...options, limits, readStatus }), ...pageRoutes({ ...options, readStatus })],
    admit: createAdmission({ ...options, limits }),
    notFoundDetail: 'This port has a page at /, and /metrics and /admin/v1.',
  });
}

/** Nothing stands in front of this port, so no X-Forwarded-For is believed. */
const clients = createClients({ trustProxy: false, allowedCidrs: [] });

const codes = { missing: 'token_missing', not_bearer: 'token_not_bearer', wrong: 'token_wrong' } as const;

type AdmissionOptions = AdminOptions & { readonly limits: EdgeLimits };

/** Decides who may use the admin port: ADR 11. Without a token everything is open to this machine, and nothing to others. */
function createAdmission(options: AdmissionOptions): (exchange: Exchange) => Promise<Answer | null> {
  const check = createCheck(options);
  return async (exchange) => {
    const { request, record } = exchange;
    const mayBePage = options.admin.token !== null && reads.includes(request.method);
    // The files of the page hold nothing of the service's.
    if (mayBePage && request.path.startsWith('/assets/')) return null;
    record.route = 'admin';
    const isPage = mayBePage && /^\/(events(\/.*)?)?$/.test(request.path);
    const isForPeople = isPage && request.accepts(['application/problem+json', 'text/html']) === 'text/html';
    // A browser sends no token with a link, so it gets the page that asks for it, and that is no failed attempt. The
    // page's script asks again with the token.
    if (isForPeople && request.headers.authorization === undefined) return signInPage(200);
    try {
      await check(exchange);
      return null;
    } catch (error) {
      if (!isForPeople || !(error instanceof HttpProblem) || error.parts.status !== 401) throw error;
      record.code = error.parts.code;
      return signInPage(401);
    }
  };
}

/** Throws the problem to answer. config/load.ts makes sure that a port without a token is on loopback. */
function createCheck(options: AdmissionOptions): (exchange: Exchange) => Promise<void> {
  const { admin } = options;
  const judge = createJudge({ ...options, codes, challenge: 'Bearer realm="apono-sentinel admin"', clients });
  return async (exchange) => {
    const { request, record } = exchange;
    const { origin, host } = request.headers;
    // The path as Express matches it.
    const isForMetrics = admin.metricsToken !== null && /^\/metrics\/?$/.test(request.path);
    const isOpen = admin.token === null && !isForMetrics;
    // What another site's page asks for is refused; commands send no Origin.
    const isForeign = origin !== undefined && URL.parse(origin)?.host !== host;
    // Against web pages whose own name resolves to this machine ("DNS rebinding"): ADR 11.
    const isRebound = isOpen && !isLoopbackHost(URL.parse(`http://${host ?? ''}`)?.hostname ?? '');
    if (isForeign || isRebound) {
      record.clientAddress = clients.clientOf(request).address;
      throw problem(isForeign ? 'origin_not_allowed' : 'host_not_allowed');
    }
    if (isOpen) return;
    // Not X-Webhook-Secret, which a proxy in front of the webhook port may add.
    const { authorization } = request.headersDistinct;
    const found = authenticate({ authorization }, admin.token, isForMetrics ? admin.metricsToken : null);
    // Both tokens are in use; only the webhook's log says that an old secret was used.
    await judge(exchange, found === 'previous' ? 'current' : found);
  };
}
