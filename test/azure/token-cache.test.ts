import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenError } from '../../src/azure/token-error.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';
import { countOf, testTokens } from './support.ts';

const minute = 60_000;
/** Of a token of an hour, with what rounding to seconds can add; less than the 10 s of an attempt. */
const halfLife = 30 * minute + 2_000;

function isTokenError(code: TokenError['code'], aadsts: string | null = null): (error: unknown) => boolean {
  return (error) => error instanceof TokenError && error.code === code && error.aadsts === aadsts;
}

test('ten cold callers make one token request and get the same token', async (t) => {
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator);
  const given = await Promise.all(Array.from({ length: 10 }, () => tokens.getToken()));
  assert.equal(countOf(emulator, 'token'), 1);
  assert.equal(new Set(given.map(({ token }) => token)).size, 1);
  const request = emulator.requests.find(({ kind }) => kind === 'token');
  assert.match(request?.claims ?? '', /cp1/, 'continuous access evaluation is announced');
  assert.ok((tokens.expiresAt() ?? 0) > Date.now() + 50 * minute);
});

test('a token is asked for once until half of its life is over', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator, { clock });
  await tokens.getToken();
  clock.advance(29 * minute);
  await tokens.getToken();
  assert.equal(countOf(emulator, 'token'), 1);
});

test('after half of its life a new token comes in the background, also when nobody asks for one', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens, events } = testTokens(t, emulator, { clock });
  const first = await tokens.getToken();
  clock.advance(halfLife);
  await eventually(() => events.length === 2);
  const second = await tokens.getToken();
  assert.notEqual(second.token, first.token);
  assert.deepEqual(
    events.map((event) => [event.type, event.background]),
    [
      ['obtained', false],
      ['obtained', true],
    ],
  );
});

test('after a jump of the clock the old token is given while the new one is on its way', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator, { clock });
  const first = await tokens.getToken();
  emulator.plan({ target: 'token', answer: { type: 'hang' } });
  clock.set(clock.now() + 45 * minute);
  for (let call = 0; call < 5; call += 1) assert.equal((await tokens.getToken()).token, first.token);
  await emulator.waitFor((azure) => countOf(azure, 'token') === 2);
  assert.equal((await tokens.getToken()).token, first.token);
});

test('Entra can ask for a refresh earlier than half of the life', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t, { refreshInSeconds: 600 });
  const { tokens, events } = testTokens(t, emulator, { clock });
  await tokens.getToken();
  clock.advance(10 * minute + 2_000);
  await eventually(() => events.length === 2);
  assert.equal(countOf(emulator, 'token'), 2);
});

test('while Entra hangs the old token is given at once, until 5 s before it expires', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens, lines } = testTokens(t, emulator, { clock });
  const first = await tokens.getToken();
  emulator.plan({ target: 'token', answer: { type: 'hang' }, times: 'forever' });
  clock.advance(halfLife);
  await emulator.waitFor((azure) => countOf(azure, 'token') === 2);
  // The attempt hangs at this moment, and nobody waits for it.
  assert.equal((await tokens.getToken()).token, first.token);

  clock.set(first.expiresOnTimestamp - 5_000);
  assert.equal((await tokens.getToken()).token, first.token);
  clock.set(first.expiresOnTimestamp - 4_999);
  const late = assert.rejects(tokens.getToken(), isTokenError('token_unreachable'));
  clock.advance(10_000);
  await late;
  assert.equal(lines.filter((line) => line.includes('refresh failed')).length, 1);
});

test('while Entra fails the old token is given, and Entra is asked at a pace, not at each call', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens, events, lines } = testTokens(t, emulator, { clock });
  const first = await tokens.getToken();
  emulator.plan({ target: 'token', answer: { type: 'status', status: 503, body: '<h1>busy</h1>' }, times: 4 });
  clock.advance(halfLife);
  for (const [failures, paceMs] of [
    [1, 5_000],
    [2, 10_000],
    [3, 20_000],
    [4, 40_000],
  ] as const) {
    await eventually(() => events.length === 1 + failures);
    for (let call = 0; call < 20; call += 1) assert.equal((await tokens.getToken()).token, first.token);
    clock.advance(paceMs - 1);
    await tokens.getToken();
    assert.equal(countOf(emulator, 'token'), 1 + failures, `one try, then none for ${paceMs} ms`);
    clock.advance(1);
  }
  await eventually(() => events.at(-1)?.type === 'obtained');
  assert.notEqual((await tokens.getToken()).token, first.token);
  assert.equal(lines.filter((line) => line.includes('refresh failed')).length, 1, 'told once');
  assert.equal(lines.filter((line) => line.includes('refreshed again')).length, 1);
});

