import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../ground/clock.ts';

/** `current` and `previous` may go on, the others may not. */
export type Authentication = 'current' | 'previous' | 'missing' | 'not_bearer' | 'wrong';

export interface Authenticator {
  /** Every value of the two headers, also where one was sent more than once. */
  authenticate(headers: CredentialHeaders): Authentication;
  /** Milliseconds since the epoch; null as long as the previous secret was not used. */
  previousLastUsedAt(): number | null;
}

export interface CredentialHeaders {
  readonly authorization?: readonly string[];
  readonly 'x-webhook-secret'?: readonly string[];
}

interface AuthenticatorOptions {
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly clock: Clock;
}

const bearer = /^bearer +([^ ].*)$/i;

/**
 * Any value that matches wins: a proxy may add an Authorization header of its own, and it must not defeat the right
 * X-Webhook-Secret. Every value is compared with every secret, so that the time tells nothing about which one matched.
 */
export function createAuthenticator({ secret, previousSecret, clock }: AuthenticatorOptions): Authenticator {
  const isCurrentSecret = createComparison(secret);
  const isPreviousSecret = previousSecret === null ? () => false : createComparison(previousSecret);
  let previousUsedAt: number | null = null;

  function authenticate(headers: CredentialHeaders): Authentication {
    const authorizations = headers.authorization ?? [];
    const candidates = candidatesOf(authorizations, headers['x-webhook-secret'] ?? []);
    let isCurrent = false;
    let isPrevious = false;
    for (const candidate of candidates) {
      isCurrent = isCurrentSecret(candidate) || isCurrent;
      isPrevious = isPreviousSecret(candidate) || isPrevious;
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

/**
 * Compares a header's value with a secret in a time that tells nothing of the secret, its length neither: both sides
 * are padded to one length, which `timingSafeEqual` needs, and end in their own. Hashing both would do that too, and
 * costs ten times as much. Node decodes headers as latin1: that gives back the bytes that were sent, and the secret is
 * UTF-8.
 */
function createComparison(secret: string): (candidate: string) => boolean {
  const bytes = Buffer.from(secret, 'utf8');
  const size = 256 * Math.ceil(bytes.length / 256);
  const expected = Buffer.alloc(size + 4);
  bytes.copy(expected);
  expected.writeUInt32LE(bytes.length, size);
  const given = Buffer.alloc(size + 4);
  return (candidate) => {
    given.fill(0);
    given.write(candidate, 0, size, 'latin1');
    given.writeUInt32LE(candidate.length, size);
    return timingSafeEqual(given, expected);
  };
}

function candidatesOf(authorizations: readonly string[], secrets: readonly string[]): string[] {
  const candidates: string[] = [];
  for (const value of authorizations) {
    const token = bearer.exec(value)?.[1];
    if (token !== undefined) candidates.push(token);
  }
  for (const value of secrets) if (value !== '') candidates.push(value);
  return candidates;
}
