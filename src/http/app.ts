import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Answer, sendAnswer } from './answer.ts';
import { createAuthenticator } from './authenticate.ts';
import { RequestAbortedError } from './body.ts';
import { createAllowlist } from './client-address.ts';
import { beginExchange, type Exchange, type RequestRecord, type Route } from './exchange.ts';
import { createFailureLimiter } from './failure-limit.ts';
import { createHealth, type HealthSources } from './health.ts';
import { createInFlightBytes } from './in-flight.ts';
import { type EdgeLimits, edgeLimits } from './limits.ts';
import { HttpProblem, problem, problemAnswer } from './problem.ts';
import type { Receive } from './receiver.ts';
import { requestIdOf } from './request-id.ts';
import { logRequest } from './request-log.ts';
import { createWebhook } from './webhook.ts';

export interface AppOptions {
  readonly webhook: Pick<
    Config['webhook'],
    'secret' | 'previousSecret' | 'maxBodyBytes' | 'allowedCidrs' | 'trustProxy'
  >;
  readonly receive: Receive;
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

/** `isStopping`: new webhooks are answered 503. */
export function createApp(options: AppOptions, isStopping: () => boolean = () => false): Express {
  const { webhook, clock, log, receive } = options;
  const limits = edgeLimits(webhook.maxBodyBytes, options.limits);
  const authenticator = createAuthenticator({ ...webhook, clock });
  const handleWebhook = createWebhook({
    authenticator,
    failures: createFailureLimiter({ limits, clock, log }),
    isAllowed: createAllowlist(webhook.allowedCidrs),
    receive,
    inFlight: createInFlightBytes(limits.maxInFlightBytes),
    limits,
    clock,
    log,
    isStopping,
  });
  const health = createHealth({
    sources: options.health,
    version: options.version,
    limits,
    clock,
    previousSecretLastUsedAt: authenticator.previousLastUsedAt,
    isStopping,
  });
  const exchanges = createExchanges(options, limits);

  const app = express();
  configure(app, webhook.trustProxy);
  app.use(exchanges.begin, securityHeaders());
  app.all('/apono/webhook', exchanges.handle('webhook', ['POST', 'PUT'], handleWebhook));
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
    exchanges.handle('healthz', ['GET', 'HEAD'], () => health.healthz()),
  );
  app.use(() => {
    throw problem('not_found');
  });
  app.use(exchanges.fail);
  return app;
}

function configure(app: Express, trustProxy: AppOptions['webhook']['trustProxy']): void {
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing');
  app.set('query parser', 'simple');
  app.set('trust proxy', Array.isArray(trustProxy) ? [...trustProxy] : trustProxy);
}

/** Nothing that is answered here is ever to be shown as a page. Subdomains are not this service's to speak for. */
function securityHeaders(): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    frameguard: { action: 'deny' },
    strictTransportSecurity: { includeSubDomains: false },
  });
}

interface Exchanges {
  readonly begin: RequestHandler;
  handle(route: Route, methods: readonly string[], handler: Handler): RequestHandler;
  readonly fail: ErrorRequestHandler;
}

type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

/** What surrounds every request: its id, its answer, the one place where errors become answers, and its record. */
function createExchanges({ log, clock, onRequest }: AppOptions, limits: EdgeLimits): Exchanges {
  const exchanges = new WeakMap<object, Exchange>();

  function exchangeOf(response: object): Exchange {
    const exchange = exchanges.get(response);
    if (exchange === undefined) throw new TypeError('the request did not pass the first middleware');
    return exchange;
  }

  function finish(exchange: Exchange, status: number | null): void {
    exchange.record.status = status;
    exchange.record.durationMs = performance.now() - exchange.startedAtMs;
    logRequest(log, exchange.record);
    onRequest?.(exchange.record);
  }

  function answer(exchange: Exchange, toSend: Answer): void {
    sendAnswer(exchange, toSend, limits, clock);
    finish(exchange, toSend.status);
  }

  return {
    begin(request, response, next) {
      const requestId = requestIdOf(request.headers['x-request-id']);
      response.setHeader('X-Request-Id', requestId);
      exchanges.set(response, beginExchange(request, response, requestId));
      next();
    },
    handle: (route, methods, handler) => async (request, response) => {
      const exchange = exchangeOf(response);
      exchange.record.route = route;
      if (!methods.includes(request.method)) {
        throw problem('method_not_allowed', { headers: { Allow: methods.join(', ') } });
      }
      answer(exchange, await handler(exchange));
    },
    // Express knows an error handler by its four parameters.
    fail(error: unknown, _request, response, _next) {
      const exchange = exchangeOf(response);
      exchange.record.code = codeOf(error);
      if (error instanceof RequestAbortedError) return finish(exchange, null);
      const refusal = error instanceof HttpProblem ? error : unexpected(error, exchange, log);
      answer(exchange, problemAnswer(refusal, exchange.record.requestId));
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof HttpProblem || error instanceof RequestAbortedError ? error.code : 'internal_error';
}

/**
 * A defect. The log gets where it happened; the caller nothing of it. A SyntaxError's message is left out: that of
 * `JSON.parse` quotes the text, which is the body.
 */
function unexpected(error: unknown, exchange: Exchange, log: Logger): HttpProblem {
  const isError = error instanceof Error;
  log.error(
    {
      request_id: exchange.record.requestId,
      error: isError ? error.name : typeof error,
      ...(isError && !(error instanceof SyntaxError) && { error_message: error.message.slice(0, 500) }),
      ...(isError && { at: framesOf(error) }),
    },
    'a request failed because of a defect',
  );
  return problem('internal_error');
}

/** The lines of a stack that name functions and files, without the message above them. */
function framesOf(error: Error): string[] {
  const lines = (error.stack ?? '').split('\n').map((line) => line.trim());
  return lines.filter((line) => line.startsWith('at ')).slice(0, 10);
}
