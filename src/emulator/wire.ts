import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { CutPoint } from './faults.ts';

/** An answer before it is sent. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Null: no body at all, as with 204. */
  readonly body: string | Uint8Array | null;
  /** For the record only. */
  readonly errorCode: string | null;
}

export interface ReceivedBody {
  /** Empty when it was larger than the limit. */
  readonly bytes: Buffer;
  /** What came in all. */
  readonly size: number;
}

/** Past the limit a body is read on but not kept, so that the client sees the answer; past this the rest is refused. */
const maxDiscardedBytes = 64 * 1_048_576;

export function jsonReply(
  status: number,
  body: object,
  options: { readonly headers?: Reply['headers']; readonly errorCode?: string } = {},
): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...options.headers },
    body: JSON.stringify(body),
    errorCode: options.errorCode ?? null,
  };
}

/** An error as Azure Monitor and Azure Resource Manager write it: {"error":{"code","message"}} and x-ms-error-code. */
export function azureError(status: number, code: string | null, message: string, headers = {}): Reply {
  const named = code === null ? {} : { errorCode: code, headers: { 'x-ms-error-code': code, ...headers } };
  return jsonReply(status, { error: { code, message } }, { headers, ...named });
}

/** Resolves with the body, or with what came of it up to the bound; rejects when the client goes away. */
export async function readBody(req: IncomingMessage, limitBytes: number): Promise<ReceivedBody> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= limitBytes) chunks.push(chunk);
    else chunks.length = 0;
    if (size > limitBytes + maxDiscardedBytes) break;
  }
  return { bytes: size <= limitBytes ? Buffer.concat(chunks) : Buffer.alloc(0), size };
}

export function send(res: ServerResponse, reply: Reply): void {
  // Of a body that was not read to its end the rest would be taken for the next request.
  if (!res.req.complete) res.setHeader('connection', 'close');
  const length = reply.body === null ? {} : { 'content-length': Buffer.byteLength(reply.body) };
  res.writeHead(reply.status, { ...reply.headers, ...length });
  res.end(reply.body ?? undefined);
}

/** Sends the part of an answer that comes before the cut, and resolves when it is out. */
export async function sendPart(res: ServerResponse, reply: Reply, at: CutPoint): Promise<void> {
  if (at === 'start') return;
  // A 204 has no body in which it could be cut: its headers would be the whole of it.
  const whole = reply.body === null ? { ...reply, status: 200, body: '{"message":"this answer is cut"}' } : reply;
  const bytes = Buffer.from(whole.body ?? '');
  res.writeHead(whole.status, { ...whole.headers, 'content-length': bytes.length });
  res.flushHeaders();
  if (at === 'half_body') res.write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
  if (res.writableNeedDrain) await Promise.race([once(res, 'drain'), once(res, 'close')]);
}

/**
 * The TCP connections under the TLS ones. Node gives a request only its TLS socket, and that one cannot send a TCP
 * reset; the two are matched by the client's address.
 */
export class Connections {
  readonly #open = new Map<string, Socket>();

  add(socket: Socket): void {
    const key = keyOf(socket);
    this.#open.set(key, socket);
    socket.once('close', () => {
      if (this.#open.get(key) === socket) this.#open.delete(key);
    });
  }

  reset(tlsSocket: Socket): void {
    const socket = this.#open.get(keyOf(tlsSocket));
    if (socket === undefined) tlsSocket.destroy();
    else socket.resetAndDestroy();
  }

  destroyAll(): void {
    for (const socket of this.#open.values()) socket.destroy();
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}
