import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { type Environment, readVariables } from '../config/read.ts';

/**
 * The URL of a path of the service of this configuration, seen from the same machine; null when there are problems. Reads
 * HOST and PORT and nothing else, so that it works where the other variables are not set.
 */
export function findLocalService(env: Environment, path: string) {
  const { values, problems } = readVariables(env, ['HOST', 'PORT']);
  if (problems.length > 0) return { url: null, problems };
  const message = 'is 0, so the service listens on a port that only its log tells';
  if (values.PORT === 0) return { url: null, problems: [{ name: 'PORT', message }] };
  return { url: new URL(path, localOrigin(values.HOST, values.PORT)), problems };
}

/** Where a client on this machine reaches a listener on `host`: a wildcard address is listened on, never connected to. */
export function localAddress(host: string): string {
  if (isIP(host) === 4 && /^0+(\.0+)*$/.test(host)) return '127.0.0.1';
  if (isIP(host) === 6 && new URL(`http://[${host}]`).hostname === '[::]') return '::1';
  return host;
}

export function localOrigin(host: string, port: number): string {
  const address = localAddress(host);
  return `http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}

interface HttpRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** The request is a POST if it has a body, otherwise a GET. */
  readonly body?: string | undefined;
  /** For the whole exchange, from the look-up of the name to the last byte. */
  readonly timeLimitMs: number;
  /** The largest answer that is read; 256 KiB unless told otherwise. */
  readonly maxAnswerBytes?: number;
}

type HttpResult =
  | { readonly type: 'answered'; readonly status: number; readonly body: string }
  /** `reason` is for a person and holds nothing that was sent; `code` is Node's, null where there is none. */
  | { readonly type: 'failed'; readonly reason: string; readonly code: string | null };

/**
 * One request, one connection. Redirects are not followed: the secret is for the address that was named. Without Node's
 * own agent, since NODE_USE_ENV_PROXY would send even a question to this machine through the proxy.
 */
export async function sendHttp(url: URL, options: HttpRequest): Promise<HttpResult> {
  const { headers, body, timeLimitMs, maxAnswerBytes = 262_144 } = options;
  const method = body === undefined ? 'GET' : 'POST';
  const signal = AbortSignal.timeout(timeLimitMs);
  const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const request = start(url, { method, signal, agent: false, headers: { connection: 'close', ...headers } });
  // An error after the head of the answer comes out of reading its body.
  request.on('error', () => {});
  try {
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response) {
      size += chunk.length;
      if (size > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
      chunks.push(chunk);
    }
    return { type: 'answered', status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    const late = `no answer within ${timeLimitMs / 1000} s`;
    if (signal.aborted) return { type: 'failed', code: 'ETIMEDOUT', reason: late };
    // A name with several addresses fails with an AggregateError whose message is empty.
    const { message, code = null } = error as NodeJS.ErrnoException;
    return { type: 'failed', code, reason: message || code || 'the connection failed' };
  }
}
