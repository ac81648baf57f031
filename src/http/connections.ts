import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ipKeyGenerator } from 'express-rate-limit';
import type { AppOptions } from './app.ts';
import { addressOf, type Clients } from './client-address.ts';

type ConnectionsOptions = Pick<AppOptions, 'limits' | 'complain'> & { readonly clients: Clients };

interface Connection {
  readonly socket: Socket;
  /** The address that the connection is counted for; null: it is not counted. */
  readonly key: string | null;
  readonly openedAtMs: number;
  /** `waiting`: it never sent a whole request. `busy`: one is under way. `idle`: it is between two requests. */
  state: 'waiting' | 'busy' | 'idle';
  /** Those under way, several if requests are pipelined. */
  readonly responses: Set<ServerResponse>;
}

/** A connection as young as this has had no time to send its request. */
const graceMs = 1_000;

/**
 * Knows the open connections of a server, and makes room when there are too many: a new one is never refused as long
 * as another has no request under way, so that connections that are only held cannot keep webhooks and probes away.
 */
export function trackConnections(server: Server, { limits, clients, complain }: ConnectionsOptions) {
  const { maxConnections, maxConnectionsPerAddress } = limits;
  /** Among the waiting ones, and among the idle ones, the one that has been so for the longest time comes first. */
  const open = new Map<Socket, Connection>();
  const inState = (state: Connection['state']): Connection[] =>
    [...open.values()].filter((connection) => connection.state === state);

  function end({ socket }: Connection): void {
    open.delete(socket);
    socket.destroy();
  }

  server.on('connection', (socket) => {
    const address = addressOf(socket.remoteAddress ?? '') ?? '';
    // A proxy has all of its callers' connections, so the limit for one address does not apply to it. IPv6 callers have
    // a whole network of addresses: they are counted by their /56, as failed authentications are.
    const key = clients.isFromTrustedProxy(socket.remoteAddress) ? null : ipKeyGenerator(address);
    const openedAtMs = performance.now();
    const connection: Connection = { socket, key, openedAtMs, state: 'waiting', responses: new Set() };
    const hasRoom = makeRoom(key);
    open.set(socket, connection);
    socket.once('close', () => open.delete(socket));
    if (!hasRoom) end(connection);
  });

  /** Closes a connection if there are too many for another one. False: the other one is to be closed in its place. */
  function makeRoom(key: string | null): boolean {
    const ofKey = key === null ? [] : [...open.values()].filter((connection) => connection.key === key);
    let inTheWay: Connection | undefined;
    if (ofKey.length >= maxConnectionsPerAddress) {
      complain('connections_per_address', { client_address: key, max_connections: maxConnectionsPerAddress });
      inTheWay = ofKey.find(({ state }) => state === 'waiting') ?? ofKey.find(({ state }) => state === 'idle');
      if (inTheWay === undefined) return false;
    } else if (open.size >= maxConnections) {
      complain('connections_full', { max_connections: maxConnections, busy: inState('busy').length });
      inTheWay = leastMissed();
    }
    if (inTheWay !== undefined) end(inTheWay);
    return true;
  }

  /** The connection whose end costs least: without any request, between two, or already answered, if any is. */
  function leastMissed(): Connection | undefined {
    const waiting = inState('waiting');
    const [oldest] = waiting;
    const isFlood = waiting.length > maxConnections / 4;
    if (oldest !== undefined && (isFlood || performance.now() - oldest.openedAtMs > graceMs)) return oldest;
    return inState('idle')[0] ?? inState('busy').find(isAnswered) ?? oldest;
  }

  return {
    opened(response: ServerResponse): void {
      const connection = open.get(response.req.socket);
      if (connection === undefined) return;
      connection.responses.add(response);
      connection.state = 'busy';
    },
    closed(response: ServerResponse): void {
      const { socket } = response.req;
      const connection = open.get(socket);
      if (!connection?.responses.delete(response) || connection.responses.size > 0) return;
      connection.state = 'idle';
      // To the end of the order.
      open.delete(socket);
      open.set(socket, connection);
    },
    last: (socket: Socket): ServerResponse | undefined => [...(open.get(socket)?.responses ?? [])].at(-1),
    /** More connections than `maxConnections` have a request under way; the ones that are left are for probes. */
    isCrowded: (): boolean => open.size > maxConnections && inState('busy').length > maxConnections,
    /** The last answer under way on each connection, unless it has begun, will say that the connection ends. */
    announceClose(): void {
      for (const { responses } of open.values()) announceCloseOf([...responses]);
    },
    /** `idle`: those without a request under way. Returns how many were closed. */
    destroy(which: 'idle' | 'all'): number {
      const chosen = [...open.values()].filter(({ state }) => which === 'all' || state !== 'busy');
      for (const connection of chosen) end(connection);
      return chosen.length;
    },
  };
}

/** Its body was refused, and what still comes of it is only thrown away. */
function isAnswered({ responses }: Connection): boolean {
  return responses.values().every(({ headersSent }) => headersSent);
}

/** Not earlier ones of pipelined requests: Node closes after the first that says so, and the others get no answer. */
function announceCloseOf(responses: readonly ServerResponse[]): void {
  for (const response of responses.filter(({ headersSent }) => !headersSent)) {
    if (response === responses.at(-1)) response.setHeader('Connection', 'close');
    else response.removeHeader('Connection');
  }
}
