import type { Request } from 'express';
import { type AugmentedRequest, ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Clients } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';
import { HttpProblem, problem } from './problem.ts';

interface FailureLimiterOptions {
  readonly clients: Clients;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface FailureLimiter {
  /**
   * Counts one failed authentication. Resolves with the problem to answer: `refusal`, or a 429 if the caller's address
   * had too many failures.
   */
  count(exchange: Exchange, refusal: HttpProblem): Promise<HttpProblem>;
}

/** Only failures are counted: a request with the right secret is never limited, whatever its address has done. */
export function createFailureLimiter({ clients, limits, clock, log }: FailureLimiterOptions): FailureLimiter {
  const { failureWindowMs: windowMs, maxFailures: limit, maxFailureAddresses: maxKeys } = limits;
  const limiter = rateLimit({
    windowMs,
    limit,
    store: new FailureStore({ clock, windowMs, maxKeys }),
    // The library's key is `request.ip` as it is; ours is always an address. An IPv6 caller is its /56, as in the library.
    keyGenerator: (request) => ipKeyGenerator(clients.clientOf(request).address ?? ''),
    legacyHeaders: false,
    standardHeaders: false,
    handler: (request, _response, next) => next(tooManyFailures(request, clock)),
    // What its validations find is a defect of ours or of the configuration. Their text may hold an address.
    logger: { error: (finding) => logFinding(log, finding), warn: (finding) => logFinding(log, finding) },
  });
  return {
    count({ request, response, record }, refusal) {
      record.clientAddress = clients.clientOf(request).address;
      return new Promise((resolve, reject) => {
        const next = (limited?: unknown): void =>
          limited === undefined || limited instanceof HttpProblem ? resolve(limited ?? refusal) : reject(limited);
        void limiter(request, response, next);
      });
    },
  };
}

function tooManyFailures(request: Request, clock: Clock): HttpProblem {
  const resetTime = (request as unknown as AugmentedRequest)['rateLimit']?.resetTime;
  const leftMs = resetTime === undefined ? 0 : resetTime.getTime() - clock.now();
  return problem('too_many_failures', { retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)) });
}

function logFinding(log: Logger, finding: unknown): void {
  const code = finding instanceof Error && 'code' in finding ? String(finding.code) : 'unknown';
  log.warn({ code }, 'express-rate-limit found something wrong with the limit on failed authentications');
}

interface Window {
  totalHits: number;
  readonly resetTime: Date;
}

/**
 * Counts in memory, by the injected clock and without a timer. All windows are equally long, so the order of the map is
 * that of their ends, and dropping from its front forgets the oldest: memory is bounded however many addresses come.
 */
export class FailureStore implements Store {
  readonly localKeys = true;
  readonly #windows = new Map<string, Window>();
  readonly #options: { readonly clock: Clock; readonly windowMs: number; readonly maxKeys: number };

  constructor(options: { clock: Clock; windowMs: number; maxKeys: number }) {
    this.#options = options;
  }

  get size(): number {
    return this.#windows.size;
  }

  increment(key: string): Window {
    const { clock, windowMs, maxKeys } = this.#options;
    const now = clock.now();
    // The clock may jump: a window whose end is further off than its length was opened before a jump back.
    const isOpen = ({ resetTime }: Window): boolean =>
      resetTime.getTime() > now && resetTime.getTime() <= now + windowMs;
    const known = this.#windows.get(key);
    if (known !== undefined && isOpen(known)) {
      known.totalHits += 1;
      return known;
    }
    this.#windows.delete(key);
    for (const [oldest, window] of this.#windows) {
      if (isOpen(window) && this.#windows.size < maxKeys) break;
      this.#windows.delete(oldest);
    }
    const window = { totalHits: 1, resetTime: new Date(now + windowMs) };
    this.#windows.set(key, window);
    return window;
  }

  /** express-rate-limit calls it only when some requests are skipped, which none is here. */
  decrement(): void {}

  resetKey(key: string): void {
    this.#windows.delete(key);
  }
}
