import { hash, timingSafeEqual } from 'node:crypto';
import { type AugmentedRequest, ipKeyGenerator, rateLimit } from 'express-rate-limit';
import type { Clock } from '../ground/clock.ts';
import { problem } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { ListenerOptions } from './listener.ts';
import type { ProblemCode } from './problem-codes.ts';

/** `current` and `previous` may go on, the others may not. */
export type Authentication = 'current' | 'previous' | 'missing' | 'not_bearer' | 'wrong';

/**
 * Takes every value of the two headers, also when one was sent more than once. Any that matches is enough: a proxy may add
 * an Authorization header of its own, and that must not defeat the right X-Webhook-Secret. Every value is compared with
 * every secret, so that the time does not show which one matched. Null: there is no such secret.
 */
export function authenticate(
  { authorization = [], 'x-webhook-secret': values = [] }: NodeJS.Dict<readonly string[]>,
  secret: string | null,
  previousSecret: string | null = null,
): Authentication {
  const tokens = authorization.flatMap((value) => /^bearer +([^ ].*)$/i.exec(value)?.[1] ?? []);
  const candidates = [...tokens, ...values.filter((value) => value !== '')];
  const current = candidates.filter((candidate) => isSame(candidate, secret));
  const previous = candidates.filter((candidate) => isSame(candidate, previousSecret));
  if (current.length > 0) return 'current';
  if (previous.length > 0) return 'previous';
  if (candidates.length > 0) return 'wrong';
  return authorization.length > 0 ? 'not_bearer' : 'missing';
}

/**
 * Compares the SHA-256 of a header's value with that of the secret in constant time, so that neither the secret nor its
 * length leaks. Node decodes headers as latin1, so that encoding the value as latin1 gives back the bytes that were sent.
 */
function isSame(candidate: string, secret: string | null): boolean {
  const sent = hash('sha256', Buffer.from(candidate, 'latin1'), 'buffer');
  return secret !== null && timingSafeEqual(sent, hash('sha256', secret, 'buffer'));
}

interface JudgeOptions extends Pick<ListenerOptions, 'limits' | 'clock' | 'log' | 'clients'> {
  /** The codes of the 401. */
  readonly codes: Readonly<Record<Exclude<Authentication, 'current' | 'previous'>, ProblemCode>>;
  /** WWW-Authenticate. */
  readonly challenge: string;
}

/**
 * Throws the 401 of a failed authentication, or the 429 if the caller's address had too many of them. Only failures are
 * counted: a request with the right secret is never limited, whatever its address has done.
 */
export function createJudge(options: JudgeOptions): (exchange: Exchange, found: Authentication) => Promise<void> {
  const { codes, challenge, clients, limits, clock, log } = options;
  const { failureWindowMs: windowMs, maxFailures: limit, maxFailureAddresses: maxKeys } = limits;
  // What the library's validations find is a defect of ours or of the configuration. Their text may hold an address.
  function logFinding(finding: unknown): void {
    const code = finding instanceof Error && 'code' in finding ? String(finding.code) : 'unknown';
    log.warn({ code }, 'express-rate-limit found something wrong with the limit on failed authentications');
  }
  const limiter = rateLimit({
    windowMs,
    limit,
    store: createFailureStore({ clock, windowMs, maxKeys }),
    // The library's key is `request.ip` as it is; ours is always an address. An IPv6 caller is its /56, as in the library.
    keyGenerator: (request) => ipKeyGenerator(clients.clientOf(request).address ?? ''),
    legacyHeaders: false,
    standardHeaders: false,
    handler(request, _response, next) {
      const resetTime = (request as unknown as AugmentedRequest)['rateLimit']?.resetTime;
      const leftMs = resetTime === undefined ? 0 : resetTime.getTime() - clock.now();
      const seconds = Math.max(1, Math.ceil(leftMs / 1000));
      next(problem('too_many_failures', { headers: { 'Retry-After': String(seconds) } }));
    },
    logger: { error: logFinding, warn: logFinding },
  });
  return async ({ request, response, record }, found) => {
    record.authentication = found;
    if (found === 'current' || found === 'previous') return;
    record.clientAddress = clients.clientOf(request).address;
    await new Promise<void>((resolve, reject) => {
      void limiter(request, response, (limited?: unknown) => (limited === undefined ? resolve() : reject(limited)));
    });
    throw problem(codes[found], { headers: { 'WWW-Authenticate': challenge } });
  };
}

/**
 * Counts in memory, by the injected clock and without a timer. All windows are equally long, so the order of the map is
 * that of their ends, and dropping from its front forgets the oldest: memory is bounded however many addresses come.
 */
export function createFailureStore({ clock, windowMs, maxKeys }: { clock: Clock; windowMs: number; maxKeys: number }) {
  const windows = new Map<string, { totalHits: number; readonly resetTime: Date }>();
  return {
    localKeys: true,
    size: () => windows.size,
    increment(key: string) {
      const now = clock.now();
      // The clock may jump: a window whose end is further off than its length was opened before a jump back.
      const isOpen = ({ resetTime }: { readonly resetTime: Date }): boolean =>
        resetTime.getTime() > now && resetTime.getTime() <= now + windowMs;
      const known = windows.get(key);
      if (known !== undefined && isOpen(known)) {
        known.totalHits += 1;
        return known;
      }
      windows.delete(key);
      for (const [oldest, window] of windows) {
        if (isOpen(window) && windows.size < maxKeys) break;
        windows.delete(oldest);
      }
      const window = { totalHits: 1, resetTime: new Date(now + windowMs) };
      windows.set(key, window);
      return window;
    },
    /** express-rate-limit calls it only when some requests are skipped, and here none are. */
    decrement(): void {},
    resetKey(key: string): void {
      windows.delete(key);
    },
  };
}
