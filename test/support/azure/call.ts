import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

/** A request that has been read. */
export interface Call extends CallHead {
  readonly body: ReceivedBody;
}

export interface CallHead {
  /** Which part of the emulated Azure the request is for. */
  readonly kind: 'openid' | 'token' | 'ingest' | 'other';
  readonly method: string;
  /** Decoded path segments. */
  readonly segments: readonly string[];
  /** Decoded: the SDK writes `api%2Dversion`. */
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The origin under which the client knows the emulator. */
  readonly origin: string;
  readonly clientRequestId: string | null;
}

/** `origin` is the one that the client named. A path that cannot be decoded makes a call of the kind `other`. */
export function headOf(req: IncomingMessage, origin: string): CallHead {
  const { method = '', url = '', headers } = req;
  const [path = '', query = ''] = url.split(/\?(.*)/s);
  const segments = decode(path);
  const parameters = new URLSearchParams(query);
  const id = headers['x-ms-client-request-id'] ?? headers['client-request-id'] ?? parameters.get('client-request-id');
  return {
    kind: segments === null ? 'other' : kindOf(method, segments),
    method,
    segments: segments ?? [path],
    query: parameters,
    headers,
    origin,
    clientRequestId: id?.toString().slice(0, 128) ?? null,
  };
}

function decode(path: string): string[] | null {
  try {
    return path.replace(/^\/+/, '').split('/').map(decodeURIComponent);
  } catch {
    return null;
  }
}

function kindOf(method: string, segments: readonly string[]): CallHead['kind'] {
  if (segments.length !== 4) return 'other';
  if (segments[0] === 'dataCollectionRules' && segments[2] === 'streams') return 'ingest';
  const route = `${method} ${segments.slice(1).join('/')}`;
  if (route === 'POST oauth2/v2.0/token') return 'token';
  return route === 'GET v2.0/.well-known/openid-configuration' ? 'openid' : 'other';
}

export interface ReceivedBody {
  /** Empty when it was larger than `maxCallBytes`. */
  readonly bytes: Buffer;
  /** How many bytes came in all. */
  readonly size: number;
}

/** "1 MB" in the answers of the Logs Ingestion API. The limit holds for the compressed and for the decompressed body. */
export const maxCallBytes = 1_048_576;

/** A larger body is read to its end but not kept, so that the client sees the answer. Rejects when the client goes away. */
export async function readBody(req: IncomingMessage): Promise<ReceivedBody> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxCallBytes) chunks.push(chunk);
  }
  return { bytes: size <= maxCallBytes ? Buffer.concat(chunks) : Buffer.alloc(0), size };
}

/** An answer before it is sent. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Null if the answer has no body at all, as with 204. */
  readonly body: string | Uint8Array | null;
}

export function jsonReply(status: number, body: object, headers: Reply['headers'] = {}): Reply {
  const type = { 'content-type': 'application/json; charset=utf-8' };
  return { status, headers: { ...type, ...headers }, body: JSON.stringify(body) };
}

/** An error as Azure Monitor and Azure Resource Manager write it: {"error":{"code","message"}} and x-ms-error-code. */
export function azureError(
  status: number,
  code: string | null,
  message: string,
  headers: Reply['headers'] = {},
): Reply {
  const named = code === null ? {} : { 'x-ms-error-code': code };
  return jsonReply(status, { error: { code, message } }, { ...named, ...headers });
}

export function nothingHere(): Reply {
  return azureError(404, 'NotFound', 'The emulator has nothing at this path.');
}

export function defect(error: unknown): Reply {
  return azureError(500, 'EmulatorDefect', error instanceof Error ? error.message : String(error));
}

export function send(res: ServerResponse, { status, headers, body }: Reply): void {
  const length = body === null ? {} : { 'content-length': Buffer.byteLength(body) };
  res.writeHead(status, { ...headers, ...length });
  res.end(body ?? undefined);
}
