import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type CallHead, headOf } from './call.ts';
import { makeCertificate } from './certificate.ts';

/** One request, and the ways to end it: an answer through `res`, or a TCP reset. */
export interface Exchange {
  readonly head: CallHead;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  reset(): void;
}

export interface ServerOptions {
  /** Default 127.0.0.1: the emulator holds no real secrets, but only this machine has to reach it. */
  readonly host?: string | undefined;
  /** Default 0: any free port. */
  readonly port?: number | undefined;
  /** Names and addresses for the certificate besides localhost, 127.0.0.1 and ::1. */
  readonly hostNames?: readonly string[] | undefined;
  /** Answers one request, or resets its connection. Must not reject. */
  readonly handle: (exchange: Exchange) => Promise<void>;
}

/**
 * Rejects when the address cannot be listened on. Gives the origin (`https://localhost:PORT`), the port, and the CA
 * certificate that clients have to trust.
 */
export async function startServer({ host, port, hostNames = [], handle }: ServerOptions) {
  const names = new Set(['localhost', '127.0.0.1', '::1', ...hostNames]);
  const { keyPem, certPem, caPem } = await makeCertificate([...names]);
  const connections = new Map<string, Socket>();
  // Azure keeps idle connections for minutes; Node's 5 s would cut them under a client that is about to use one.
  const tls = { key: keyPem, cert: certPem, keepAliveTimeout: 120_000, minVersion: 'TLSv1.2' } as const;
  const server = createServer(tls, (req, res) => {
    // Node gives a request only its TLS socket, which cannot send a TCP reset.
    const reset = (): void => void connections.get(keyOf(req.socket))?.resetAndDestroy();
    void handle({ head: headOf(req, originFor(req.headers.host)), req, res, reset });
  });
  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    connections.set(key, socket);
    socket.once('close', () => connections.get(key) === socket && connections.delete(key));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port ?? 0, host ?? '127.0.0.1', resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const origin = `https://localhost:${bound}`;
  const closed = new Promise<void>((resolve) => server.once('close', resolve));

  function originFor(hostHeader: string | undefined): string {
    const name = hostHeader?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    return name !== undefined && names.has(name) ? `https://${hostHeader}` : origin;
  }
  /** Ends every connection at once, hanging ones too; resolves when the port is free. May be called again. */
  function stop(): Promise<void> {
    server.close();
    for (const socket of connections.values()) socket.destroy();
    return closed;
  }
  return { origin, port: bound, caPem, stop };
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
