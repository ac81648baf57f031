import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AppOptions } from './app.ts';
import { addressOf } from './client-address.ts';

/** Warnings that requests and connections cause, most of them anybody's. docs/errors.md explains each code. */
export const complaints = {
  host_invalid: 'a request has no Host header, or two: look at the reverse proxy or the load balancer',
  connections_full: 'too many connections are open; those without a request are closed, the oldest first, to make room',
  connections_per_address: 'one address has too many connections open; its oldest ones are closed',
  connections_refused: 'connections are refused: each one that is open has a request under way',
  proxy_protocol:
    'a load balancer sends the PROXY protocol, which this service does not speak: turn it off there, and let it set X-Forwarded-For',
  tls_on_http_port:
    'a caller speaks TLS to this port, which is plain HTTP: terminate TLS in the reverse proxy, and use http:// behind it',
  http2_on_http_port:
    'a caller speaks HTTP/2, which this service does not: set the reverse proxy to HTTP/1.1 for its upstream',
  headers_too_large:
    'the headers of a request were larger than 16 KB, and it was answered 431: look for what the reverse proxy adds to them',
  malformed_request:
    'a request was no valid HTTP/1.1 and was refused; `parser` says what is wrong, `client_address` who sent it',
  unknown_proxy:
    'webhooks come through a proxy that TRUST_PROXY does not name, so all callers have its address: set TRUST_PROXY',
  outbox_full:
    'the outbox is full, and webhooks get 503 until Azure has taken some of what waits; /healthz says how full it is',
  text_looks_escaped:
    'the text of an event holds HTML entities and was stored as it came, because its event_time is a number: put event_time in quotes in the body template, or set APONO_TEMPLATE_ESCAPING to html',
} as const;

/** Matters of configuration, which are logged once. */
const once: readonly string[] = ['unknown_proxy', 'text_looks_escaped'] satisfies Complaint[];

type Complaint = keyof typeof complaints;

export type Complain = (code: Complaint, fields?: Readonly<Record<string, unknown>>) => void;

const intervalMs = 60_000;

/** Logs each other code at most once a minute, with how often it was left out since. `port`: its name, for the log. */
export function createComplaints({ port, log, clock }: Pick<AppOptions, 'log' | 'clock'> & { port: string }): Complain {
  const seen = new Map<Complaint, { loggedAt: number; since: number }>();
  return (code, fields) => {
    const now = clock.now();
    const last = seen.get(code);
    // The clock may jump back.
    if (last !== undefined && (once.includes(code) || Math.abs(now - last.loggedAt) < intervalMs)) {
      last.since += 1;
      return;
    }
    seen.set(code, { loggedAt: now, since: 0 });
    log.warn({ code, listener: port, ...fields, suppressed: last?.since || undefined }, complaints[code]);
  };
}

/** As Node has it: `rawPacket` is what the parser did not understand. */
type ClientError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

const statusLines: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/**
 * Answers what is not HTTP, or came too slowly to be, with a bare status line, since there is no request that a problem
 * could name. It is the listener of the server's `clientError`. `last`: the last response under way on a connection.
 */
export function createClientErrorHandler(
  { limits, clock, complain }: Pick<AppOptions, 'limits' | 'clock' | 'complain'>,
  last: (socket: Socket) => ServerResponse | undefined,
): (error: ClientError, socket: Socket) => void {
  const handled = new WeakSet<Socket>();
  return (error, socket) => {
    // The parser fails again at every further piece.
    if (handled.has(socket)) return;
    handled.add(socket);
    const { code = '' } = error;
    if (code.startsWith('HPE_')) {
      const address = addressOf(socket.remoteAddress ?? '') ?? undefined;
      complain(complaintOf(error), { parser: code, client_address: address });
    }
    const response = last(socket);
    if (response?.req.complete) {
      // The malformed bytes follow a whole request, which may be about to be stored: it gets its answer.
      if (!response.headersSent) response.setHeader('Connection', 'close');
      response.once('close', () => socket.destroySoon());
      return;
    }
    // A connection that was opened in advance: an answer to no request would be taken for that of its first one.
    const isUnused = code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0;
    if (!socket.writable || code === 'ECONNRESET' || response?.headersSent || isUnused) {
      socket.destroy();
      return;
    }
    const statusLine = statusLines[code] ?? '400 Bad Request';
    socket.end(`HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    // Open for a moment: a sender who is still writing would lose the answer if the connection closed at once.
    const cancelTimer = clock.setTimer(limits.lingerMs, () => socket.destroy());
    socket.once('close', cancelTimer);
  };
}

/** What most often comes to this port without being HTTP/1 is known by its first bytes. */
function complaintOf({ code, rawPacket }: ClientError): Complaint {
  const start = rawPacket?.toString('latin1', 0, 20) ?? '';
  // Version 1 begins with a word, version 2 does not: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, 2.2.
  if (start.startsWith('PROXY ') || start.startsWith('\r\n\r\n\0\r\nQUIT\n')) return 'proxy_protocol';
  if (start.startsWith('\x16\x03')) return 'tls_on_http_port';
  if (start.startsWith('PRI * HTTP/2.0')) return 'http2_on_http_port';
  return code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'malformed_request';
}
