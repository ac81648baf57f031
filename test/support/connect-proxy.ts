import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';

export interface ConnectProxy {
  readonly port: number;
  /** `host:port` of each CONNECT that was let through. */
  readonly tunnels: readonly string[];
  /** Proxy-Authorization of each CONNECT, decoded; null where there was none. */
  readonly logins: readonly (string | null)[];
}

export interface ConnectProxyOptions {
  /** `user:password` that it asks for; any other login is answered 407. */
  readonly login?: string;
  /** It takes TLS itself. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Where it listens; default 127.0.0.1. */
  readonly host?: string;
}

/** A forward proxy for CONNECT on this machine, ended after the test. */
export async function startConnectProxy(t: TestContext, options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const tunnels: string[] = [];
  const logins: (string | null)[] = [];
  const server: Server = options.tls === undefined ? createHttpServer() : createHttpsServer(options.tls);
  server.on('connect', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const login = decode(request.headers['proxy-authorization']);
    logins.push(login);
    if (options.login !== undefined && login !== options.login) {
      const page = '<html><title>Sign in to the proxy</title></html>';
      const headers = `Proxy-Authenticate: Basic realm="x"\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\n`;
      socket.end(`HTTP/1.1 407 Proxy Authentication Required\r\n${headers}\r\n${page}`);
      return;
    }
    tunnels.push(request.url ?? '');
    const { hostname, port } = new URL(`http://${request.url}`);
    const upstream = connect(Number(port), hostname.replace(/^\[|\]$/g, ''), () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
    t.after(() => void upstream.destroy());
  });
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, tunnels, logins };
}

function decode(header: string | undefined): string | null {
  const encoded = /^Basic (.+)$/.exec(header ?? '')?.[1];
  return encoded === undefined ? null : Buffer.from(encoded, 'base64').toString('utf8');
}
