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

interface ListenerOptions {
  /** `webhook` or `admin`, for the log. */
  readonly name: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
  /** A proxy may have more connections than another address. */
  readonly isTrustedProxy: (remoteAddress: string | undefined) => boolean;
  readonly createApp: (state: ListenerState) => Express;
}

export interface ListenerState {
  /** The stop has begun. */
  isStopping(): boolean;
  /** The grace period of the stop is over: nothing new is taken. */
  isClosing(): boolean;
  /** So many requests are under way that only probes are to be answered. */
  isCrowded(): boolean;
}

export interface Listener {
  /** Resolves when it listens; rejects with a ListenError when it cannot. */
  start(): Promise<{ readonly port: number }>;
  /**
   * Closes the listener, answers what is under way or comes on an open connection within a second, then closes idle
   * connections, and after `limitMs` what is left. Resolves when no connection is left. Calling it again gives the same
   * promise.
   */
  stop(limitMs: number): Promise<void>;
}

/**
 * How long connections without a request stay open when the stop has begun. A proxy that keeps them may be sending on
 * one right now, and would answer 502 if it closed. The answer tells the proxy not to use the connection again.
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
    response.on('close', () => {
      connections.closed(response);
      // An answer that had gone out as keep-alive when the stop began leaves its connection behind.
      if (isClosing) setImmediate(() => server.closeIdleConnections());
    });
    app(request, response);
  }
  server.on('request', onRequest);
  // Without this listener Node itself asks for the body, before the secret was checked.
  server.on('checkContinue', onRequest);
  // An unknown expectation may be ignored (RFC 9110, 10.1.1); without this listener Node would answer it.
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
      if (left > 0) options.log.warn({ connections: left }, 'shutdown timed out, and open connections were closed');
    });
    await closed;
    // Nothing is left to close; this ends Node's timer that looks for slow requests.
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
    // How often Node checks the two time limits above; with its 30 s the 15 s for headers could become 45 s.
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  };
}

function applyLimits(server: http.Server & { httpAllowHalfOpen?: boolean }, limits: EdgeLimits): void {
  // The rest is for probes, when all others have a request under way.
  server.maxConnections = limits.maxConnections + limits.spareConnections;
  // No limit: a proxy keeps one connection for many callers.
  server.maxRequestsPerSocket = 0;
  // Their size bounds them. Above a number of headers Node would drop the rest silently.
  server.maxHeadersCount = 0;
  // A caller that ends its side after its request still gets the answer; by default Node closes its own side at once.
  server.httpAllowHalfOpen = true;
}

function listen(server: http.Server, { name, host, port, log }: ListenerOptions): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(new ListenError(error, { name, host, port }));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      // From here on an error means that a connection could not be accepted (EMFILE). The others go on.
      server.on('error', (error: NodeJS.ErrnoException) => log.error({ code: error.code }, `the ${name} port failed`));
      resolve({ port: (server.address() as AddressInfo).port });
    });
  });
}
