import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import { type Answer, sendAnswer } from './answer.ts';
import { RequestAbortedError } from './body.ts';
import { addressOf } from './client-address.ts';
import { createComplaints } from './complaints.ts';
import { beginExchange, type Exchange, type RequestRecord, type Route } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';
import { HttpProblem, problem, problemAnswer } from './problem.ts';
import { requestIdOf } from './request-id.ts';
import { logRequest } from './request-log.ts';

/** What both ports' apps have in common. Express' `request.ip` is not used: see client-address.ts. */
export function configure(app: Express): void {
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing');
  app.set('query parser', 'simple');
}

const exchangeKey = Symbol('exchange');

declare module 'node:http' {
  interface ServerResponse {
    [exchangeKey]?: Exchange;
  }
}

/** Begun by whoever asks first. Kept on the response: a WeakMap of all of them is work for the garbage collector. */
function exchangeOf(request: Request, response: Response): Exchange {
  response[exchangeKey] ??= beginExchange(request, response, requestIdOf(request.headers['x-request-id']));
  return response[exchangeKey];
}

export interface Exchanges {
  /** Looked at before any route; what it throws is the answer. */
  guard(check: (exchange: Exchange) => void | Promise<void>): RequestHandler;
  /** Throws the problem of a request whose Host header is missing or not clear. */
  checkHost(exchange: Exchange): void;
  handle(route: Route, methods: readonly string[], handler: Handler): RequestHandler;
  readonly fail: ErrorRequestHandler;
}

export interface ExchangesOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly limits: EdgeLimits;
  /** Called once for each request when its answer is ready, or when its caller went away before. */
  readonly onRequest?: (record: RequestRecord) => void;
}

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

/** What surrounds every request: its id, its answer, the one place where errors become answers, and its record. */
export function createExchanges({ log, clock, limits, onRequest }: ExchangesOptions): Exchanges {
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

  const complain = createComplaints({ port: 'http', log, clock });
  function checkHost({ request, record }: Exchange): void {
    const hosts = request.headersDistinct['host'] ?? [];
    const isClear = hosts.length === 1 && !/[\s,]/.test(hosts[0] ?? '');
    if (isClear || (hosts.length === 0 && request.httpVersion === '1.0')) return;
    record.clientAddress = addressOf(request.socket.remoteAddress ?? '');
    complain('host_invalid', 'a request has no Host header, or two: look at the reverse proxy or the load balancer', {
      client_address: record.clientAddress ?? undefined,
      host_headers: hosts.length,
    });
    throw problem('host_invalid', { headers: { Connection: 'close' } });
  }

  return {
    checkHost,
    guard: (check) => async (request, response, next) => {
      await check(exchangeOf(request, response));
      next();
    },
    handle: (route, methods, handler) => async (request, response) => {
      const exchange = exchangeOf(request, response);
      exchange.record.route = route;
      if (!methods.includes(request.method)) {
        throw problem('method_not_allowed', { headers: { Allow: methods.join(', ') } });
      }
      answer(exchange, await handler(exchange));
    },
    // Express knows an error handler by its four parameters.
    fail(error: unknown, request, response, _next) {
      const exchange = exchangeOf(request, response);
      if (error instanceof RequestAbortedError) {
        exchange.record.code = error.code;
        return finish(exchange, null);
      }
      const refusal = refusalOf(error, exchange, log);
      exchange.record.code = refusal.code;
      answer(exchange, problemAnswer(refusal, exchange.record.requestId));
    },
  };
}

function refusalOf(error: unknown, exchange: Exchange, log: Logger): HttpProblem {
  if (error instanceof HttpProblem) return error;
  // Express throws it for a path whose percent signs encode nothing.
  return error instanceof URIError ? problem('not_found') : unexpected(error, exchange, log);
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