test('a background failure is told again when its reason changes', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens, events, lines } = testTokens(t, emulator, { clock });
  await tokens.getToken();
  emulator.plan({ target: 'token', answer: { type: 'status', status: 500 } });
  clock.advance(halfLife);
  await eventually(() => events.length === 2);
  emulator.setClientSecretExpired(true);
  clock.advance(5_000);
  await eventually(() => events.length === 3);
  const told = lines.filter((line) => line.includes('refresh failed'));
  assert.equal(told.length, 2);
  assert.match(told[1] ?? '', /AADSTS7000222/);
  assert.ok(lines.every((line) => !line.includes(emulator.clientSecret)));
});

test('a cold start against a hung Entra ends after 10 s, and the next caller tries anew', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator, { clock });
  emulator.plan({ target: 'openid', answer: { type: 'hang' } });
  const waiting = assert.rejects(tokens.getToken(), isTokenError('token_unreachable'));
  await emulator.waitFor((azure) => countOf(azure, 'openid') === 1);
  clock.advance(9_999);
  clock.advance(1);
  await waiting;
  assert.equal(tokens.expiresAt(), null);
  assert.ok((await tokens.getToken()).token);
});

test('a rejected token is replaced by one of a fresh credential, once for all who saw it rejected', async (t) => {
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator);
  const { token: rejected } = await tokens.getToken();
  const fresh = await Promise.all(Array.from({ length: 5 }, () => tokens.refresh({ rejected })));
  assert.equal(countOf(emulator, 'token'), 2);
  assert.ok(fresh.every(({ token }) => token !== rejected && token === fresh[0]?.token));
  assert.equal(
    (await tokens.refresh({ rejected })).token,
    fresh[0]?.token,
    'who comes later gets the one that is here',
  );
  assert.equal(countOf(emulator, 'token'), 2);
});

test('claims of a challenge reach Entra, and a flight without them does not stand in for one with them', async (t) => {
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator);
  const claims = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}';
  const [plain, challenged] = await Promise.all([tokens.getToken(), tokens.getToken(undefined, { claims })]);
  assert.notEqual(plain.token, challenged.token);
  const asked = emulator.requests.filter(({ kind }) => kind === 'token').map((request) => request.claims ?? '');
  assert.equal(asked.length, 2);
  assert.doesNotMatch(asked[0] ?? '', /1604106651/);
  assert.match(asked[1] ?? '', /1604106651.*cp1|cp1.*1604106651/);
});

test('a refresh that fails keeps the old token', async (t) => {
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator);
  const first = await tokens.getToken();
  emulator.setClientSecretExpired(true);
  await assert.rejects(tokens.refresh({ rejected: first.token }), isTokenError('token_refused', 'AADSTS7000222'));
  assert.equal((await tokens.getToken()).token, first.token);
});

test('a token that is nearly dead on arrival is not given out', async (t) => {
  const emulator = await startTestEmulator(t, { tokenLifetimeSeconds: 4 });
  const { tokens } = testTokens(t, emulator);
  await assert.rejects(tokens.getToken(), isTokenError('token_unreachable'));
  assert.equal(countOf(emulator, 'token'), 1);
});

test('closing ends the attempt that runs and every timer', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator, { clock });
  await tokens.getToken();
  emulator.plan({ target: 'token', answer: { type: 'hang' } });
  const waiting = assert.rejects(tokens.refresh({ rejected: (await tokens.getToken()).token }), TokenError);
  await emulator.waitFor((azure) => countOf(azure, 'token') === 2);
  tokens.close();
  await waiting;
  clock.advance(60 * minute);
  await emulator.waitFor((azure) => azure.requests.every(({ outcome }) => outcome !== 'pending'));
  assert.equal(countOf(emulator, 'token'), 2);
});

test('another scope than its own is a mistake of the caller', async (t) => {
  const emulator = await startTestEmulator(t);
  const { tokens } = testTokens(t, emulator);
  await assert.rejects(tokens.getToken('https://management.azure.com/.default'), TypeError);
});
