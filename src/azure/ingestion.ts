import { AsyncLocalStorage } from 'node:async_hooks';
import {
  bearerTokenAuthenticationPolicyName,
  createHttpHeaders,
  createPipelineRequest,
  type HttpClient,
  type PipelinePolicy,
  type PipelineResponse,
  redirectPolicyName,
} from '@azure/core-rest-pipeline';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import type { CloudSettings } from '../config/config.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import type { Ingestion, UploadOptions, UploadResult } from '../delivery/ingestion.ts';
import { type Clock, systemClock } from '../ground/clock.ts';
import { answererOf, errorDetailOf } from './answer.ts';
import { sendAuthorized } from './authorize.ts';
import { createHttpClient, noProxyOfSdk, proxyOf, TunnelRefusedError } from './http-client.ts';
import { cleanMessage, describeNetworkError, textOfBody } from './messages.ts';
import { tunnelStatusIn } from './network-fixes.ts';
import { AbortedError, runWithin, TimeLimitError } from './time-limit.ts';
import type { TokenCache } from './token-cache.ts';
import { TokenError } from './token-error.ts';
import { userAgentPrefix } from './user-agent.ts';

const defaultTimeLimitMs = 30_000;
const gzipPolicyName = 'GzippingPolicy';
const authorizePolicyName = 'tokenCacheAuthorizationPolicy';

export interface IngestionOptions {
  /** https origin of the data collection rule or endpoint. */
  readonly endpoint: string;
  /** Immutable id of the rule, `dcr-…`. */
  readonly ruleId: string;
  readonly cloud: CloudSettings;
  /** For the scope `ingestionScope(cloud)`. Not closed here. */
  readonly tokens: TokenCache;
  /** Default: none. */
  readonly proxy?: ProxyConfig | null;
  readonly clock?: Clock;
  /** How long one request may take from the moment the token is there until its answer is whole; default 30,000. */
  readonly timeLimitMs?: number;
}

/** What one call of `upload` learns from the policies while the SDK runs it. */
interface Exchange {
  readonly signal: AbortSignal | undefined;
  clientRequestId: string;
  token: string;
  response: PipelineResponse | null;
  failure: unknown;
}

/**
 * The Logs Ingestion API through the SDK's client, one request a call, without the SDK's retries. See the port for what
 * it promises.
 */
export function createIngestion(options: IngestionOptions): Ingestion {
  if (!options.endpoint.startsWith('https://'))
    throw new TypeError(`The endpoint must be https, is ${options.endpoint}`);
  const exchanges = new AsyncLocalStorage<Exchange>();
  const client = createClient(options, exchanges);
  // Azure's errors have some hundred bytes; a proxy's page may be of any size.
  const httpClient = createHttpClient({ maxBodyBytes: 65_536, proxy: options.proxy });
  return {
    async upload(stream: string, rows: readonly string[], { signal }: UploadOptions = {}): Promise<UploadResult> {
      const exchange: Exchange = { signal, clientRequestId: '', token: '', response: null, failure: null };
      const error = await exchanges.run(exchange, async () => {
        try {
          await post({ client, httpClient }, options, stream, `[${rows.join(',')}]`);
          return null;
        } catch (thrown) {
          return thrown;
        }
      });
      const result = resultOf(exchange, error);
      // The token cache's timer may have been set within this context, which then lives until the next refresh.
      exchange.response = null;
      return result;
    },
  };
}

function createClient(options: IngestionOptions, exchanges: AsyncLocalStorage<Exchange>): LogsIngestionClient {
  const client = new LogsIngestionClient(options.endpoint, options.tokens, {
    audience: options.cloud.ingestionAudience,
    proxyOptions: noProxyOfSdk,
    retryOptions: { maxRetries: 0 },
    userAgentOptions: { userAgentPrefix },
  });
  const { pipeline } = client;
  pipeline.removePolicy({ name: bearerTokenAuthenticationPolicyName });
  // A redirect would take the token to another host. A 3xx is an answer like any other here.
  pipeline.removePolicy({ name: redirectPolicyName });
  pipeline.addPolicy(authorizePolicy(options, exchanges));
  // The SDK compresses behind its bearer policy, so that its second try sends the body compressed twice.
  const [gzip] = pipeline.removePolicy({ name: gzipPolicyName });
  if (gzip === undefined) throw new Error('This version of @azure/monitor-ingestion has no GzippingPolicy to move.');
  pipeline.addPolicy(gzip, { beforePolicies: [authorizePolicyName] });
  return client;
}

