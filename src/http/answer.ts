import type { Clock } from '../ground/clock.ts';
import { bodyIsOutstanding, drain } from './drain.ts';
import type { Exchange } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';
import { securityHeaders } from './security-headers.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. */
  readonly body: unknown;
}

const constantHeaders: readonly string[] = [...securityHeaders, 'Cache-Control', 'no-store'];

/**
 * Sends an answer. Where the body is still coming, the whole answer is written at once, but the response is ended only
 * when the rest was drained: ending it would close the connection under a sender who asked for `Connection: close`.
 */
export function sendAnswer(exchange: Exchange, answer: Answer, limits: EdgeLimits, clock: Clock): void {
  const { request, response, record } = exchange;
  if (response.headersSent || response.destroyed) return;
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  const bytes = Buffer.byteLength(text);
  // Node writes head and body with one call where both are text, the quicker where it need not look for what is to be
  // encoded.
  const encoding = bytes === text.length ? 'latin1' : 'utf8';
  const head = headOf(exchange, answer, bytes);
  // A body is read before its end is told of, and a quick answer can come between the two.
  if (record.bodyBytes !== null || !bodyIsOutstanding(request)) {
    // A body that came whole but was not read to its end would keep the next request of the connection from starting.
    if (!request.readableEnded) request.resume();
    response.writeHead(answer.status, head).end(text, encoding);
    return;
  }
  // More than will be drained is announced: the connection cannot be used again.
  if (Number(request.headers['content-length'] ?? 0) > limits.drainMaxBytes) head.push('Connection', 'close');
  response.writeHead(answer.status, head);
  // The first write takes the head along. Some clients (`got`) lose an answer of which only the head came before their
  // own write failed. A HEAD's `write` sends nothing, headers neither.
  if (request.method === 'HEAD') response.flushHeaders();
  else response.write(text, encoding);
  void drain(request, limits, clock).then((outcome) => {
    if (outcome === 'whole') response.end();
    else request.socket.destroy();
  });
}

/** As `writeHead` takes it: one list of names and values costs a third of a `setHeader` for each. */
function headOf({ record }: Exchange, { contentType, headers }: Answer, bytes: number): string[] {
  const head = ['X-Request-Id', record.requestId, ...constantHeaders];
  for (const name in headers) head.push(name, headers[name] ?? '');
  // JSON has no charset parameter: it is UTF-8 (RFC 8259, 11).
  head.push('Content-Type', contentType, 'Content-Length', String(bytes));
  return head;
}
