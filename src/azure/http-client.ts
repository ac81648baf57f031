import { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { brotliDecompress, inflateRaw, unzip } from 'node:zlib';
import {
  bearerTokenAuthenticationPolicyName,
  createDefaultHttpClient,
  type HttpClient,
  type Pipeline,
  type PipelinePolicy,
  type PipelineRequest,
  type PipelineResponse,
  proxyPolicy,
  RestError,
  redirectPolicyName,
} from '@azure/core-rest-pipeline';
import manifest from '../../package.json' with { type: 'json' };
import { type ProxyConfig, usesProxy } from '../config/proxy.ts';
import { type Clock, runWithin } from '../ground/clock.ts';
import { parseObject } from '../ground/json.ts';
import type { TokenCache } from './token-cache.ts';

/** A proxy answered CONNECT with something else than a tunnel, so that nothing reached the host. */
export class TunnelRefusedError extends Error {
  override readonly name = 'TunnelRefusedError';
  readonly answer: PipelineResponse;

  constructor(answer: PipelineResponse) {
    const proxy = proxyOf(answer.request);
    super(`the proxy${proxy === null ? '' : ` ${proxy}`} answered ${answer.status} to CONNECT`);
    this.answer = answer;
  }
}

/**
 * For every client of the SDK. They would otherwise read HTTPS_PROXY in a way of their own while they are made, which
 * fails with a bare "Invalid URL" for much of what curl takes. The proxy named here is never used: the client below
 * decides about it. Our callers retry at their own pace. The prefix of the User-Agent lets Azure's support tell our
 * calls from others of the same app.
 */
export const sdkOptions = {
  proxyOptions: { host: 'http://proxy.invalid', port: 9 },
  retryOptions: { maxRetries: 0 },
  userAgentOptions: { userAgentPrefix: `apono-sentinel/${manifest.version}` },
};

export interface HttpClientOptions {
  readonly maxBodyBytes: number;
  readonly proxy: ProxyConfig | null;
  readonly clock: Clock;
  /** How long one exchange may take until its answer is whole; the SDK's client has no limit. */
  readonly limitMs: number;
}

/**
 * The SDK's HTTP client, except that the status of an answer decides and its body cannot change that. The SDK's own
 * fails on a body that it cannot decompress: a 204 with `Content-Encoding: gzip` and no body looks like a broken
 * connection there, although the rows are stored. It does not know brotli, it sets no limit to a body, and it takes what
 * a proxy answers to CONNECT for the answer of the host.
 *
 * A body that cannot be decoded is an empty one. So is one that stops half way, unless a success needs it (then this
 * rejects, as for any broken connection). Of a body over `maxBodyBytes` only the beginning is read.
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { clock, limitMs, maxBodyBytes, proxy } = options;
  const client = createDefaultHttpClient();
  const policy = proxy === null ? null : policyOf(proxy);
  const send: HttpClient['sendRequest'] = (request) => {
    if (policy === null || !usesProxy(proxy, new URL(request.url))) return client.sendRequest(request);
    return policy.sendRequest(request, (proxied) => client.sendRequest(proxied));
  };
  return {
    sendRequest({ agent: _, ...request }) {
      const signal = request.abortSignal instanceof AbortSignal ? request.abortSignal : undefined;
      // The SDK decompresses only when it asked for that. The answers to uploads are small enough without.
      request.headers.set('Accept-Encoding', 'identity');
      const streamResponseStatusCodes = new Set([Number.POSITIVE_INFINITY]);
      return runWithin({ clock, limitMs, signal }, async (abortSignal) => {
        const sent: PipelineRequest = { ...request, abortSignal, streamResponseStatusCodes };
        return readAnswer(await send(sent), sent, maxBodyBytes);
      });
    },
  };
}

async function readAnswer(
  { status, headers, readableStreamBody: stream }: PipelineResponse,
  request: PipelineRequest,
  maxBodyBytes: number,
): Promise<PipelineResponse> {
  const bytes = await read(stream, maxBodyBytes);
  const isCut = bytes === null;
  const bodyAsText = isCut ? '' : await decode(bytes, headers.get('Content-Encoding') ?? '', maxBodyBytes);
  const answer = { status, headers, request, bodyAsText };
  if (isTunnelRefused(request, stream)) throw new TunnelRefusedError(answer);
  if (isCut && status < 400) throw new RestError('the answer stopped half way', { code: 'ECONNRESET', request });
  return answer;
}

/** The SDK's own, for its agent. It takes user and password as parts of a URL, and decodes them when it sends them. */
function policyOf({ protocol, host, port, login }: ProxyConfig): PipelinePolicy {
  const settings = {
    host: `${protocol}://${host.includes(':') ? `[${host}]` : host}`,
    port,
    ...(login !== null && { username: encodeURIComponent(login.user), password: encodeURIComponent(login.password) }),
  };
  return proxyPolicy(settings, { customNoProxyList: [] });
}

type Stream = PipelineResponse['readableStreamBody'];

/** Null: the connection ended before the body did. */
async function read(stream: Stream, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream ?? []) {
      chunks.push(Buffer.from(chunk));
      size += chunk.length;
      // This closes the connection, so that the rest need not be read.
      if (size > maxBytes) break;
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes);
}

