import net from 'node:net';
import type { TestContext } from 'node:test';

/**
 * What a client meets at the address: Azure (or whoever listens on that port of this machine), nobody, one who takes
 * the connection and says nothing, or one who speaks no TLS.
 */
export type Behind = { readonly port: number } | 'nobody' | 'silence' | 'plain text';

export interface Front {
  readonly port: number;
  /** How many connections came since the last `switchTo`. */
  readonly connections: number;
  /** From now on; connections that are open are cut. */
  switchTo(behind: Behind): void;
}

/** A TCP port before Azure whose other end can be changed. The certificate is that of whoever stands behind it. */
export async function startFront(t: TestContext, first: Behind): Promise<Front> {
  let behind = first;
  let connections = 0;
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    connections++;
    track(socket);
    if (behind === 'nobody') socket.resetAndDestroy();
    else if (behind === 'plain text') socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    else if (behind === 'silence') socket.resume();
    else connect(socket, behind.port);
  });

  function track(socket: net.Socket): void {
    open.add(socket);
    // Cut connections are what this is for.
    socket.on('error', () => {}).once('close', () => open.delete(socket));
  }

  function connect(socket: net.Socket, port: number): void {
    const upstream = net.connect(port, '127.0.0.1');
    track(upstream);
    socket.pipe(upstream).pipe(socket);
    socket.once('close', () => upstream.destroy());
    upstream.once('close', () => socket.destroy());
  }

  function cutAll(): void {
    for (const socket of open) socket.destroy();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        cutAll();
      }),
  );
  return {
    port: (server.address() as net.AddressInfo).port,
    get connections() {
      return connections;
    },
    switchTo(next) {
      behind = next;
      connections = 0;
      cutAll();
    },
  };
}
