import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailureStore } from '../../src/http/failure-limit.ts';
import { manualClock } from '../support/manual-clock.ts';
import { assertProblem, bearer, type Edge, post, type Reply, send, withEdge } from './edge.ts';

async function fail(port: number, times: number, headers: Record<string, string> = {}): Promise<Reply | undefined> {
  let last: Reply | undefined;
  for (let count = 0; count < times; count += 1) last = await send(port, { headers });
  return last;
}

test('the 101st failure within a minute is 429, while the right secret from there is taken', async () => {
  const clock = manualClock();
  await withEdge({ clock }, async ({ port, records }) => {
    await fail(port, 100);
    assert.deepEqual([...new Set(records.map(({ status }) => status))], [401]);
    clock.advance(20_000);
    const limited = await fail(port, 1);
    assertProblem(limited as Reply, 429, 'too_many_failures');
    assert.equal(limited?.headers['retry-after'], '40');
    assert.equal((await post(port, '{}')).status, 200);
    assert.equal((await fail(port, 1))?.status, 429);
    clock.advance(40_000);
    assert.equal((await fail(port, 1))?.status, 401, 'a minute after the first failure');
  });
});

test('a right secret does not count, nor does what other paths and methods answer', async () => {
  await withEdge({ limits: { maxFailures: 2 } }, async ({ port }) => {
    for (let count = 0; count < 5; count += 1) {
      await post(port, '{}');
      await send(port, { path: '/nowhere' });
      await send(port, { method: 'GET' });
    }
    assert.equal((await fail(port, 2))?.status, 401);
    assert.equal((await fail(port, 1))?.status, 429);
  });
});

async function limitsSeparately(edge: Edge, one: Record<string, string>, other: Record<string, string>): Promise<void> {
  assert.equal((await fail(edge.port, 2, one))?.status, 401);
  assert.equal((await fail(edge.port, 1, one))?.status, 429);
  assert.equal((await fail(edge.port, 1, other))?.status, 401);
}

test('callers behind a trusted proxy are limited each for itself', async () => {
  await withEdge({ limits: { maxFailures: 2 } }, async (edge) => {
    await limitsSeparately(edge, { 'x-forwarded-for': '198.51.100.7' }, { 'x-forwarded-for': '198.51.100.8' });
  });
});

test('an address with a port is the address', async () => {
  await withEdge({ limits: { maxFailures: 2 } }, async ({ port, records }) => {
    assert.equal((await fail(port, 1, { 'x-forwarded-for': '198.51.100.7:1024' }))?.status, 401);
    assert.equal((await fail(port, 1, { 'x-forwarded-for': '198.51.100.7:1025' }))?.status, 401);
    assert.equal((await fail(port, 1, { 'x-forwarded-for': '198.51.100.7' }))?.status, 429);
    assert.equal((await fail(port, 1, { 'x-forwarded-for': '[2001:db8::7]:1026' }))?.status, 401);
    assert.equal(records.at(-1)?.clientAddress, '2001:db8::7');
  });
});

for (const [trust, trustProxy] of [
  ['loopback', ['loopback']],
  ['one hop', 1],
] as const) {
  test(`X-Forwarded-For cannot be forged past a proxy (${trust})`, async () => {
    await withEdge({ limits: { maxFailures: 2 }, webhook: { trustProxy } }, async ({ port, records }) => {
      // What the caller made up stands left of the address that the proxy saw and wrote.
      for (const made of ['1.1.1.1', '2.2.2.2', '3.3.3.3'])
        await fail(port, 1, { 'x-forwarded-for': `${made}, 198.51.100.7` });
      assert.deepEqual(
        records.map(({ status }) => status),
        [401, 401, 429],
      );
      assert.deepEqual([...new Set(records.map(({ clientAddress }) => clientAddress))], ['198.51.100.7']);
    });
  });
}

test('X-Forwarded-For from an address that is not trusted is not believed, and the operator is told once', async () => {
  await withEdge({ limits: { maxFailures: 2 }, webhook: { trustProxy: ['10.0.0.0/8'] } }, async ({ port, logs }) => {
    for (const made of ['1.1.1.1', '2.2.2.2']) await fail(port, 1, { 'x-forwarded-for': made });
    assert.equal((await fail(port, 1, { 'x-forwarded-for': '3.3.3.3' }))?.status, 429);
    const warnings = (): number => logs().filter(({ code }) => code === 'unknown_proxy').length;
    assert.equal(warnings(), 0, 'nobody without the secret can raise it');
    for (let count = 0; count < 3; count += 1)
      await send(port, { headers: { ...bearer, 'x-forwarded-for': '4.4.4.4' } });
    assert.equal(warnings(), 1);
  });
});

test('express-rate-limit finds nothing wrong with how it is used', async () => {
  await withEdge({ limits: { maxFailures: 2 } }, async ({ port, logText }) => {
    await fail(port, 4, { 'x-forwarded-for': 'not an address', forwarded: 'for=1.2.3.4' });
    assert.doesNotMatch(logText(), /ERR_ERL|express-rate-limit/);
  });
});

test('ALLOWED_CIDRS: another address is 403, with the right secret too', async () => {
  const allowedCidrs = ['198.51.100.0/24', '2001:db8::/32', '203.0.113.9'];
  await withEdge({ webhook: { allowedCidrs } }, async ({ port, received }) => {
    for (const [address, status] of [
      ['198.51.100.7', 200],
      ['198.51.100.7:4711', 200],
      ['::ffff:198.51.100.7', 200],
      ['2001:db8:1::1', 200],
      ['203.0.113.9', 200],
      ['203.0.113.10', 403],
      ['198.51.101.7', 403],
      ['2001:db9::1', 403],
      ['198.51.100.7.evil', 403],
      ['unknown', 403],
      ['', 403],
    ] as const) {
      const reply = await post(port, '{}', { 'x-forwarded-for': address });
      if (status === 403) assertProblem(reply, 403, 'address_not_allowed');
      else assert.equal(reply.status, 200, address);
    }
    assert.equal(received.length, 5);
    assert.equal((await send(port, { method: 'GET', path: '/livez' })).status, 200, 'health is open');
  });
});

test('the memory for addresses is bounded: the oldest is forgotten', () => {
  const clock = manualClock();
  const store = new FailureStore({ clock, windowMs: 60_000, maxKeys: 1_000 });
  for (let count = 0; count < 100_000; count += 1) store.increment(`address ${count}`);
  assert.equal(store.size, 1_000);
  assert.equal(store.increment('address 99999').totalHits, 2);
  assert.equal(store.increment('address 0').totalHits, 1);
  clock.advance(60_000);
  assert.equal(store.increment('address 99999').totalHits, 1);
  assert.equal(store.size, 1, 'what has run out is dropped when something comes');
});

test('a clock that jumps back a day limits nobody for a day', () => {
  const clock = manualClock();
  const store = new FailureStore({ clock, windowMs: 60_000, maxKeys: 10 });
  store.increment('a');
  clock.set(clock.now() - 86_400_000);
  assert.equal(store.increment('a').totalHits, 1);
  assert.equal(store.increment('a').totalHits, 2);
});
