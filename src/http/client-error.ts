import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../ground/clock.ts';
import { addressOf } from './client-address.ts';
import type { Complain } from './complaints.ts';

/** The exchange that a connection is in, the last one where requests are pipelined. */
export interface OpenExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface ClientErrorOptions {
  readonly lastExchange: (socket: Socket) => OpenExchange | undefined;
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly complain: Complain;
}

const statusLines: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/**
 * For what is no HTTP, or came too slowly to be any: a bare answer, since there is no request that a problem could
 * name. Listens to the server's `clientError`.
 */
export function createClientErrorHandler(options: ClientErrorOptions): (error: Error, socket: Socket) => void {
  const handled = new WeakSet<Socket>();
  return (error, socket) => {
    // The parser fails again at every further piece.
    if (handled.has(socket)) return;
    handled.add(socket);
    const code = 'code' in error ? String(error.code) : '';
    if (code.startsWith('HPE_')) complainOf(code, error, socket, options.complain);
    const open = options.lastExchange(socket);
    if (open?.request.complete) {
      // What is malformed came behind a whole request, and that one may be about to be stored: it gets its answer.
      endAfterAnswer(open.response, socket);
      return;
    }
    const silent = !socket.writable || code === 'ECONNRESET' || open?.response.headersSent || isUnused(socket, code);
    if (silent) socket.destroy();
    else answerBare(socket, statusLines[code] ?? '400 Bad Request', options);
  };
}

/** Of https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, 2.2. Version 1 begins with a word. */
const proxyProtocolV2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** What most often comes to this port and is no HTTP/1 is known by its first bytes; the message says what to do. */
const findings: readonly {
  readonly code: string;
  readonly matches: (packet: Buffer, parserCode: string) => boolean;
  readonly message: string;
}[] = [
  {
    code: 'proxy_protocol',
    matches: (packet) => packet.toString('latin1', 0, 6) === 'PROXY ' || packet.indexOf(proxyProtocolV2) === 0,
    message:
      'a load balancer sends the PROXY protocol, which this service does not speak: turn it off there, and let it set X-Forwarded-For',
  },
  {
    code: 'tls_on_http_port',
    matches: (packet) => packet[0] === 0x16 && packet[1] === 0x03,
    message:
      'a caller speaks TLS to this port, which is plain HTTP: terminate TLS in the reverse proxy, and use http:// behind it',
  },
  {
    code: 'http2_on_http_port',
    matches: (packet) => packet.toString('latin1', 0, 14) === 'PRI * HTTP/2.0',
    message: 'a caller speaks HTTP/2, which this service does not: set the reverse proxy to HTTP/1.1 for its upstream',
  },
  {
    code: 'headers_too_large',
    matches: (_packet, parserCode) => parserCode === 'HPE_HEADER_OVERFLOW',
    message:
      'the headers of a request were larger than 16 KB, and it was answered 431: look for what the reverse proxy adds to them',
  },
  {
    code: 'malformed_request',
    matches: () => true,
    message:
      'a request was no valid HTTP/1.1 and was refused; `parser` says what is wrong, `client_address` who sent it',
  },
];

function complainOf(parserCode: string, error: Error, socket: Socket, complain: Complain): void {
  const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : Buffer.alloc(0);
  const finding = findings.find(({ matches }) => matches(packet, parserCode));
  if (finding === undefined) return;
  complain(finding.code, finding.message, {
    parser: parserCode,
    client_address: addressOf(socket.remoteAddress ?? '') ?? undefined,
  });
}

/** A connection that was opened in advance: an answer to no request would be taken for that of its first one. */
function isUnused(socket: Socket, code: string): boolean {
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0;
}

function endAfterAnswer(response: ServerResponse, socket: Socket): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
  response.once('close', () => socket.destroySoon());
}

/** Stays open for a moment: closing under a sender who is still writing would take the answer away from it. */
function answerBare(socket: Socket, statusLine: string, { lingerMs, clock }: ClientErrorOptions): void {
  socket.end(`HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  const cancelTimer = clock.setTimer(lingerMs, () => socket.destroy());
  socket.once('close', cancelTimer);
}
