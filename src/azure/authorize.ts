import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import type { Clock } from '../ground/clock.ts';
import { runWithin, untilAborted } from './time-limit.ts';
import type { TokenCache } from './token-cache.ts';

export const authorizePolicyName = 'tokenCacheAuthorizationPolicy';

export interface AuthorizeOptions {
  readonly tokens: TokenCache;
  readonly clock: Clock;
  /** For one sending, from when the token is there until the answer is whole. */
  readonly timeLimitMs: number;
}

/**
 * Sends with a token of the cache. After a 401 it tries once more with a token from a fresh credential, and that answer
 * counts. It replaces the SDK's bearerTokenAuthenticationPolicy, which keeps a token of its own and asks for another one
 * only upon a claims challenge. Rejects with a TokenError when no token could be had.
 */
export function authorizePolicy({ tokens, clock, timeLimitMs }: AuthorizeOptions): PipelinePolicy {
  return {
    name: authorizePolicyName,
    sendRequest(request, next) {
      if (!request.url.startsWith('https://')) throw new TypeError('A token is only ever sent over https.');
      const signal = request.abortSignal instanceof AbortSignal ? request.abortSignal : undefined;
      const send = (token: string) => {
        request.headers.set('Authorization', `Bearer ${token}`);
        return runWithin({ clock, limitMs: timeLimitMs, signal }, (ending) => {
          request.abortSignal = ending;
          return next(request);
        });
      };
      // The whole is ended by the signal, since others may wait for the same token.
      return untilAborted(signal, async () => {
        const first = await tokens.getToken();
        const response = await send(first.token);
        if (response.status !== 401) return response;
        const claims = claimsOf(response.headers.get('WWW-Authenticate') ?? '');
        const fresh = await tokens.refresh({ rejected: first.token, claims });
        return send(fresh.token);
      });
    },
  };
}

/**
 * The decoded claims of a continuous access evaluation challenge, e.g.
 * `Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOi…"`; undefined when there is none that is JSON.
 * The header may hold several challenges (Node joins several headers with commas), in any order, of any schemes. Not every
 * service names the error insufficient_claims: azure-core's own tests have `invalid_token` too.
 * https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
export function claimsOf(header: string): string | undefined {
  return challengesOf(header)
    .filter(({ scheme }) => scheme === 'bearer')
    .map(({ parameters }) => decodedClaims(parameters.get('claims') ?? ''))
    .find((claims) => claims !== undefined);
}

interface Challenge {
  /** In lower case, as the names of the parameters: both are case-insensitive. */
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

/** RFC 9110 11.6.1: `scheme name=value, name="value"`, and the next scheme after a comma. */
const word = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+)))?/g;

function challengesOf(header: string): readonly Challenge[] {
  const challenges: Challenge[] = [];
  // Only a parameter after it makes a word a scheme: an unquoted error_description consists of words as well.
  const parameterFollows = /\s+[\w!#$%&'*+.^`|~-]+\s*=/y;
  for (const match of header.matchAll(word)) {
    const [text, name = '', quoted, bare] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? bare;
    parameterFollows.lastIndex = match.index + text.length;
    if (value !== undefined) challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
    else if (parameterFollows.test(header)) challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
  }
  return challenges;
}

/** Base64 with or without padding, and base64url: Node's decoder takes all of them. */
function decodedClaims(encoded: string): string | undefined {
  if (!/^[\w+/=-]+$/.test(encoded)) return undefined;
  const claims = Buffer.from(encoded, 'base64').toString('utf8');
  try {
    const value: unknown = JSON.parse(claims);
    return typeof value === 'object' && value !== null ? claims : undefined;
  } catch {
    return undefined;
  }
}
