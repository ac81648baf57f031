import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeCertificate } from '../../../src/emulator/certificate.ts';
import { type CallHead, headOf } from './call.ts';

/** One request, to be answered through `res`. */
export interface Exchange {
  readonly head: CallHead;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

export type Certificate = Awaited<ReturnType<typeof makeCertificate>>;

interface ServerOptions {
  /** Default 127.0.0.1: the emulator holds no real secrets, but only this machine has to reach it. */
  readonly host?: string | undefined;
  /** Default 0: any free port. */
  readonly port?: number | undefined;
  /** Names and addresses for the certificate besides localhost, 127.0.0.1 and ::1. */
  readonly hostNames?: readonly string[] | undefined;
  /** Default: a new one, of a CA of its own. */
  readonly certificate?: Certificate | undefined;
  /** Answers one request. Must not reject. */
  readonly handle: (exchange: Exchange) => Promise<void>;
}

/**
 * Rejects when the address cannot be listened on. Gives the origin (`https://localhost:PORT`), the port, and the CA
 * certificate that clients have to trust.
 */
export async function startServer({ host, port, hostNames = [], certificate, handle }: ServerOptions) {
  const names = new Set(['localhost', '127.0.0.1', '::1', ...hostNames]);
  const { keyPem, certPem, caPem } = certificate ?? (await makeCertificate([...names]));
  // Azure keeps idle connections for minutes; Node's 5 s would cut them under a client that is about to use one.
  const tls = { key: keyPem, cert: certPem, keepAliveTimeout: 120_000, minVersion: 'TLSv1.2' } as const;
  const server = createServer(tls, (req, res) => {
    void handle({ head: headOf(req, originFor(req.headers.host)), req, res });
  });
  await once(server.listen(port ?? 0, host ?? '127.0.0.1'), 'listening');
  const bound = (server.address() as AddressInfo).port;
  const origin = `https://localhost:${bound}`;
  const closed = once(server, 'close');

  function originFor(hostHeader: string | undefined): string {
    const name = hostHeader?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    return name !== undefined && names.has(name) ? `https://${hostHeader}` : origin;
  }
  /** Ends every connection at once, hanging ones too; resolves when the port is free. May be called again. */
  async function stop(): Promise<void> {
    server.close();
    server.closeAllConnections();
    await closed;
  }
  return { server, origin, port: bound, caPem, stop };
}
