import { hash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../ground/clock.ts';

/** `current` and `previous` may go on, the others may not. */
export type Authentication = 'current' | 'previous' | 'missing' | 'not_bearer' | 'wrong';

export interface Authenticator {
  authenticate(headers: CredentialHeaders): Authentication;
  /** Milliseconds since the epoch; null until the previous secret is used for the first time. */
  previousLastUsedAt(): number | null;
}

/** Every value of the two headers, also when one was sent more than once. */
interface CredentialHeaders {
  readonly authorization?: readonly string[] | undefined;
  readonly 'x-webhook-secret'?: readonly string[] | undefined;
}

interface AuthenticatorOptions {
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly clock: Clock;
}

/**
 * Any value that matches is enough: a proxy may add an Authorization header of its own, and that must not defeat the
 * right X-Webhook-Secret. Every value is compared with every secret, so that the time does not show which one matched.
 */
export function createAuthenticator({ secret, previousSecret, clock }: AuthenticatorOptions): Authenticator {
  const isCurrent = createComparison(secret);
  const isPrevious = previousSecret === null ? () => false : createComparison(previousSecret);
  let previousUsedAt: number | null = null;

  function authenticate({ authorization = [], 'x-webhook-secret': secrets = [] }: CredentialHeaders): Authentication {
    const tokens = authorization.flatMap((value) => /^bearer +([^ ].*)$/i.exec(value)?.[1] ?? []);
    const candidates = [...tokens, ...secrets.filter((value) => value !== '')];
    const current = candidates.filter(isCurrent);
    const previous = candidates.filter(isPrevious);
    if (current.length > 0) return 'current';
    if (previous.length > 0) {
      previousUsedAt = clock.now();
      return 'previous';
    }
    if (candidates.length > 0) return 'wrong';
    return authorization.length > 0 ? 'not_bearer' : 'missing';
  }

  return { authenticate, previousLastUsedAt: () => previousUsedAt };
}

/**
 * Compares the SHA-256 of a header's value with that of the secret in constant time, so that neither the secret nor its
 * length leaks. Node decodes headers as latin1; encoding the value as latin1 gives back the bytes that were sent, and
 * the secret is UTF-8.
 */
function createComparison(secret: string): (candidate: string) => boolean {
  const expected = digest(Buffer.from(secret, 'utf8'));
  return (candidate) => timingSafeEqual(digest(Buffer.from(candidate, 'latin1')), expected);
}

function digest(bytes: Buffer): Buffer {
  return hash('sha256', bytes, 'buffer');
}
