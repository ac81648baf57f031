import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';

/** `current` and `previous` may go on, the others may not. */
export type Authentication = 'current' | 'previous' | 'missing' | 'not_bearer' | 'wrong';

export interface Authenticator {
  /** `headers` are `request.headersDistinct`: every value of a header that was sent more than once. */
  authenticate(headers: NodeJS.Dict<string[]>): Authentication;
  /** Milliseconds since the epoch; null as long as the previous secret was not used. */
  previousLastUsedAt(): number | null;
}

interface AuthenticatorOptions {
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly clock: Clock;
}

const bearer = /^bearer +([^ ].*)$/i;

/**
 * Any value that matches wins: a proxy may add an Authorization header of its own, and it must not defeat the right
 * X-Webhook-Secret. Hashing first gives both sides one length, which `timingSafeEqual` needs, and every value is
 * compared with every secret, so that the time tells nothing about which one matched.
 */
export function createAuthenticator({ secret, previousSecret, clock }: AuthenticatorOptions): Authenticator {
  const current = sha256(Buffer.from(secret, 'utf8'));
  const previous = previousSecret === null ? null : sha256(Buffer.from(previousSecret, 'utf8'));
  let previousUsedAt: number | null = null;

  function authenticate(headers: NodeJS.Dict<string[]>): Authentication {
    const authorizations = headers['authorization'] ?? [];
    const candidates = candidatesOf(authorizations, headers['x-webhook-secret'] ?? []);
    let isCurrent = false;
    let isPrevious = false;
    for (const candidate of candidates) {
      const hash = sha256(candidate);
      isCurrent = timingSafeEqual(hash, current) || isCurrent;
      if (previous !== null) isPrevious = timingSafeEqual(hash, previous) || isPrevious;
    }
    if (isCurrent) return 'current';
    if (isPrevious) {
      previousUsedAt = clock.now();
      return 'previous';
    }
    if (candidates.length > 0) return 'wrong';
    return authorizations.length > 0 ? 'not_bearer' : 'missing';
  }

  return { authenticate, previousLastUsedAt: () => previousUsedAt };
}

/** Node decodes headers as latin1; this gives back the bytes that were sent, and the secret is UTF-8. */
function candidatesOf(authorizations: readonly string[], secrets: readonly string[]): Buffer[] {
  const tokens = authorizations.map((value) => bearer.exec(value)?.[1] ?? '');
  return [...tokens, ...secrets].filter((value) => value !== '').map((value) => Buffer.from(value, 'latin1'));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
