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
 * https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
export function claimsOf(challenge: string): string | undefined {
  if (!/\berror="?insufficient_claims"?/i.test(challenge)) return undefined;
  const encoded = /\bclaims="([\w+/=-]+)"/i.exec(challenge)?.[1];
  if (encoded === undefined) return undefined;
  const claims = Buffer.from(encoded, 'base64').toString('utf8');
  try {
    JSON.parse(claims);
    return claims;
  } catch {
    return undefined;
  }
}
