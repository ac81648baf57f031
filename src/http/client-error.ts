import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';

/** The exchange that a connection is in, the last one where requests are pipelined. */
export interface OpenExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface ClientErrorOptions {
  readonly lastExchange: (socket: Socket) => OpenExchange | undefined;
  readonly lingerMs: number;
  readonly clock: Clock;
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
    const open = options.lastExchange(socket);
    if (open?.request.complete) {
      // What is malformed came behind a whole request, and that one may be about to be stored: it gets its answer.
      endAfterAnswer(open.response, socket);
      return;
    }
    const code = 'code' in error ? String(error.code) : '';
    const silent = !socket.writable || code === 'ECONNRESET' || open?.response.headersSent || isUnused(socket, code);
    if (silent) socket.destroy();
    else answerBare(socket, statusLines[code] ?? '400 Bad Request', options);
  };
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
