import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Express } from 'express';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import { createClientErrorHandler } from './client-error.ts';
import { createComplaints } from './complaints.ts';
import { trackConnections } from './connections.ts';
import type { EdgeLimits } from './limits.ts';
import { ListenError } from './listen-error.ts';

export interface ListenerOptions {
  /** For the log: `webhook`, `admin`. */
  readonly name: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether a connection is that of a proxy, which may have more of them than another address. */
  readonly isTrustedProxy: (remoteAddress: string | undefined) => boolean;
  /** Called once. */
  readonly createApp: (state: ListenerState) => Express;
}

export interface ListenerState {
  /** The stop has begun. */
  isStopping(): boolean;
  /** The grace of the stop is over, nothing new is taken. */
  isClosing(): boolean;
  /** So many requests are under way that only probes are to be answered. */
  isCrowded(): boolean;
}

export interface Listener {
  /** Resolves when it listens; rejects with a ListenError when it cannot. */
  start(): Promise<{ readonly port: number }>;
  /**
   * Closes the listener, answers what is under way or comes on an open connection within a second, closes idle
   * connections then, and what is left after `limitMs`.
   * Resolves when no connection is left. Calling it again gives the same promise.
   */
  stop(limitMs: number): Promise<void>;
}

/**
 * How long connections without a request stay open when the stop has begun. A proxy that keeps them may be sending on
 * one right now: closed under it, the request fails (502). Its answer tells the proxy not to come again.
 */
const stopGraceMs = 1_000;

/** A port: an app behind time limits, with a start that fails loudly and a stop that loses nothing. */
export function createListener(options: ListenerOptions): Listener {
  let stopped: Promise<void> | null = null;
  let isClosing = false;
  const { limits } = options;
  const complain = createComplaints({ ...options, port: options.name });
  const app = options.createApp({
    isStopping: () => stopped !== null,
    isClosing: () => isClosing,
    isCrowded: () => connections.isCrowded(),
  });
  const server = http.createServer(httpOptions(limits));
  const connections = trackConnections(server, { ...options, complain });
  applyLimits(server, limits);
  server.on('clientError', (error, socket) => onClientError(error, socket as Socket));
  const { last: lastExchange } = connections;
  const onClientError = createClientErrorHandler({ ...limits, clock: options.clock, lastExchange, complain });
  server.on('drop', () => complain('connections_refused', { max_connections: limits.maxConnections }));

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    connections.opened(request, response);
    if (stopped !== null) connections.announceClose();
    // Java's HttpClient offers h2c with each request. Node's parser drops what follows such a request in the same read,
    // so that another request on this connection could be lost without an answer.
    if (request.headers.upgrade !== undefined || connections.isCrowded()) response.setHeader('Connection', 'close');
    response.on('close', onClose);
    app(request, response);
  }
  /** One for all, called with `this`: a response is closed once. */
  function onClose(this: ServerResponse): void {
    connections.closed(this);
    // An answer that had gone out as keep-alive when the stop began leaves its connection behind.
    if (isClosing) setImmediate(() => server.closeIdleConnections());
  }
  server.on('request', onRequest);
  // Without this listener Node asks for the body by itself, before the secret was looked at.
  server.on('checkContinue', onRequest);
  // An expectation that nobody knows may be ignored (RFC 9110, 10.1.1); Node would answer it past the app.
  server.on('checkExpectation', onRequest);

  async function stop(limitMs: number): Promise<void> {
    const { clock } = options;
    connections.announceClose();
    // Not the HTTP server's own `close`, which ends idle connections at once.
    const closed = new Promise<void>((resolve) => net.Server.prototype.close.call(server, () => resolve()));
    const endGrace = (): void => {
      isClosing = true;
      server.closeIdleConnections();
      connections.destroy('idle');
    };
    const cancelGrace = limitMs > 0 ? clock.setTimer(Math.min(stopGraceMs, limitMs), endGrace) : endGrace();
    const cancelLimit = clock.setTimer(limitMs, () => {
      const left = connections.destroy('all');
      if (left > 0) options.log.warn({ connections: left }, 'the time to stop is over, open connections were closed');
    });
    await closed;
    // Nothing is left to close; this ends the timer that looks for slow requests.
    server.close(() => undefined);
    cancelGrace?.();
    cancelLimit();
  }

  return {
    start: () => listen(server, options),
    stop(limitMs) {
      stopped ??= stop(limitMs);
      return stopped;
    },
  };
}

function httpOptions(limits: EdgeLimits): http.ServerOptions {
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // app.ts refuses a request without it, in the form of all refusals.
    requireHostHeader: false,
    // How often the two time limits above are looked at; Node's 30 s would make 45 of the 15 s for headers.
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  };
}

function applyLimits(server: http.Server & { httpAllowHalfOpen?: boolean }, limits: EdgeLimits): void {
  // The rest is for probes, when all others have a request under way.
  server.maxConnections = limits.maxConnections + limits.spareConnections;
  // No limit: a proxy keeps one connection for many callers.
  server.maxRequestsPerSocket = 0;
  // Their size bounds them. Node would leave out the ones above a number without a word.
  server.maxHeadersCount = 0;
  // A caller that ends its side behind its request still gets the answer; Node would close its own side at once.
  server.httpAllowHalfOpen = true;
}

function listen(server: http.Server, { name, host, port, log }: ListenerOptions): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(new ListenError(error, { name, host, port }));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      // From here on: a connection could not be taken (EMFILE). The others go on.
      server.on('error', (error: NodeJS.ErrnoException) => log.error({ code: error.code }, `the ${name} port failed`));
      resolve({ port: (server.address() as AddressInfo).port });
    });
  });
}
