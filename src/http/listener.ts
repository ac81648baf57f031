import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import process from 'node:process';
import { type AppOptions, createApp } from './app.ts';
import type { Clients } from './client-address.ts';
import { createClientErrorHandler, createComplaints } from './complaints.ts';
import { trackConnections } from './connections.ts';

export interface ListenerOptions extends Omit<AppOptions, 'complain'> {
  /** `webhook` or `admin`, for the log. */
  readonly name: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly clients: Clients;
}

export type Listener = ReturnType<typeof createListener>;

/** How long connections without a request stay open when the stop has begun: ADR 12. */
const stopGraceMs = 1_000;

export function createListener(options: ListenerOptions) {
  const { limits, clock, log } = options;
  let stopped: Promise<void> | null = null;
  const complain = createComplaints({ port: options.name, log, clock });
  const server = createHttpServer(limits);
  const connections = trackConnections(server, { ...options, complain });
  /** `isStopping`: the stop has begun. `isClosing`: its grace period is over, and nothing new is taken. */
  const state = { isStopping: false, isClosing: false, isCrowded: connections.isCrowded };
  const app = createApp({ ...options, complain });
  const onClientError = createClientErrorHandler({ ...options, complain }, connections.last);
  server.on('clientError', (error, socket) => onClientError(error, socket as Socket));
  server.on('drop', () => complain('connections_refused', { max_connections: limits.maxConnections }));

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    connections.opened(response);
    if (state.isStopping) connections.announceClose();
    // Java's HttpClient offers h2c with each request. Node's parser drops what follows such a request in the same read,
    // so that another request on this connection could be lost without an answer.
    if (request.headers.upgrade !== undefined || state.isCrowded()) response.setHeader('Connection', 'close');
    response.on('close', () => {
      connections.closed(response);
      // An answer that had gone out as keep-alive when the stop began leaves its connection behind.
      if (state.isClosing) setImmediate(() => server.closeIdleConnections());
    });
    app(request, response);
  }
  server.on('request', onRequest);
  // Without this listener Node itself asks for the body, before the secret was checked.
  server.on('checkContinue', onRequest);
  // An unknown expectation may be ignored (RFC 9110, 10.1.1); without this listener Node would answer it.
  server.on('checkExpectation', onRequest);

  async function stop(limitMs: number, graceMs: number): Promise<void> {
    state.isStopping = true;
    connections.announceClose();
    // Not the HTTP server's own `close`, which ends idle connections at once.
    const closed = new Promise<void>((resolve) => net.Server.prototype.close.call(server, () => resolve()));
    const endGrace = (): void => {
      state.isClosing = true;
      connections.destroy('idle');
    };
    const waitMs = Math.min(graceMs, limitMs);
    const cancelGrace = waitMs > 0 ? clock.setTimer(waitMs, endGrace) : endGrace();
    const cancelLimit = clock.setTimer(limitMs, () => {
      const left = connections.destroy('all');
      if (left > 0) log.warn({ connections: left }, 'shutdown timed out, and open connections were closed');
    });
    await closed;
    // Nothing is left to close; this ends Node's timer that looks for slow requests.
    server.close(() => undefined);
    cancelGrace?.();
    cancelLimit();
  }

  return {
    state: state as Readonly<typeof state>,
    /** Resolves when it listens; rejects with a ListenError when it cannot. */
    start: () => listen(server, options),
    /**
     * Closes the listener, answers what is under way or comes on an open connection within `graceMs`, then closes idle
     * connections, and after `limitMs` all others. Resolves when none is left. Calling it again gives the same promise.
     */
    stop(limitMs: number, graceMs = stopGraceMs): Promise<void> {
      stopped ??= stop(limitMs, graceMs);
      return stopped;
    },
  };
}

function createHttpServer(limits: AppOptions['limits']): http.Server {
  const server: http.Server & { httpAllowHalfOpen?: boolean } = http.createServer({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // app.ts refuses a request without it, in the form of all refusals.
    requireHostHeader: false,
    // How often Node checks the two time limits above; with its 30 s the 15 s for headers could become 45 s.
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  });
  // The rest is for probes, when all others have a request under way.
  server.maxConnections = limits.maxConnections + limits.spareConnections;
  // Their size bounds them. Above a number of headers Node would drop the rest silently.
  server.maxHeadersCount = 0;
  // A caller that ends its side after its request still gets the answer; by default Node closes its own side at once.
  server.httpAllowHalfOpen = true;
  return server;
}

async function listen(server: http.Server, { name, host, port, log }: ListenerOptions): Promise<{ port: number }> {
  server.listen({ host, port });
  await once(server, 'listening').catch((error) => {
    throw new ListenError(error, { name, host, port });
  });
  // From here on an error means that a connection could not be accepted (EMFILE). The others go on.
  server.on('error', (error: NodeJS.ErrnoException) => log.error({ code: error.code }, `the ${name} port failed`));
  return { port: (server.address() as AddressInfo).port };
}

/** The service cannot listen. `code` is Node's; the message names the variable and says what to set it to. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: string;
  /** HOST or PORT of the `webhook` port, ADMIN_HOST or ADMIN_PORT of the `admin` port. */
  readonly variable: string;
  /** Only another value helps; false if another program has the port at the moment. */
  readonly isConfiguration: boolean;

  constructor(cause: NodeJS.ErrnoException, { name, host, port }: Pick<ListenerOptions, 'name' | 'host' | 'port'>) {
    const code = cause.code ?? 'unknown';
    const variable = (name === 'admin' ? 'ADMIN_' : '') + (isAboutPort(code) ? 'PORT' : 'HOST');
    super(`${variable} ${problemOf(code, host, port)} (${code})`, { cause });
    this.code = code;
    this.variable = variable;
    this.isConfiguration = code === 'EACCES' || addressCodes.has(code) || isUnresolved(code);
  }
}

/** The address is not one of this machine, or of a family that it does not have. */
const addressCodes = new Set(['EADDRNOTAVAIL', 'EINVAL', 'EAFNOSUPPORT', 'ENOTSUP']);
const isUnresolved = (code: string): boolean => code === 'ENOTFOUND' || code.startsWith('EAI_');
const isAboutPort = (code: string): boolean => code === 'EADDRINUSE' || code === 'EACCES';

function problemOf(code: string, host: string, port: number): string {
  if (code === 'EADDRINUSE') return `${port} on ${host} is in use by another program; stop it, or set another port`;
  if (code === 'EACCES') {
    return `${port} on ${host} may not be used by uid ${process.getuid?.()}; set a port of 1024 or more`;
  }
  const advice = 'set an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them';
  if (isUnresolved(code)) return `"${host}" does not resolve to an address; ${advice}`;
  if (addressCodes.has(code)) return `"${host}" is no address of this machine; ${advice}`;
  return `"${host}" cannot be listened on`;
}

/** Why the service cannot listen on a host; null if it can. On any free port, so a running service does not matter. */
export function tryHost(place: Pick<ListenerOptions, 'name' | 'host'>): Promise<ListenError | null> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(new ListenError(error, { ...place, port: 0 })));
    server.listen({ host: place.host, port: 0 }, () => server.close(() => resolve(null)));
  });
}
