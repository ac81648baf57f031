import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/core-auth';
import NodeCache from 'node-cache';
import { type Clock, EndedError, runWithin } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import { TokenError } from './token-error.ts';

/** A token with less than this left is not given out, since the request must still reach Azure. */
export const tokenMarginMs = 5_000;
const attemptLimitMs = 10_000;
const firstPaceMs = 5_000;
const longestPaceMs = 60_000;
/** What a timer of Node's can hold; a longer delay would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export type TokenEvent =
  | { readonly type: 'obtained'; readonly expiresAt: number; readonly background: boolean }
  | { readonly type: 'failed'; readonly error: TokenError; readonly background: boolean };

export interface TokenCacheOptions {
  /** Called for each token, since MSAL would give a cached one out of an instance that was used before. */
  readonly createCredential: () => TokenCredential;
  /** The only scope this cache serves, e.g. `https://monitor.azure.com/.default`. */
  readonly scope: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onEvent?: (event: TokenEvent) => void;
}

/** What a caller asks for beside the scope. `claims`: decoded, of a continuous access evaluation challenge. */
type Wanted = { readonly [Name in 'claims' | 'abortSignal']?: GetTokenOptions[Name] | undefined };

/** Keeps one token, in node-cache; docs/adr/0009-token-cache.md says when it asks for another. */
export class TokenCache implements TokenCredential {
  readonly #options: TokenCacheOptions;
  readonly #clock: Clock;
  /** No check period: it would be one more timer, and a read looks at the time anyway. */
  readonly #store = new NodeCache({ checkperiod: 0, useClones: false });
  readonly #closing = new AbortController();
  #flight: { readonly claims: string | undefined; readonly token: Promise<AccessToken> } | null = null;
  #refreshAt = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => {};
  #failures = 0;
  #loggedFailure: string | null = null;

  constructor(options: TokenCacheOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** When the token that is kept expires, milliseconds since the epoch; null when there is none. */
  get expiresAt(): number | null {
    return this.#store.get<AccessToken>(this.#options.scope)?.expiresOnTimestamp ?? null;
  }

  /** A token with at least 5 s left. Rejects with a TokenError, or with an EndedError when it is aborted. */
  async getToken(scopes: string | string[] = this.#options.scope, options: Wanted = {}): Promise<AccessToken> {
    const asked = [scopes].flat().join(' ');
    const { scope } = this.#options;
    if (asked !== scope) throw new TypeError(`This cache serves the scope ${scope}, asked for was ${asked}`);
    const token = options.claims === undefined ? this.#usable() : null;
    if (token === null) return this.#fetch(false, options);
    if (this.#clock.now() >= this.#refreshAt) this.#refreshInBackground();
    return token;
  }

  /**
   * A token from a fresh credential in place of `rejected`, which was answered with 401, unless another one is here
   * already. Rejects as `getToken` and keeps the old token.
   */
  async refresh({ rejected, ...options }: Wanted & { readonly rejected: string }): Promise<AccessToken> {
    const token = this.#usable();
    if (token !== null && token.token !== rejected) return token;
    return this.#fetch(false, options);
  }

  /** Ends timers and the attempt that runs. Nothing is refreshed in the background any more. */
  close(): void {
    this.#closing.abort();
    this.#cancelTimer();
    this.#refreshAt = Number.POSITIVE_INFINITY;
    this.#store.close();
  }

  #usable(): AccessToken | null {
    const token = this.#store.get<AccessToken>(this.#options.scope);
    return token !== undefined && this.#lives(token) ? token : null;
  }

  #lives(token: AccessToken): boolean {
    return token.expiresOnTimestamp - this.#clock.now() >= tokenMarginMs;
  }

