import type { IncomingMessage } from 'node:http';
import type { ProblemCodeInfo } from '../intake/quarantine-codes.ts';
import type { ReceivedAs } from '../outbox/port.ts';
import type { AppOptions } from './app.ts';
import type { Exchange } from './exchange.ts';
import { adminCodes, type EdgeCodeInfo, infoOf, type ProblemCode, problemCodes } from './problem-codes.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. */
  readonly body: unknown;
}

export type Bounds = Pick<AppOptions, 'limits' | 'clock'>;

export function jsonAnswer(status: number, body: unknown): Answer {
  return { status, contentType: 'application/json', body };
}

/** Apono shows answers to its admins: what comes of a body's content is cut to these. */
const maxDetailLength = 500;
const maxErrors = 50;

interface ProblemParts extends Pick<ProblemCodeInfo, 'status' | 'title'> {
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members beside those of RFC 9457, such as `quarantined`. */
  readonly members?: Readonly<Record<string, unknown>> | undefined;
}

/** A request that is refused. It may be thrown anywhere on the way of a request; app.ts makes the answer of it. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly parts: ProblemParts;

  constructor(detail: string, parts: ProblemParts) {
    super(detail);
    this.parts = parts;
  }
}

const codes: Readonly<Record<ProblemCode, EdgeCodeInfo>> = { ...problemCodes, ...adminCodes };

type ProblemOptions = Pick<ProblemParts, 'headers' | 'members'> & { readonly detail?: string | undefined };

/** A problem of this folder's tables. `detail` stands in place of their text; no secret or piece of the body is in it. */
export function problem(code: ProblemCode, options: ProblemOptions = {}): HttpProblem {
  const { status, title, meaning, remedy, retryAfterSeconds } = codes[code];
  const { detail = `${meaning} ${remedy}`, members } = options;
  const retry = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  return new HttpProblem(detail, { code, status, title, headers: { ...options.headers, ...retry }, members });
}

const UNKNOWN = { status: 422, title: 'The body could not be understood', remedy: 'Give the operator the request_id.' };

/** A body in quarantine. What to do is added to `detail`, for the admin to whom Apono shows the answer. */
export function quarantined({ code, detail, errors }: Omit<ReceivedAs<'quarantined'>, 'outcome'>): HttpProblem {
  const { status, title, remedy } = infoOf(code) ?? UNKNOWN;
  const shown = errors
    .slice(0, maxErrors)
    .map(({ path, message }) => ({ path: shorten(path), message: shorten(message) }));
  const members = { quarantined: true, ...(shown.length > 0 && { errors: shown }) };
  const said = `${shorten(detail, maxDetailLength - remedy.length - 2)}. ${remedy}`;
  return new HttpProblem(said, { code, status, title, members });
}

/** RFC 9457. `type` is a name, not an address: docs/errors.md is where the codes are explained. */
export function problemAnswer({ message: detail, parts }: HttpProblem, requestId: string): Answer {
  const { code, status, title, headers = {}, members } = parts;
  const type = `urn:apono-sentinel:problem:${code}`;
  const body = { type, title, status, detail, code, request_id: requestId, ...members };
  return { status, contentType: 'application/problem+json', headers, body };
}

/** The beginning of a text that may be somebody's whole justification. */
export function shorten(text: string, maxLength = maxDetailLength): string {
  if (text.length <= maxLength) return text;
  // Not through the middle of a character that takes two code units.
  return `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/**
 * Sends an answer. While the body is still coming, the whole answer is written at once, but the response is ended only
 * when the rest was drained: ending it would close the connection of a sender who asked for `Connection: close`.
 */
export function sendAnswer(exchange: Exchange, answer: Answer, bounds: Bounds): void {
  const { request, response, record } = exchange;
  if (response.headersSent || response.destroyed) return;
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  const { 'content-length': length = 0, 'transfer-encoding': transfer } = request.headers;
  // Whether a part of the body may still be on its way.
  const isOutstanding = !request.complete && (transfer !== undefined || Number(length) > 0);
  response.writeHead(answer.status, {
    'X-Request-Id': record.requestId,
    'Cache-Control': 'no-store',
    ...answer.headers,
    // More than will be drained is announced: the connection cannot be used again.
    ...(isOutstanding && Number(length) > bounds.limits.drainMaxBytes && { Connection: 'close' }),
    // JSON has no charset parameter: it is UTF-8 (RFC 8259, 11).
    'Content-Type': answer.contentType,
    'Content-Length': Buffer.byteLength(text),
  });
  if (!isOutstanding) {
    // A body that came whole but was not read to its end would keep the next request of the connection from starting.
    if (!request.readableEnded) request.resume();
    response.end(text);
    return;
  }
  // The first write takes the head along. Some clients (`got`) lose an answer if only its head came before their own
  // write failed. The `write` of a HEAD sends nothing, not even the headers.
  if (request.method === 'HEAD') response.flushHeaders();
  else response.write(text);
  void drain(request, bounds).then((isWhole) => (isWhole ? response.end() : request.socket.destroy()));
}

/**
 * Reads what still comes of a refused body and throws it away. A connection that is closed while its sender writes is
 * reset, and the sender then loses the answer that it has not read yet (RFC 9112, 9.6).
 * True: the body came to its end, and the connection can be used again. False: over the limits, close it.
 */
function drain(request: IncomingMessage, { limits, clock }: Bounds): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const cancelTimer = clock.setTimer(limits.drainMaxMs, () => resolve(false));
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.drainMaxBytes) resolve(false);
  });
  // An error is followed by `close`; without a listener it would be thrown.
  request.on('error', () => undefined);
  request.on('end', () => resolve(true)).on('close', () => resolve(false));
  request.resume();
  if (request.destroyed) resolve(false);
  return promise.finally(cancelTimer);
}
