import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy to a port of this machine that can be cut: silently, as a firewall does, or so that everybody is told. */
export interface TcpProxy {
  readonly port: number;
  /** Nothing passes any more, in either direction, and nobody is told. New connections are taken and lead nowhere. */
  cut(): void;
  /** Ends all connections, and refuses new ones. */
  refuse(): Promise<void>;
  /** As before, for new connections; those that were cut are ended. */
  heal(): Promise<void>;
  /** Lets what clients send pass up to and with the next time that it holds this text, and nothing that comes back then. */
  swallowAnswerTo(text: string): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(toPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' = 'open';
  let fatalText: string | null = null;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    const upstream = connect(toPort, '127.0.0.1');
    keep(upstream);
    client.on('data', (chunk) => {
      if (state === 'cut') return;
      if (fatalText !== null && chunk.includes(fatalText)) state = 'cut';
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (state === 'open') client.write(chunk);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      // Behind a cut nobody hears of the other's end.
      one.once('close', () => {
        if (state === 'open') other.destroy();
      });
    }
  });
  async function listen(port: number): Promise<number> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  async function refuse(): Promise<void> {
    if (!server.listening) return;
    server.close();
    endAll();
    await once(server, 'close');
  }
  const port = await listen(0);
  return {
    port,
    cut() {
      state = 'cut';
    },
    refuse,
    swallowAnswerTo(text) {
      fatalText = text;
    },
    async heal() {
      state = 'open';
      fatalText = null;
      endAll();
      if (!server.listening) await listen(port);
    },
    stop: refuse,
  };
}
