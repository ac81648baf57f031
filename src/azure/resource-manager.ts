import {
  createPipelineRequest,
  type HttpClient,
  type Pipeline,
  type PipelineResponse,
} from '@azure/core-rest-pipeline';
import type { ProxyConfig } from '../config/proxy.ts';
import { type Clock, systemClock } from '../ground/clock.ts';
import { errorDetailOf } from './answer.ts';
import { judgeProvider } from './arm-error.ts';
import { armPath, createArmPipeline } from './arm-pipeline.ts';
import { type DataCollectionRule, type LogTable, readDataCollectionRule, readLogTable } from './arm-resources.ts';
import { createHttpClient } from './http-client.ts';
import { cleanMessage, describeNetworkError } from './messages.ts';
import type { TokenCache } from './token-cache.ts';
import { inFull, TokenError } from './token-error.ts';

const ruleApiVersion = '2023-03-11';
const tableApiVersion = '2025-07-01';
const defaultTimeLimitMs = 15_000;

export type Lookup<T> =
  | { readonly type: 'found'; readonly value: T }
  /** 404: it does not exist, or its id names another place. */
  | { readonly type: 'not_found'; readonly message: string }
  /** Any other answer, among them 403 without the right to read. */
  | {
      readonly type: 'refused';
      readonly status: number;
      readonly code: string | null;
      readonly message: string | null;
      /** What to do about a refusal that no role changes; null for any other. */
      readonly fix: string | null;
    }
  | { readonly type: 'no_token'; readonly refused: boolean; readonly aadsts: string | null; readonly message: string }
  | { readonly type: 'unreachable'; readonly message: string };

export interface ResourceManagerOptions {
  /** https origin: that of the cloud, or AZURE_RESOURCE_MANAGER_ENDPOINT. */
  readonly origin: string;
  /** For the scope `resourceManagerScope(cloud)`. Not closed here. */
  readonly tokens: TokenCache;
  /** Default: none. */
  readonly proxy?: ProxyConfig | null;
  readonly clock?: Clock;
  /** How long one try of a request may take; default 15,000. */
  readonly timeLimitMs?: number;
}

/** Reading of Azure's own configuration. No method throws for anything Azure or the network does. */
export interface ResourceManager {
  /** `resourceId`: `/subscriptions/…/providers/Microsoft.Insights/dataCollectionRules/…`. Needs `Monitoring Reader` on it. */
  getDataCollectionRule(resourceId: string): Promise<Lookup<DataCollectionRule>>;
  /** Needs `Log Analytics Reader` on the workspace. */
  getTable(workspaceResourceId: string, tableName: string): Promise<Lookup<LogTable>>;
}

export function createResourceManager(options: ResourceManagerOptions): ResourceManager {
  const origin = new URL(options.origin).origin;
  if (!origin.startsWith('https://')) throw new TypeError(`Resource Manager must be https, is ${options.origin}`);
  const { tokens, proxy = null, clock = systemClock, timeLimitMs = defaultTimeLimitMs } = options;
  const pipeline = createArmPipeline({ tokens, clock, timeLimitMs, maxRetries: 2 });
  const way = { pipeline, httpClient: createHttpClient({ maxBodyBytes: 16_777_216, proxy }) };
  const get = <T>(path: string, apiVersion: string, read: (value: unknown) => T | null) =>
    lookUp(way, new URL(`${path}?api-version=${apiVersion}`, origin), read);
  return {
    getDataCollectionRule: (resourceId) => get(armPath(resourceId), ruleApiVersion, readDataCollectionRule),
    getTable: (workspaceResourceId, tableName) =>
      get(`${armPath(workspaceResourceId)}/tables/${encodeURIComponent(tableName)}`, tableApiVersion, readLogTable),
  };
}

interface Way {
  readonly pipeline: Pipeline;
  readonly httpClient: HttpClient;
}

async function lookUp<T>(
  { pipeline, httpClient }: Way,
  url: URL,
  read: (value: unknown) => T | null,
): Promise<Lookup<T>> {
  let response: PipelineResponse;
  try {
    const request = createPipelineRequest({ url: url.href, method: 'GET' });
    request.headers.set('Accept', 'application/json');
    response = await pipeline.sendRequest(httpClient, request);
  } catch (error) {
    if (error instanceof TokenError) {
      const { aadsts } = error;
      return { type: 'no_token', refused: error.code === 'token_refused', aadsts, message: inFull(error) };
    }
    return { type: 'unreachable', message: cleanMessage(`${url.host}: ${describeNetworkError(error)}`) };
  }
  if (response.status !== 200) return refusalOf(response, url);
  const value = parse(response.bodyAsText ?? '', read);
  if (value !== null) return { type: 'found', value };
  return {
    type: 'refused',
    status: 200,
    code: null,
    fix: null,
    message: `${url.host} answered with something else than the resource`,
  };
}

function refusalOf(response: PipelineResponse, { pathname, origin }: URL): Lookup<never> {
  const { status } = response;
  const detail = errorDetailOf(response);
  const fix = judgeProvider(detail, { resourceId: pathname, origin })?.fix ?? null;
  if (status === 404 && fix === null) return { type: 'not_found', message: detail.message ?? 'not found' };
  return { type: 'refused', status, ...detail, fix };
}

function parse<T>(body: string, read: (value: unknown) => T | null): T | null {
  try {
    return read(JSON.parse(body));
  } catch {
    return null;
  }
}