function authorizePolicy(options: IngestionOptions, exchanges: AsyncLocalStorage<Exchange>): PipelinePolicy {
  const { tokens, clock = systemClock, timeLimitMs = defaultTimeLimitMs } = options;
  return {
    name: authorizePolicyName,
    async sendRequest(request, next) {
      const exchange = exchanges.getStore();
      if (exchange === undefined) throw new Error('A request that does not belong to an upload.');
      exchange.clientRequestId = request.requestId;
      // Each sending has its own limit, so that getting a token (which has one, too) does not use it up. The signal is
      // not given to the SDK's upload: it can take an aborted one for a success.
      const limits = { clock, limitMs: timeLimitMs, signal: exchange.signal };
      try {
        exchange.response = await untilAborted(exchange.signal, () =>
          sendAuthorized(tokens, request, (authorized) => {
            exchange.token = authorized.headers.get('Authorization')?.slice('Bearer '.length) ?? '';
            return runWithin(limits, (ending) => {
              authorized.abortSignal = ending;
              return next(authorized);
            });
          }),
        );
        return exchange.response;
      } catch (error) {
        exchange.failure = error;
        throw error;
      }
    },
  };
}

/** For the part that waits for a token, which others may wait for as well. */
async function untilAborted<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
  if (signal === undefined) return run();
  if (signal.aborted) throw new AbortedError('Aborted before it began.');
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(new AbortedError('Aborted.'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([run(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * By the client's pipeline, not its `upload`: that takes objects, writes each out twice, divides them by a count of its
 * own into requests of which one may fail and another not, and sends nothing for an empty list.
 */
async function post(
  { client, httpClient }: { readonly client: LogsIngestionClient; readonly httpClient: HttpClient },
  options: IngestionOptions,
  stream: string,
  body: string,
) {
  const path = `/dataCollectionRules/${encodeURIComponent(options.ruleId)}/streams/${encodeURIComponent(stream)}`;
  const request = createPipelineRequest({
    // The client's own policy adds the api-version, and another compresses the body.
    url: `${options.endpoint.replace(/\/+$/, '')}${path}`,
    method: 'POST',
    body,
    headers: createHttpHeaders({
      'Content-Type': 'application/json',
      'Content-Encoding': 'gzip',
      Accept: 'application/json',
    }),
  });
  await client.pipeline.sendRequest(httpClient, request);
}

/** The policy saw the answer itself, so the SDK's errors (whose message is "undefined") are not needed for it. */
function resultOf(exchange: Exchange, thrown: unknown): UploadResult {
  const { response, failure, clientRequestId, token } = exchange;
  if (response !== null) {
    const { status, headers, request } = response;
    return {
      type: 'answered',
      status,
      by: answererOf(response),
      proxy: proxyOf(request),
      ...(status === 204 ? { code: null, message: null } : errorDetailOf(response, [token])),
      retryAfter: headers.get('Retry-After') ?? null,
      clientRequestId,
    };
  }
  if (failure instanceof TunnelRefusedError) {
    const { status, proxy } = failure;
    const text = textOfBody(failure.page);
    const message = text === null ? null : cleanMessage(text, [token]);
    return { type: 'answered', status, by: 'proxy', proxy, code: null, message, retryAfter: null, clientRequestId };
  }
  // Nothing was tried: what was passed in cannot be sent, and no answer of Azure's will change that.
  if (failure === null) throw thrown;
  if (failure instanceof TokenError) {
    const { aadsts, message: reason, said: message, isForeign } = failure;
    const refused = failure.code === 'token_refused';
    return {
      type: 'no_token',
      refused,
      blocked: isForeign || tunnelStatusIn(reason) !== null,
      aadsts,
      reason,
      message,
    };
  }
  if (failure instanceof AbortedError || failure instanceof TimeLimitError) {
    const reason = failure instanceof AbortedError ? 'aborted' : 'timeout';
    return { type: 'unanswered', reason, message: failure.message, clientRequestId };
  }
  const message = cleanMessage(describeNetworkError(failure), [token]);
  return { type: 'unanswered', reason: 'network', message, clientRequestId };
}
