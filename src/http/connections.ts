import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ipKeyGenerator } from 'express-rate-limit';
import { addressOf } from './client-address.ts';
import type { OpenExchange } from './client-error.ts';
import type { Complain } from './complaints.ts';
import type { EdgeLimits } from './limits.ts';

export interface Connections {
  opened(request: IncomingMessage, response: ServerResponse): void;
  closed(response: ServerResponse): void;
  last(socket: Socket): OpenExchange | undefined;
  /** More connections than `maxConnections` have a request under way; the ones that are left are for probes. */
  isCrowded(): boolean;
  /** The last answer under way on each connection, unless it has begun, will say that the connection ends. */
  announceClose(): void;
  /** `idle`: those without a request under way. Returns how many were closed. */
  destroy(which: 'idle' | 'all'): number;
}

interface ConnectionsOptions {
  readonly limits: EdgeLimits;
  /** A proxy has all of its callers' connections, so the limit for one address does not apply to it. */
  readonly isTrustedProxy: (remoteAddress: string | undefined) => boolean;
  readonly complain: Complain;
}

interface Connection {
  readonly socket: Socket;
  /** The address that the connection is counted for; null: it is not counted. */
  readonly key: string | null;
  readonly openedAtMs: number;
  readonly exchanges: Map<ServerResponse, IncomingMessage>;
}

/** A connection as young as this has had no time to send its request. */
const graceMs = 1_000;

/**
 * Knows the open connections of a server, and makes room when there are too many: a new one is never refused as long
 * as another has no request under way, so that connections that are only held cannot keep webhooks and probes away.
 */
export function trackConnections(server: Server, options: ConnectionsOptions): Connections {
  const { limits, isTrustedProxy, complain } = options;
  const open = new Map<Socket, Connection>();
  /** Connections that never sent a whole request, and those between two requests. The oldest of each comes first. */
  const waiting = new Set<Connection>();
  const idle = new Set<Connection>();
  const counts = new Map<string, number>();

  function remove(connection: Connection): void {
    if (!open.delete(connection.socket)) return;
    waiting.delete(connection);
    idle.delete(connection);
    if (connection.key === null) return;
    const count = (counts.get(connection.key) ?? 1) - 1;
    if (count === 0) counts.delete(connection.key);
    else counts.set(connection.key, count);
  }

  function end(connection: Connection): void {
    remove(connection);
    connection.socket.destroy();
  }

  function add(socket: Socket): void {
    const key = isTrustedProxy(socket.remoteAddress) ? null : keyOf(socket);
    const connection = { socket, key, openedAtMs: performance.now(), exchanges: new Map() };
    const inTheWay = overLimit(key);
    open.set(socket, connection);
    waiting.add(connection);
    if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
    socket.once('close', () => remove(connection));
    if (inTheWay === 'refuse') end(connection);
    else if (inTheWay !== null) end(inTheWay);
  }

  /** What has to be closed before another connection is taken; null if there is room, or if all are busy. */
  function overLimit(key: string | null): Connection | 'refuse' | null {
    if (key !== null && (counts.get(key) ?? 0) >= limits.maxConnectionsPerAddress) {
      complain('connections_per_address', {
        client_address: key,
        max_connections: limits.maxConnectionsPerAddress,
      });
      return firstOf(waiting, key) ?? firstOf(idle, key) ?? 'refuse';
    }
    if (open.size < limits.maxConnections) return null;
    complain('connections_full', {
      max_connections: limits.maxConnections,
      busy: open.size - waiting.size - idle.size,
    });
    return leastMissed();
  }

  /** The connection whose end costs least: without any request, between two requests, or already answered. */
  function leastMissed(): Connection | null {
    const [oldest] = waiting;
    const isFlood = waiting.size > limits.maxConnections / 4;
    if (oldest !== undefined && (isFlood || performance.now() - oldest.openedAtMs > graceMs)) return oldest;
    const [longestIdle] = idle;
    return longestIdle ?? open.values().find(isAnswered) ?? oldest ?? null;
  }

  server.on('connection', add);
  return {
    opened(request, response) {
      const connection = open.get(request.socket);
      if (connection === undefined) return;
      connection.exchanges.set(response, request);
      waiting.delete(connection);
      idle.delete(connection);
    },
    closed(response) {
      const connection = open.get(response.req.socket);
      if (connection?.exchanges.delete(response) && connection.exchanges.size === 0) idle.add(connection);
    },
    last(socket) {
      const [response, request] = [...(open.get(socket)?.exchanges ?? [])].at(-1) ?? [];
      return response && request && { request, response };
    },
    isCrowded: () => open.size - waiting.size - idle.size > limits.maxConnections,
    announceClose() {
      for (const { exchanges } of open.values()) announceCloseOf([...exchanges.keys()]);
    },
    destroy(which) {
      const chosen = [...open.values()].filter(({ exchanges }) => which === 'all' || exchanges.size === 0);
      for (const connection of chosen) end(connection);
      return chosen.length;
    },
  };
}

/** IPv6 callers have a whole network of addresses: they are counted by their /56, as failed authentications are. */
function keyOf(socket: Socket): string | null {
  const address = addressOf(socket.remoteAddress ?? '');
  return address === null ? null : ipKeyGenerator(address);
}

function firstOf(connections: ReadonlySet<Connection>, key: string): Connection | undefined {
  return connections.values().find((connection) => connection.key === key);
}

/** Its body was refused, and what still comes of it is only thrown away. */
function isAnswered({ exchanges }: Connection): boolean {
  return exchanges.size > 0 && exchanges.keys().every(({ headersSent }) => headersSent);
}

/** Not the earlier ones of pipelined requests: Node closes after the first that says so, and the others get no answer. */
function announceCloseOf(responses: readonly ServerResponse[]): void {
  for (const response of responses.filter(({ headersSent }) => !headersSent)) {
    if (response === responses.at(-1)) response.setHeader('Connection', 'close');
    else response.removeHeader('Connection');
  }
}
