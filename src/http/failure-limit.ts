import type { Request } from 'express';
import { type AugmentedRequest, ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Clients } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import type { EdgeLimits } from './limits.ts';
import { HttpProblem, problem } from './problem.ts';

interface Window {
  totalHits: number;
  resetTime: Date;
}

/**
 * Counts in memory, by the injected clock and without a timer. All windows are equally long, so the map's order is
 * that of their ends, and dropping from its front forgets the oldest: memory is bounded however many addresses come.
 */
export class FailureStore implements Store {
  readonly localKeys = true;
  readonly #windows = new Map<string, Window>();
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #maxKeys: number;

  constructor(options: { clock: Clock; windowMs: number; maxKeys: number }) {
    this.#clock = options.clock;
    this.#windowMs = options.windowMs;
    this.#maxKeys = options.maxKeys;
  }

  get size(): number {
    return this.#windows.size;
  }

  increment(key: string): Window {
    const now = this.#clock.now();
    const known = this.#windows.get(key);
    if (known !== undefined && this.#isOpen(known, now)) {
      known.totalHits += 1;
      return known;
    }
    this.#windows.delete(key);
    this.#makeRoom(now);
    const window = { totalHits: 1, resetTime: new Date(now + this.#windowMs) };
    this.#windows.set(key, window);
    return window;
  }

  decrement(key: string): void {
    const known = this.#windows.get(key);
    if (known !== undefined && known.totalHits > 0) known.totalHits -= 1;
  }

  resetKey(key: string): void {
    this.#windows.delete(key);
  }

  #makeRoom(now: number): void {
    for (const [key, window] of this.#windows) {
      if (this.#isOpen(window, now) && this.#windows.size < this.#maxKeys) return;
      this.#windows.delete(key);
    }
  }

  /** The clock may jump: a window whose end is further off than its length was opened before a jump back. */
  #isOpen(window: Window, now: number): boolean {
    const leftMs = window.resetTime.getTime() - now;
    return leftMs > 0 && leftMs <= this.#windowMs;
  }
}

export interface FailureLimiter {
  /**
   * Counts one failed authentication. Resolves with the problem to answer: `refusal`, or a 429 if the caller's address
   * had too many failures.
   */
  count(exchange: Exchange, refusal: HttpProblem): Promise<HttpProblem>;
}

interface FailureLimiterOptions {
  readonly clients: Clients;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Asked only about requests that failed: the right secret never meets it, whatever its address has done. */
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

function tooManyFailures(request: Request, clock: Clock): Error {
  const resetTime = (request as unknown as AugmentedRequest)['rateLimit']?.resetTime;
  const leftMs = resetTime === undefined ? 0 : resetTime.getTime() - clock.now();
  return problem('too_many_failures', { retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)) });
}

function logFinding(log: Logger, finding: unknown): void {
  const code = finding instanceof Error && 'code' in finding ? String(finding.code) : 'unknown';
  log.warn({ code }, 'express-rate-limit found something wrong with the limit on failed authentications');
}
