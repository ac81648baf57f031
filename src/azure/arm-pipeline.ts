import {
  createPipelineFromOptions,
  type Pipeline,
  type PipelinePolicy,
  redirectPolicyName,
} from '@azure/core-rest-pipeline';
import type { Clock } from '../ground/clock.ts';
import { sendAuthorized } from './authorize.ts';
import { noProxyOfSdk } from './http-client.ts';
import { runWithin } from './time-limit.ts';
import type { TokenCache } from './token-cache.ts';
import { userAgentPrefix } from './user-agent.ts';

export interface ArmPipelineOptions {
  /** For the scope `resourceManagerScope(cloud)`. */
  readonly tokens: TokenCache;
  readonly clock: Clock;
  /** How long one sending may take from the moment the token is there until its answer is whole. */
  readonly timeLimitMs: number;
  /** Of the SDK's own policy, which waits for as long as a Retry-After says. 0: who sends tries again by himself. */
  readonly maxRetries: number;
}

/**
 * The SDK's pipeline (TLS, decompression, request id) with tokens of our cache, for Azure Resource Manager. What it sends
 * goes through a client of `createHttpClient`, which decides about the proxy.
 */
export function createArmPipeline({ tokens, clock, timeLimitMs, maxRetries }: ArmPipelineOptions): Pipeline {
  const pipeline = createPipelineFromOptions({
    proxyOptions: noProxyOfSdk,
    retryOptions: { maxRetries, retryDelayInMs: 500, maxRetryDelayInMs: 2_000 },
    userAgentOptions: { userAgentPrefix },
  });
  // A redirect would take the token to another host.
  pipeline.removePolicy({ name: redirectPolicyName });
  const authorize: PipelinePolicy = {
    name: 'tokenCacheAuthorizationPolicy',
    sendRequest(request, next) {
      const signal = request.abortSignal instanceof AbortSignal ? request.abortSignal : undefined;
      return sendAuthorized(tokens, request, (authorized) =>
        runWithin({ clock, limitMs: timeLimitMs, signal }, (ending) => {
          authorized.abortSignal = ending;
          return next(authorized);
        }),
      );
    },
  };
  pipeline.addPolicy(authorize, { phase: 'Sign' });
  return pipeline;
}

/** The path of a resource id, each segment encoded, so that an id cannot become another host or query. */
export function armPath(resourceId: string): string {
  const segments = resourceId.split('/').filter((segment) => segment !== '' && segment !== '.' && segment !== '..');
  return `/${segments.map(encodeURIComponent).join('/')}`;
}