  #refreshInBackground(): void {
    // A failure was reported where it happened, and nobody waits here.
    this.#fetch(true, {}).catch(() => {});
  }

  #fetch(background: boolean, { claims, abortSignal }: Wanted): Promise<AccessToken> {
    // The attempt goes on when one caller gives up, since others may wait for the same token.
    const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined;
    return runWithin({ clock: this.#clock, limitMs: null, signal }, async () => {
      // A token with claims serves those who asked for none, but not the other way round.
      while (this.#flight !== null && claims !== undefined && this.#flight.claims !== claims) {
        await this.#flight.token.catch(() => {});
      }
      this.#flight ??= { claims, token: this.#fly(background, claims) };
      return this.#flight.token;
    });
  }

  async #fly(background: boolean, claims: string | undefined): Promise<AccessToken> {
    try {
      const token = await this.#attempt(claims);
      this.#keep(token);
      this.#report({ type: 'obtained', expiresAt: token.expiresOnTimestamp, background });
      return token;
    } catch (cause) {
      const why = cause instanceof EndedError ? cause.message : 'the credential failed';
      const message = `No token for ${this.#options.scope}: ${why}`;
      const error = cause instanceof TokenError ? cause : new TokenError('token_unreachable', message);
      this.#scheduleRetry();
      this.#report({ type: 'failed', error, background });
      throw error;
    } finally {
      this.#flight = null;
    }
  }

  async #attempt(claims: string | undefined): Promise<AccessToken> {
    const { createCredential, scope } = this.#options;
    const limits = { clock: this.#clock, limitMs: attemptLimitMs, signal: this.#closing.signal };
    const asked = { enableCae: true, ...(claims === undefined ? {} : { claims }) };
    const token = await runWithin(limits, async (abortSignal) =>
      createCredential().getToken(scope, { ...asked, abortSignal }),
    );
    if (token === null) throw new TokenError('token_refused', `The credential gave no token for ${scope}.`);
    if (this.#lives(token)) return token;
    throw new TokenError(
      'token_unreachable',
      `The token has less than ${tokenMarginMs / 1000} s to live when it arrives. Check the clock of this machine.`,
    );
  }

  #keep(token: AccessToken): void {
    const now = this.#clock.now();
    const before = this.expiresAt;
    const leftMs = token.expiresOnTimestamp - now;
    this.#failures = 0;
    if (this.#closing.signal.aborted) return;
    this.#store.set(this.#options.scope, token, leftMs / 1000);
    const half = now + leftMs / 2;
    const told = token.refreshAfterTimestamp ?? half;
    // A managed identity can answer with the token we have, and its own "refresh after" in the past.
    const sooner = before !== token.expiresOnTimestamp && told > now ? Math.min(told, half) : half;
    this.#schedule(sooner);
  }

  #scheduleRetry(): void {
    const pace = Math.min(longestPaceMs, firstPaceMs * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    // Without a token the callers ask again, at their own pace.
    if (this.#usable() !== null) this.#schedule(this.#clock.now() + pace);
  }

  #schedule(at: number): void {
    this.#cancelTimer();
    if (this.#closing.signal.aborted) return;
    this.#refreshAt = at;
    const delayMs = Math.min(Math.max(0, at - this.#clock.now()), longestTimerMs);
    this.#cancelTimer = this.#clock.setTimer(delayMs, () => this.#refreshInBackground());
  }

  #report(event: TokenEvent): void {
    const { log, onEvent } = this.#options;
    onEvent?.(event);
    if (event.type === 'obtained') {
      if (this.#loggedFailure !== null) log.info({ expires_at: event.expiresAt }, 'token refreshed again');
      this.#loggedFailure = null;
      return;
    }
    const { code, aadsts, message: reason } = event.error;
    // A caller that waits gets the error. A background failure is logged once, and again when it changes.
    const failure = `${code} ${aadsts}`;
    if (!event.background || failure === this.#loggedFailure || this.#closing.signal.aborted) return;
    this.#loggedFailure = failure;
    const fields = { code, aadsts, reason, expires_at: this.expiresAt };
    log.warn(fields, 'token refresh failed, the old token is used until it expires');
  }
}
