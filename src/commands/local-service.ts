import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { type Environment, readVariables } from '../config/read.ts';
import type { ConfigProblem } from '../config/variable.ts';
import { type CommandContext, exitCodes, reportProblems } from './context.ts';

/** Where the service of this configuration listens, seen from the same machine. */
export type LocalService =
  | { readonly origin: string; readonly problems: readonly [] }
  | { readonly origin: null; readonly problems: readonly ConfigProblem[] };

/** Reads HOST and PORT and nothing else, so that it works where the other variables are not set. */
export function findLocalService(env: Environment): LocalService {
  const { values, problems } = readVariables(env, ['HOST', 'PORT']);
  if (problems.length > 0) return { origin: null, problems };
  if (values.PORT === 0) {
    const message = 'is 0, so the service listens on a port that only its log tells';
    return { origin: null, problems: [{ name: 'PORT', message }] };
  }
  return { origin: localOrigin(values.HOST, values.PORT), problems: [] };
}

/** Where a client on this machine reaches a listener on `host`: a wildcard address is listened on, never connected to. */
export function localAddress(host: string): string {
  if (isIP(host) === 4 && /^0+(\.0+)*$/.test(host)) return '127.0.0.1';
  if (isIP(host) === 6 && new URL(`http://[${host}]`).hostname === '[::]') return '::1';
  return host;
}

/** Of a listener on `host`, seen from this machine. */
export function localOrigin(host: string, port: number): string {
  const address = localAddress(host);
  return `http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For the whole exchange, from the look-up of the name to the last byte. */
  readonly timeLimitMs: number;
  /** The largest answer that is read; 256 KiB unless told otherwise. */
  readonly maxAnswerBytes?: number;
}

export type HttpResult =
  | { readonly type: 'answered'; readonly status: number; readonly body: string }
  /** `reason` is for a person and holds nothing that was sent; `code` is Node's, null where there is none. */
  | { readonly type: 'failed'; readonly reason: string; readonly code: string | null };

const defaultMaxAnswerBytes = 262_144;

/**
 * One request, one connection. Redirects are not followed: the secret is for the address that was named. An agent of its
 * own, since NODE_USE_ENV_PROXY would send even a question to this machine through the proxy.
 */
export function sendHttp(url: URL, options: HttpRequest): Promise<HttpResult> {
  const { method, headers, body, timeLimitMs, maxAnswerBytes = defaultMaxAnswerBytes } = options;
  const secure = url.protocol === 'https:';
  const signal = AbortSignal.timeout(timeLimitMs);
  const requestOptions = { method, signal, headers: { connection: 'close', ...headers } };
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      const code = signal.aborted ? 'ETIMEDOUT' : codeOf(error);
      resolve({ type: 'failed', code, reason: reasonOf(error, signal, timeLimitMs) });
    };
    const answer = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maxAnswerBytes) chunks.push(chunk);
        else response.destroy(new Error(`the answer is larger than ${maxAnswerBytes} bytes`));
      });
      response.on('error', fail);
      response.on('end', () => {
        resolve({ type: 'answered', status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    };
    const request = secure
      ? httpsRequest(url, { ...requestOptions, agent: new HttpsAgent() }, answer)
      : httpRequest(url, { ...requestOptions, agent: new HttpAgent() }, answer);
    request.on('error', fail);
    request.end(body);
  });
}

function reasonOf(error: Error, signal: AbortSignal, timeLimitMs: number): string {
  if (signal.aborted) return `no answer within ${timeLimitMs / 1000} s`;
  // A name with several addresses fails with an AggregateError whose message is empty.
  return error.message || codeOf(error) || 'the connection failed';
}

function codeOf(error: Error): string | null {
  return 'code' in error && typeof error.code === 'string' ? error.code : null;
}

const timeLimitMs = 3000;

/**
 * The image's HEALTHCHECK: 0 while the service on HOST and PORT is alive. It asks /livez and not /readyz, because what an
 * orchestrator does to an unhealthy container, a restart, helps neither a full outbox nor one that Azure holds up.
 */
export async function healthcheck(context: CommandContext): Promise<number> {
  const service = findLocalService(context.env);
  if (service.origin === null) {
    reportProblems(context.stderr, service.problems);
    return exitCodes.usage;
  }
  const url = new URL('/livez', service.origin);
  const result = await sendHttp(url, { method: 'GET', timeLimitMs });
  if (result.type === 'answered' && result.status === 200) {
    context.stdout.write('alive\n');
    return exitCodes.done;
  }
  const what = result.type === 'answered' ? `answered ${result.status}` : result.reason;
  context.stderr.write(`not alive: GET ${url.href}: ${what}\n`);
  return exitCodes.failed;
}
