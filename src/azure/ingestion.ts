import { createHttpHeaders, createPipelineRequest, type PipelineResponse } from '@azure/core-rest-pipeline';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import type { Answer, Ingestion, UploadResult } from '../delivery/outcome.ts';
import { EndedError, systemClock } from '../ground/clock.ts';
import { answererOf, cleanMessage, describeNetworkError, errorDetailOf } from './answer.ts';
import {
  authorize,
  createHttpClient,
  type HttpClientOptions,
  proxyOf,
  sdkOptions,
  TunnelRefusedError,
} from './http-client.ts';
import type { TokenCache } from './token-cache.ts';
import { TokenError } from './token-error.ts';

export interface IngestionOptions extends Partial<Pick<HttpClientOptions, 'proxy' | 'clock'>> {
  /** https origin of the data collection rule or endpoint. */
  readonly endpoint: string;
  readonly ruleId: string;
  /** For the scope `ingestionScope(cloud)`. Not closed here. */
  readonly tokens: TokenCache;
}

/**
 * The Logs Ingestion API, one request a call, without the SDK's retries. The request goes through the pipeline of the
 * SDK's client (api-version, gzip, request id), not through its `upload`: that takes objects, writes each out twice,
 * divides them by a count of its own into requests of which one may fail and another not, and sends nothing for an empty
 * list.
 */
export function createIngestion(options: IngestionOptions): Ingestion {
  const { endpoint, ruleId, tokens, proxy = null, clock = systemClock } = options;
  if (!endpoint.startsWith('https://')) throw new TypeError(`The endpoint must be https, is ${endpoint}`);
  const { pipeline } = new LogsIngestionClient(endpoint, tokens, sdkOptions);
  authorize(pipeline, tokens);
  // Azure's errors have some hundred bytes; a proxy's page may be of any size.
  const httpClient = createHttpClient({ maxBodyBytes: 65_536, proxy, clock, limitMs: 30_000 });
  const base = `${endpoint.replace(/\/+$/, '')}/dataCollectionRules/${encodeURIComponent(ruleId)}/streams/`;
  const json = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip', Accept: 'application/json' };
  return {
    async upload(stream, rows, signal) {
      const request = createPipelineRequest({
        url: `${base}${encodeURIComponent(stream)}`,
        method: 'POST',
        body: rows,
        headers: createHttpHeaders(json),
        ...(signal !== undefined && { abortSignal: signal }),
      });
      // The token must not come back in a message.
      const token = () => request.headers.get('Authorization')?.slice('Bearer '.length) ?? '';
      return pipeline.sendRequest(httpClient, request).then(
        (response) => answered(response, token()),
        (error: unknown) => failureOf(error, token(), request.requestId),
      );
    },
  };
}

function answered(response: PipelineResponse, token: string, by: Answer['by'] = answererOf(response)): UploadResult {
  const { status, headers, request } = response;
  return {
    type: 'answered',
    status,
    by,
    proxy: proxyOf(request),
    ...(status === 204 ? { code: null, message: null } : errorDetailOf(response, [token])),
    retryAfter: headers.get('Retry-After') ?? null,
    clientRequestId: request.requestId,
  };
}

function failureOf(error: unknown, token: string, clientRequestId: string): UploadResult {
  if (error instanceof TokenError) return { type: 'no_token', failure: error };
  if (error instanceof TunnelRefusedError) return answered(error.answer, token, 'proxy');
  if (error instanceof EndedError) {
    return { type: 'unanswered', reason: error.code, message: error.message, clientRequestId };
  }
  const message = cleanMessage(describeNetworkError(error), [token]);
  return { type: 'unanswered', reason: 'network', message, clientRequestId };
}
