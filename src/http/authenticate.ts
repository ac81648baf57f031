import { hash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';

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
 * X-Webhook-Secret. Hashing first gives both sides one length, which `timingSafeEqual` needs, and every value is
 * compared with every secret, so that the time tells nothing about which one matched.
 */
export function createAuthenticator({ secret, previousSecret, clock }: AuthenticatorOptions): Authenticator {
  const current = digestOf(asHeader(secret));
  const previous = previousSecret === null ? null : digestOf(asHeader(previousSecret));
  let previousUsedAt: number | null = null;

  function authenticate(headers: CredentialHeaders): Authentication {
    const authorizations = headers.authorization ?? [];
    const candidates = candidatesOf(authorizations, headers['x-webhook-secret'] ?? []);
    let isCurrent = false;
    let isPrevious = false;
    for (const candidate of candidates) {
      const digest = digestOf(candidate);
      isCurrent = timingSafeEqual(digest, current) || isCurrent;
      if (previous !== null) isPrevious = timingSafeEqual(digest, previous) || isPrevious;
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

function candidatesOf(authorizations: readonly string[], secrets: readonly string[]): string[] {
  const candidates: string[] = [];
  for (const value of authorizations) {
    const token = bearer.exec(value)?.[1];
    if (token !== undefined) candidates.push(token);
  }
  for (const value of secrets) if (value !== '') candidates.push(value);
  return candidates;
}

/** The secret is UTF-8, and Node decodes headers as latin1: so it looks in one, a character for each of its bytes. */
function asHeader(secret: string): string {
  return Buffer.from(secret, 'utf8').toString('latin1');
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
