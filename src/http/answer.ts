import type { Clock } from '../clock.ts';
import { bodyIsOutstanding, drain } from './drain.ts';
import type { Exchange } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes are sent as they are, anything else as JSON. */
  readonly body: unknown;
}

/**
 * Sends an answer. Where the body is still coming, the whole answer is written at once, but the response is ended only
 * when the rest was drained: ending it would close the connection under a sender who asked for `Connection: close`.
 */
export function sendAnswer(exchange: Exchange, answer: Answer, limits: EdgeLimits, clock: Clock): void {
  const { request, response } = exchange;
  if (response.headersSent || response.destroyed) return;
  const bytes = answer.body instanceof Uint8Array ? answer.body : Buffer.from(JSON.stringify(answer.body));
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  // JSON has no charset parameter: it is UTF-8 (RFC 8259, 11).
  response.setHeader('Content-Type', answer.contentType);
  response.setHeader('Content-Length', bytes.length);
  response.setHeader('Cache-Control', 'no-store');
  if (!bodyIsOutstanding(request)) {
    // A body that came whole but was not read to its end would keep the next request of the connection from starting.
    request.resume();
    response.end(bytes);
    return;
  }
  // More than will be drained is announced: the connection cannot be used again.
  if (Number(request.headers['content-length'] ?? 0) > limits.drainMaxBytes) response.setHeader('Connection', 'close');
  // A HEAD's `write` sends nothing, headers neither.
  response.flushHeaders();
  response.write(bytes);
  void drain(request, limits, clock).then((outcome) => {
    if (outcome === 'whole') response.end();
    else request.socket.destroy();
  });
}
