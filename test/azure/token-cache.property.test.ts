import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createTokenCache, tokenMarginMs } from '../../src/azure/token-cache.ts';
import { TokenError } from '../../src/azure/token-error.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { logLines } from './support.ts';

interface Behaviour {
  readonly type: 'token' | 'failure' | 'hang';
  readonly lifetimeMs: number;
  readonly delayMs: number;
  /** Of `refresh_in`; null: not said. */
  readonly refreshAfterMs: number | null;
}

type Step =
  | { readonly type: 'call' }
  | { readonly type: 'rejected' }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'jump'; readonly ms: number }
  | { readonly type: 'entra'; readonly behaviour: Behaviour };

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  type: fc.constantFrom('token', 'token', 'failure', 'hang'),
  lifetimeMs: fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 90_000_000 })),
  delayMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 15_000 })),
  refreshAfterMs: fc.option(fc.integer({ min: -10_000, max: 3_600_000 })),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ type: 'call' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ type: 'rejected' }) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 4_000_000 }).map((ms): Step => ({ type: 'advance', ms })) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 12_000 }).map((ms): Step => ({ type: 'advance', ms })) },
  { weight: 1, arbitrary: fc.integer({ min: -4_000_000, max: 4_000_000 }).map((ms): Step => ({ type: 'jump', ms })) },
  { weight: 2, arbitrary: behaviour.map((next): Step => ({ type: 'entra', behaviour: next })) },
);

/** Entra's side, on the test's clock. */
function scriptedEntra(clock: ManualClock) {
  const state = { behaviour: undefined as Behaviour | undefined, running: 0, mostRunning: 0, issued: 0 };
  return {
    state,
    createCredential: () => ({
      getToken: async (_scopes: string | string[], options: { abortSignal?: unknown } = {}) => {
        const { type, lifetimeMs, delayMs, refreshAfterMs } = state.behaviour ?? assert.fail('no behaviour');
        state.running += 1;
        state.mostRunning = Math.max(state.mostRunning, state.running);
        const { promise, resolve } = Promise.withResolvers<void>();
        const signal = options.abortSignal;
        assert.ok(signal instanceof AbortSignal);
        signal.addEventListener('abort', () => resolve());
        if (type !== 'hang') clock.setTimer(delayMs, resolve);
        await promise;
        state.running -= 1;
        if (type === 'failure') throw new Error('scripted failure');
        state.issued += 1;
        const now = clock.now();
        return {
          token: `token-${state.issued}`,
          expiresOnTimestamp: now + lifetimeMs,
          ...(refreshAfterMs === null ? {} : { refreshAfterTimestamp: now + refreshAfterMs }),
        };
      },
    }),
  };
}

async function run(first: Behaviour, steps: readonly Step[]): Promise<void> {
  const clock = manualClock();
  const entra = scriptedEntra(clock);
  entra.state.behaviour = first;
  const { log } = logLines();
  const tokens = createTokenCache({ createCredential: entra.createCredential, scope: 'scope', clock, log });
  let last = '';
  let waiting = 0;
  const given = (promise: Promise<{ token: string; expiresOnTimestamp: number }>) => {
    waiting += 1;
    return promise.then(
      (token) => {
        waiting -= 1;
        last = token.token;
        assert.ok(
          token.expiresOnTimestamp - clock.now() >= tokenMarginMs,
          'a token with less than 5 s left was given out',
        );
      },
      (error: unknown) => {
        waiting -= 1;
        assert.ok(error instanceof TokenError, `${error}`);
      },
    );
  };
  const calls: Promise<void>[] = [];
  try {
    for (const one of steps) {
      if (one.type === 'call') {
        const before = waiting;
        const alive = (tokens.expiresAt() ?? 0) - clock.now() >= tokenMarginMs;
        calls.push(given(tokens.getToken()));
        await setImmediate();
        if (alive) assert.ok(waiting <= before, 'a call had to wait though the old token lives');
      } else if (one.type === 'rejected') calls.push(given(tokens.refresh({ rejected: last })));
      else if (one.type === 'advance') clock.advance(one.ms);
      else if (one.type === 'jump') clock.set(clock.now() + one.ms);
      else entra.state.behaviour = one.behaviour;
      await setImmediate();
    }
    assert.ok(entra.state.mostRunning <= 1, `${entra.state.mostRunning} attempts ran at once`);
  } finally {
    tokens.close();
  }
  await Promise.all(calls);
}

test('whatever Entra and the clock do, no token with less than 5 s left is given out, and one attempt runs at a time', async () => {
  await fc.assert(fc.asyncProperty(behaviour, fc.array(step, { minLength: 1, maxLength: 40 }), run), {
    numRuns: 300,
    endOnFailure: false,
  });
});
