import type { Config } from '../../config/config.ts';
import { isLoopbackHost } from '../../config/parse.ts';
import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import { createAuthenticator } from '../authenticate.ts';
import { createClients } from '../client-address.ts';
import type { Exchange } from '../exchange.ts';
import { createFailureLimiter } from '../failure-limit.ts';
import type { EdgeLimits } from '../limits.ts';
import { problem } from '../problem.ts';

interface AdmitOptions extends Pick<Config['admin'], 'token' | 'metricsToken'> {
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
}

const authenticationProblems = {
  missing: 'token_missing',
  not_bearer: 'token_not_bearer',
  wrong: 'token_wrong',
} as const;

/** Nothing stands in front of this port, so no X-Forwarded-For is believed. */
const clients = createClients(false);

/**
 * Decides who may use the admin port: anyone who has the token, or, if none is set, anyone on this machine;
 * config/load.ts makes sure that the port is on loopback then. If METRICS_TOKEN is set, /metrics takes it or
 * ADMIN_TOKEN, and nothing else takes it. Throws the problem that is answered.
 */
export function createAdmission({
  token,
  metricsToken,
  ...options
}: AdmitOptions): (exchange: Exchange) => Promise<void> {
  const { clock } = options;
  const failures = createFailureLimiter({ ...options, clients });
  const admin = token === null ? null : createAuthenticator({ secret: token, previousSecret: null, clock });
  const metrics =
    metricsToken === null ? admin : createAuthenticator({ secret: metricsToken, previousSecret: token, clock });
  return async (exchange) => {
    const { request, record } = exchange;
    record.route = 'admin';
    // The path as Express matches it.
    const authenticator = /^\/metrics\/?$/.test(request.path) ? metrics : admin;
    if (authenticator === null) return checkHost(exchange);
    // Not X-Webhook-Secret, which a proxy in front of the webhook port may add.
    const authentication = authenticator.authenticate({ authorization: request.headersDistinct['authorization'] });
    // Both tokens are in use; only the webhook's log says that an old secret was used.
    record.authentication = authentication === 'previous' ? 'current' : authentication;
    if (authentication === 'current' || authentication === 'previous') return;
    const headers = { 'WWW-Authenticate': 'Bearer realm="apono-sentinel admin"' };
    throw await failures.count(exchange, problem(authenticationProblems[authentication], { headers }));
  };
}

/**
 * A browser on this machine reaches loopback too: a page that has its own name resolve to 127.0.0.1 ("DNS rebinding")
 * would be of the same origin as the answer. Its Host header gives it away.
 */
function checkHost({ request, record }: Exchange): void {
  const host = URL.parse(`http://${request.headers.host ?? ''}`)?.hostname ?? '';
  if (isLoopbackHost(host)) return;
  record.clientAddress = clients.clientOf(request).address;
  throw problem('host_not_allowed');
}
