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

export type TokenCache = ReturnType<typeof createTokenCache>;

/** Keeps one token, in node-cache; docs/adr/0009-token-cache.md says when it asks for another. */
export function createTokenCache({ createCredential, scope, clock, log, onEvent }: TokenCacheOptions) {
  /** No check period: it would be one more timer, and a read looks at the time anyway. */
  const store = new NodeCache({ checkperiod: 0, useClones: false });
  const closing = new AbortController();
  let flight: { readonly claims: string | undefined; readonly token: Promise<AccessToken> } | null = null;
  let refreshAt = Number.POSITIVE_INFINITY;
  let cancelTimer = () => {};
  let paceMs = firstPaceMs;
  let loggedFailure: string | null = null;

  const expiresAt = () => store.get<AccessToken>(scope)?.expiresOnTimestamp ?? null;
  const lives = (token: AccessToken) => token.expiresOnTimestamp - clock.now() >= tokenMarginMs;

  function usable(): AccessToken | null {
    const token = store.get<AccessToken>(scope);
    return token !== undefined && lives(token) ? token : null;
  }

  function refreshInBackground(): void {
    // A failure was reported where it happened, and nobody waits here.
    obtain(true, {}).catch(() => {});
  }

  function obtain(background: boolean, { claims, abortSignal }: Wanted): Promise<AccessToken> {
    // The attempt goes on when one caller gives up, since others may wait for the same token.
    const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined;
    return runWithin({ clock, limitMs: null, signal }, async () => {
      // A token with claims serves those who asked for none, but not the other way round.
      while (flight !== null && claims !== undefined && flight.claims !== claims) {
        await flight.token.catch(() => {});
      }
      flight ??= { claims, token: fly(background, claims) };
      return flight.token;
    });
  }

  async function fly(background: boolean, claims: string | undefined): Promise<AccessToken> {
    try {
      const token = await attempt(claims);
      keep(token);
      report({ type: 'obtained', expiresAt: token.expiresOnTimestamp, background });
      return token;
    } catch (cause) {
      const why = cause instanceof EndedError ? cause.message : 'the credential failed';
      const message = `No token for ${scope}: ${why}`;
      const error = cause instanceof TokenError ? cause : new TokenError('token_unreachable', message);
      scheduleRetry();
      report({ type: 'failed', error, background });
      throw error;
    } finally {
      flight = null;
    }
  }

  async function attempt(claims: string | undefined): Promise<AccessToken> {
    const limits = { clock, limitMs: attemptLimitMs, signal: closing.signal };
    const asked = { enableCae: true, ...(claims === undefined ? {} : { claims }) };
    const token = await runWithin(limits, async (abortSignal) =>
      createCredential().getToken(scope, { ...asked, abortSignal }),
    );
    if (token === null) throw new TokenError('token_refused', `The credential gave no token for ${scope}.`);
    if (lives(token)) return token;
    throw new TokenError(
      'token_unreachable',
      `The token has less than ${tokenMarginMs / 1000} s to live when it arrives. Check the clock of this machine.`,
    );
  }

  function keep(token: AccessToken): void {
    const now = clock.now();
    const before = expiresAt();
    const leftMs = token.expiresOnTimestamp - now;
    paceMs = firstPaceMs;
    store.set(scope, token, leftMs / 1000);
    const half = now + leftMs / 2;
    const told = token.refreshAfterTimestamp ?? half;
    // A managed identity can answer with the token we have, and its own "refresh after" in the past.
    const sooner = before !== token.expiresOnTimestamp && told > now ? Math.min(told, half) : half;
    schedule(sooner);
  }

  function scheduleRetry(): void {
    // Without a token the callers ask again, at their own pace.
    if (usable() !== null) schedule(clock.now() + paceMs);
    paceMs = Math.min(longestPaceMs, paceMs * 2);
  }

  function schedule(at: number): void {
    cancelTimer();
    if (closing.signal.aborted) return;
    refreshAt = at;
    const delayMs = Math.min(Math.max(0, at - clock.now()), longestTimerMs);
    cancelTimer = clock.setTimer(delayMs, refreshInBackground);
  }

  function report(event: TokenEvent): void {
    onEvent?.(event);
    if (event.type === 'obtained') {
      if (loggedFailure !== null) log.info({ expires_at: event.expiresAt }, 'token refreshed again');
      loggedFailure = null;
      return;
    }
    const { code, aadsts, message: reason } = event.error;
    // A caller that waits gets the error. A background failure is logged once, and again when it changes.
    const failure = `${code} ${aadsts}`;
    if (!event.background || failure === loggedFailure || closing.signal.aborted) return;
    loggedFailure = failure;
    const fields = { code, aadsts, reason, expires_at: expiresAt() };
    log.warn(fields, 'token refresh failed, the old token is used until it expires');
  }

  return {
    /** When the token that is kept expires, milliseconds since the epoch; null when there is none. */
    expiresAt,

    /** A token with at least 5 s left. Rejects with a TokenError, or with an EndedError when it is aborted. */
    async getToken(scopes: string | string[] = scope, options: Wanted = {}): Promise<AccessToken> {
      const asked = [scopes].flat().join(' ');
      if (asked !== scope) throw new TypeError(`This cache serves the scope ${scope}, asked for was ${asked}`);
      const token = options.claims === undefined ? usable() : null;
      if (token === null) return obtain(false, options);
      if (clock.now() >= refreshAt) refreshInBackground();
      return token;
    },

    /**
     * A token from a fresh credential in place of `rejected`, which was answered with 401, unless another one is here
     * already. Rejects as `getToken` and keeps the old token.
     */
    async refresh({ rejected, ...options }: Wanted & { readonly rejected: string }): Promise<AccessToken> {
      const token = usable();
      return token !== null && token.token !== rejected ? token : obtain(false, options);
    },

    /** Ends timers and the attempt that runs. Nothing is refreshed in the background any more. */
    close(): void {
      closing.abort();
      cancelTimer();
      refreshAt = Number.POSITIVE_INFINITY;
    },
  };
}