/** Of gzip and of deflate with its header, which `unzip` tells apart. Some servers send raw deflate: RFC 9110 8.4.1.2. */
const unzipAny = (bytes: Buffer, options: { maxOutputLength: number }): Promise<Buffer> =>
  promisify(unzip)(bytes, options).catch(() => promisify(inflateRaw)(bytes, options) as Promise<Buffer>);
const unbrotli = promisify(brotliDecompress) as typeof unzipAny;

async function decode(bytes: Buffer, encoding: string, maxOutputLength: number): Promise<string> {
  const name = encoding.trim().toLowerCase();
  if (name === '' || name === 'identity') return bytes.toString('utf8');
  const decoder = name === 'br' ? unbrotli : /^(x-)?gzip$|^deflate$/.test(name) ? unzipAny : null;
  const decoded = await decoder?.(bytes, { maxOutputLength }).catch(() => null);
  return decoded?.toString('utf8') ?? '';
}

/** What answers an https request without TLS is not the host: the agent hands on what the proxy said to CONNECT. */
function isTunnelRefused({ url }: PipelineRequest, stream: Stream): boolean {
  const socket = stream !== undefined && 'socket' in stream ? stream.socket : null;
  return url.startsWith('https:') && socket !== null && !(socket instanceof TLSSocket);
}

/** `host:port` of the proxy that a request was sent through; null: none. */
export function proxyOf({ agent }: PipelineRequest): string | null {
  const proxy = agent !== undefined && 'proxy' in agent ? agent.proxy : null;
  return proxy instanceof URL ? proxy.host : null;
}

/**
 * Lets a pipeline of the SDK send with tokens of the cache alone, and no redirect take one to another host. After a 401 it
 * tries once more with a token from a fresh credential, and that answer counts. This replaces the SDK's own policy, which
 * keeps a token of its own and asks for another one only upon a claims challenge. A request rejects with a TokenError
 * when no token could be had.
 */
export function authorize(pipeline: Pipeline, tokens: TokenCache): void {
  pipeline.removePolicy({ name: bearerTokenAuthenticationPolicyName });
  pipeline.removePolicy({ name: redirectPolicyName });
  const sendRequest: PipelinePolicy['sendRequest'] = async (request, next) => {
    if (!request.url.startsWith('https://')) throw new TypeError('A token is only ever sent over https.');
    const { abortSignal } = request;
    const send = (token: string) => {
      request.headers.set('Authorization', `Bearer ${token}`);
      return next(request);
    };
    const first = await tokens.getToken(undefined, { abortSignal });
    const response = await send(first.token);
    if (response.status !== 401) return response;
    const claims = claimsOf(response.headers.get('WWW-Authenticate') ?? '');
    const fresh = await tokens.refresh({ rejected: first.token, claims, abortSignal });
    return send(fresh.token);
  };
  // The phase comes after the SDK's compression: otherwise the second try would send the body compressed twice.
  pipeline.addPolicy({ name: 'tokenCacheAuthorizationPolicy', sendRequest }, { phase: 'Sign' });
}

/** RFC 9110 11.6.1: a scheme with a parameter after it, or the claims, or a text in quotes, which holds neither. */
const challengePart =
  /(?:^|,)\s*([\w!#$%&'*+.^`|~-]+)(?=\s+[\w-]+\s*=)|(?<![\w-])claims\s*=\s*"?([\w+/=-]+)"?|"(?:[^"\\]|\\.)*"/gi;

/**
 * The decoded claims of a continuous access evaluation challenge, e.g.
 * `Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOi…"`; undefined when there is none that is JSON.
 * The header may hold several challenges (Node joins several headers with commas), in any order, of any schemes; schemes
 * and names are case-insensitive. Not every service names the error insufficient_claims: azure-core's own tests have
 * `invalid_token` too. https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
function claimsOf(header: string): string | undefined {
  let scheme = '';
  for (const [, name, encoded] of header.matchAll(challengePart)) {
    scheme = name?.toLowerCase() ?? scheme;
    if (scheme !== 'bearer' || encoded === undefined) continue;
    // Base64 with or without padding, and base64url: Node's decoder takes all of them.
    const claims = Buffer.from(encoded, 'base64').toString('utf8');
    if (parseObject(claims) !== null) return claims;
  }
  return undefined;
}
