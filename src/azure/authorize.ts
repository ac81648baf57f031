import type { PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import type { TokenCache } from './token-cache.ts';

export type Send = (request: PipelineRequest) => Promise<PipelineResponse>;

/**
 * Sends a request with a token of the cache. A 401 makes one more try with a token from a fresh credential; whatever
 * comes then is the answer. It stands in for the SDK's bearerTokenAuthenticationPolicy, which keeps a token of its own
 * and asks for another one only upon a claims challenge. Rejects with a TokenError when no token could be had, and with
 * whatever `send` rejects with.
 */
export async function sendAuthorized(
  tokens: TokenCache,
  request: PipelineRequest,
  send: Send,
): Promise<PipelineResponse> {
  if (!request.url.startsWith('https://')) throw new TypeError('A token is only ever sent over https.');
  const first = await tokens.getToken();
  request.headers.set('Authorization', `Bearer ${first.token}`);
  const response = await send(request);
  if (response.status !== 401) return response;
  const claims = claimsOf(response.headers.get('WWW-Authenticate') ?? '');
  const fresh = await tokens.refresh({ rejected: first.token, claims });
  request.headers.set('Authorization', `Bearer ${fresh.token}`);
  return send(request);
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
