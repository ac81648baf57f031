import express, { type Express, type Response } from 'express';
import helmet from 'helmet';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import { RecordIdError } from '../outbox/operator.ts';
import { OutboxUnavailableError } from '../outbox/port.ts';
import { type Answer, HttpProblem, problem, problemAnswer, sendAnswer } from './answer.ts';
import { RequestAbortedError } from './body.ts';
import { addressOf } from './client-address.ts';
import type { Complain } from './complaints.ts';
import { type Exchange, RequestRecord, type Route } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';

export interface AppRoute {
  readonly path: string;
  /** Its name in the log and the metrics. */
  readonly route: Route;
  /** Others are answered 405; absent: those of `reads`. */
  readonly methods?: readonly string[];
  readonly handler: (exchange: Exchange) => Answer | Promise<Answer>;
}

/** The methods of a route that changes nothing. */
export const reads: readonly string[] = ['GET', 'HEAD'];

export interface AppOptions {
  readonly routes: readonly AppRoute[];
  /** Asked before any route; what it throws or returns is answered in place of the route. */
  readonly admit?: (exchange: Exchange) => Promise<Answer | null>;
  /** The text of a 404, in place of that of problem-codes.ts. */
  readonly notFoundDetail?: string;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly complain: Complain;
  /** Called once for each request when its answer is ready, or when its caller went away before that. */
  readonly onRequest?: (record: RequestRecord) => void;
}

/**
 * No answer is ever shown as a page, but for those of the admin port, which have a policy of their own. The domain of this
 * service may have subdomains that it must not speak for.
 */
const securityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  frameguard: { action: 'deny' },
  strictTransportSecurity: { includeSubDomains: false },
});

/** What surrounds every request on both ports. Express' `request.ip` is not used, see client-address.ts. */
export function createApp(options: AppOptions): Express {
  const { admit, log, complain } = options;

  /** `answer`: null if there is nobody left to answer. */
  function finish(exchange: Exchange, answer: Answer | null): void {
    const { record } = exchange;
    if (answer !== null) sendAnswer(exchange, answer, options);
    record.status = answer?.status ?? null;
    record.durationMs = performance.now() - record.startedAtMs;
    logRequest(log, record);
    options.onRequest?.(record);
  }

  const app = express();
  app.enable('case sensitive routing');
  app.use(securityHeaders);
  app.use(async (request, response, next) => {
    const exchange: Exchange = { request, response, record: new RequestRecord(request) };
    response.locals['exchange'] = exchange;
    checkHost(exchange, complain);
    const answer = await admit?.(exchange);
    if (answer) finish(exchange, answer);
    else next();
  });
  for (const { path, route, methods = reads, handler } of options.routes) {
    app.all(path, async (request, response) => {
      const exchange = exchangeOf(response);
      exchange.record.route = route;
      if (!methods.includes(request.method)) {
        throw problem('method_not_allowed', { headers: { Allow: methods.join(', ') } });
      }
      finish(exchange, await handler(exchange));
    });
  }
  app.use(() => {
    throw problem('not_found', { detail: options.notFoundDetail });
  });
  // Express recognizes an error handler by its four parameters.
  app.use((error: unknown, _request: unknown, response: Response, _next: unknown) => {
    const exchange = exchangeOf(response);
    const { record } = exchange;
    if (error instanceof RequestAbortedError) {
      record.code = 'request_aborted';
      return finish(exchange, null);
    }
    const refusal = refusalOf(error, record, log);
    record.code = refusal.parts.code;
    finish(exchange, problemAnswer(refusal, record.requestId));
  });
  return app;
}

function exchangeOf(response: Response): Exchange {
  return response.locals['exchange'] as Exchange;
}

/** Throws the problem of a request whose Host header is missing or not clear. */
function checkHost({ request, record }: Exchange, complain: Complain): void {
  const hosts = request.headersDistinct['host'] ?? [];
  const isClear = hosts.length === 1 && !/[\s,]/.test(hosts[0] ?? '');
  if (isClear || (hosts.length === 0 && request.httpVersion === '1.0')) return;
  record.clientAddress = addressOf(request.socket.remoteAddress ?? '');
  complain('host_invalid', { client_address: record.clientAddress ?? undefined, host_headers: hosts.length });
  throw problem('host_invalid', { headers: { Connection: 'close' } });
}

const outboxGone =
  'The outbox does not answer now, and what was asked may be done all the same. Look at /readyz and the log of the service.';

/**
 * The log says where a defect happened; the caller learns nothing of it. The message of a SyntaxError is left out: that
 * of `JSON.parse` quotes the text, which is the body.
 */
function refusalOf(error: unknown, { requestId }: RequestRecord, log: Logger): HttpProblem {
  if (error instanceof HttpProblem) return error;
  // Express throws it for a path whose percent signs encode nothing.
  if (error instanceof URIError) return problem('not_found');
  // Neither an id that names no one record, nor an engine that is gone or being restarted, is a defect of ours.
  if (error instanceof RecordIdError) return problem(error.code, { detail: error.message });
  if (error instanceof OutboxUnavailableError) return problem('outbox_unavailable', { detail: outboxGone });
  const { name, message, stack = '' } = error instanceof Error ? error : { name: typeof error, message: '' };
  const said = error instanceof SyntaxError ? undefined : message.slice(0, 500);
  // The lines that name functions and files, without the message above them.
  const at = stack.match(/(?<=^ +)at .*$/gm)?.slice(0, 10);
  log.error({ request_id: requestId, error: name, error_message: said, at }, 'a request failed because of a defect');
  return problem('internal_error');
}

/** A body of MAX_BODY_BYTES can hold tens of thousands of events, and a log line cannot. */
const maxLoggedEvents = 100;

/**
 * One line a webhook (ADR 6). Never headers, bodies, feeds or the text of an answer, which may quote the body. An address
 * is logged only of callers without the secret: it is needed to find a wrong TRUST_PROXY or an attacker, and the other
 * callers are Apono. pino leaves out what is `undefined`.
 */
function logRequest(log: Logger, record: RequestRecord): void {
  const { events, ...accepted } = record.accepted ?? {};
  const fields = {
    request_id: record.requestId,
    trace_id: record.trace?.traceId,
    span_id: record.trace?.spanId,
    method: record.method,
    route: record.route,
    status: record.status,
    duration_ms: Math.round(record.durationMs * 10) / 10,
    code: record.code ?? undefined,
    secret: record.authentication === 'previous' ? 'previous' : undefined,
    client_address: record.clientAddress ?? undefined,
    body_bytes: record.bodyBytes ?? undefined,
    quarantined: record.quarantined || undefined,
    feed_ignored: record.feedIgnored || undefined,
    ...accepted,
    event_count: events?.length,
    events: events?.slice(0, maxLoggedEvents),
  };
  log[levelOf(record)](fields, record.route === 'webhook' ? 'webhook' : 'request');
}

function levelOf({ route, status }: RequestRecord): 'debug' | 'info' | 'warn' | 'error' {
  if (status === 500) return 'error';
  // Somebody who is not the operator tries the admin port.
  if ((route === 'admin' || route === 'metrics') && (status === 401 || status === 403)) return 'warn';
  // Probes and scanners are no news; before the first 429 of an address, a hundred 401 were logged.
  if (route !== 'webhook' || status === 405 || status === 429) return 'debug';
  return status === 200 ? 'info' : 'warn';
}
