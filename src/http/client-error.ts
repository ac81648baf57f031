import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../ground/clock.ts';
import { addressOf } from './client-address.ts';
import type { Complain, Complaint } from './complaints.ts';

/** The exchange that a connection is in; the last one if requests are pipelined. */
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
 * Answers what is not HTTP, or came too slowly to be, with a bare status line, since there is no request that a problem
 * could name. It is the listener of the server's `clientError`.
 */
export function createClientErrorHandler(options: ClientErrorOptions): (error: Error, socket: Socket) => void {
  const handled = new WeakSet<Socket>();
  return (error, socket) => {
    // The parser fails again at every further piece.
    if (handled.has(socket)) return;
    handled.add(socket);
    const code = 'code' in error ? String(error.code) : '';
    if (code.startsWith('HPE_')) {
      const address = addressOf(socket.remoteAddress ?? '') ?? undefined;
      options.complain(complaintOf(code, error), { parser: code, client_address: address });
    }
    const open = options.lastExchange(socket);
    if (open?.request.complete) {
      // The malformed bytes follow a whole request, which may be about to be stored: it gets its answer.
      endAfterAnswer(open.response, socket);
      return;
    }
    const silent = !socket.writable || code === 'ECONNRESET' || open?.response.headersSent || isUnused(socket, code);
    if (silent) socket.destroy();
    else answerBare(socket, statusLines[code] ?? '400 Bad Request', options);
  };
}

/** https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, 2.2. Version 1 begins with a word. */
const proxyProtocolV2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** What most often comes to this port without being HTTP/1 is known by its first bytes. */
function complaintOf(parserCode: string, error: Error): Complaint {
  const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : Buffer.alloc(0);
  const begins = (text: string): boolean => packet.toString('latin1', 0, text.length) === text;
  if (begins('PROXY ') || packet.indexOf(proxyProtocolV2) === 0) return 'proxy_protocol';
  if (begins('\x16\x03')) return 'tls_on_http_port';
  if (begins('PRI * HTTP/2.0')) return 'http2_on_http_port';
  return parserCode === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'malformed_request';
}

/** A connection that was opened in advance: an answer to no request would be taken for that of its first one. */
function isUnused(socket: Socket, code: string): boolean {
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0;
}

function endAfterAnswer(response: ServerResponse, socket: Socket): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
  response.once('close', () => socket.destroySoon());
}

/** Stays open for a moment: a sender who is still writing would lose the answer if the connection closed at once. */
function answerBare(socket: Socket, statusLine: string, { lingerMs, clock }: ClientErrorOptions): void {
  socket.end(`HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  const cancelTimer = clock.setTimer(lingerMs, () => socket.destroy());
  socket.once('close', cancelTimer);
}
