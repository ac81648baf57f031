import express, { type Express, type Response } from 'express';
import helmet from 'helmet';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import { type Answer, sendAnswer } from './answer.ts';
import { RequestAbortedError } from './body.ts';
import { addressOf } from './client-address.ts';
import { createComplaints } from './complaints.ts';
import { type Exchange, RequestRecord, type Route } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';
import { HttpProblem, problem, problemAnswer } from './problem.ts';
import { logRequest } from './request-log.ts';

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

export interface AppRoute {
  readonly path: string;
  /** Its name in the log and the metrics. */
  readonly route: Route;
  /** Others are answered 405. */
  readonly methods: readonly string[];
  readonly handler: Handler;
}

interface AppOptions {
  readonly routes: readonly AppRoute[];
  /** Asked before any route; what it throws is the answer. */
  readonly admit?: (exchange: Exchange) => Promise<void>;
  /** The text of a 404, in place of that of problem-codes.ts. */
  readonly notFoundDetail?: string;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once for each request when its answer is ready, or when its caller went away before that. */
  readonly onRequest?: (record: RequestRecord) => void;
}

/** No answer of this service is ever shown as a page. Its domain may have subdomains that it must not speak for. */
const securityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  frameguard: { action: 'deny' },
  strictTransportSecurity: { includeSubDomains: false },
});

/**
 * What surrounds every request on both ports: its id, its headers, its answer, the one place where errors become
 * answers, and its record. Express' `request.ip` is not used, see client-address.ts.
 */
export function createApp(options: AppOptions): Express {
  const { routes, admit, notFoundDetail } = options;
  const checkHost = createHostCheck(options);
  const app = express();
  app.enable('case sensitive routing');
  app.use(securityHeaders);
  app.use(async (request, response, next) => {
    const startedAtMs = performance.now();
    const exchange: Exchange = { request, response, startedAtMs, record: new RequestRecord(request) };
    response.locals['exchange'] = exchange;
    checkHost(exchange);
    await admit?.(exchange);
    next();
  });
  for (const { path, route, methods, handler } of routes) {
    app.all(path, async (request, response) => {
      const exchange = exchangeOf(response);
      exchange.record.route = route;
      if (!methods.includes(request.method)) {
        throw problem('method_not_allowed', { headers: { Allow: methods.join(', ') } });
      }
      send(exchange, await handler(exchange), options);
    });
  }
  app.use(() => {
    throw problem('not_found', { detail: notFoundDetail });
  });
  // Express recognizes an error handler by its four parameters.
  app.use((error: unknown, _request: unknown, response: Response, _next: unknown) => {
    fail(error, exchangeOf(response), options);
  });
  return app;
}

function fail(error: unknown, exchange: Exchange, options: AppOptions): void {
  if (error instanceof RequestAbortedError) {
    exchange.record.code = error.code;
    finish(exchange, null, options);
    return;
  }
  const refusal = refusalOf(error, exchange, options.log);
  exchange.record.code = refusal.code;
  send(exchange, problemAnswer(refusal, exchange.record.requestId), options);
}

function exchangeOf(response: Response): Exchange {
  return response.locals['exchange'] as Exchange;
}

function send(exchange: Exchange, answer: Answer, options: AppOptions): void {
  sendAnswer(exchange, answer, options.limits, options.clock);
  finish(exchange, answer.status, options);
}

/** `status`: null if there is nobody left to answer. */
function finish({ record, startedAtMs }: Exchange, status: number | null, { log, onRequest }: AppOptions): void {
  record.status = status;
  record.durationMs = performance.now() - startedAtMs;
  logRequest(log, record);
  onRequest?.(record);
}

/** Throws the problem of a request whose Host header is missing or not clear. */
function createHostCheck({ log, clock }: AppOptions): (exchange: Exchange) => void {
  const complain = createComplaints({ port: 'http', log, clock });
  return ({ request, record }) => {
    const hosts = request.headersDistinct['host'] ?? [];
    const isClear = hosts.length === 1 && !/[\s,]/.test(hosts[0] ?? '');
    if (isClear || (hosts.length === 0 && request.httpVersion === '1.0')) return;
    record.clientAddress = addressOf(request.socket.remoteAddress ?? '');
    complain('host_invalid', {
      client_address: record.clientAddress ?? undefined,
      host_headers: hosts.length,
    });
    throw problem('host_invalid', { headers: { Connection: 'close' } });
  };
}

function refusalOf(error: unknown, exchange: Exchange, log: Logger): HttpProblem {
  if (error instanceof HttpProblem) return error;
  // Express throws it for a path whose percent signs encode nothing.
  return error instanceof URIError ? problem('not_found') : defect(error, exchange, log);
}

/**
 * The log says where a defect happened; the caller learns nothing of it. The message of a SyntaxError is left out: that
 * of `JSON.parse` quotes the text, which is the body.
 */
function defect(error: unknown, exchange: Exchange, log: Logger): HttpProblem {
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
