import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createFailureStore } from '../../src/http/authenticate.ts';
import { addressOf, createClients } from '../../src/http/client-address.ts';
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

test('ALLOWED_CIDRS may be all addresses of a family', async () => {
  for (const [all, family, other] of [
    ['0.0.0.0/0', ['3.0.0.1', '198.51.100.7'], '2001:db8::1'],
    ['::/0', ['2001:db8::1', 'fd00::1'], '198.51.100.7'],
  ] as const) {
    await withEdge({ webhook: { allowedCidrs: [all] } }, async ({ port }) => {
      for (const address of family) {
        assert.equal((await post(port, '{}', { 'x-forwarded-for': address })).status, 200, address);
      }
      assertProblem(await post(port, '{}', { 'x-forwarded-for': other }), 403, 'address_not_allowed');
    });
  }
});

test('the memory for addresses is bounded: the oldest is forgotten', () => {
  const clock = manualClock();
  const store = createFailureStore({ clock, windowMs: 60_000, maxKeys: 1_000 });
  for (let count = 0; count < 100_000; count += 1) store.increment(`address ${count}`);
  assert.equal(store.size(), 1_000);
  assert.equal(store.increment('address 99999').totalHits, 2);
  assert.equal(store.increment('address 0').totalHits, 1);
  clock.advance(60_000);
  assert.equal(store.increment('address 99999').totalHits, 1);
  assert.equal(store.size(), 1, 'what has run out is dropped when something comes');
});

test('a clock that jumps back a day limits nobody for a day', () => {
  const clock = manualClock();
  const store = createFailureStore({ clock, windowMs: 60_000, maxKeys: 10 });
  store.increment('a');
  clock.set(clock.now() - 86_400_000);
  assert.equal(store.increment('a').totalHits, 1);
  assert.equal(store.increment('a').totalHits, 2);
});

describe('X-Forwarded-For behind trusted proxies', () => {
  const blocks = ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'];
  const cases: readonly [
    name: string,
    trustProxy: number | readonly string[],
    header: string | string[],
    client: string,
  ][] = [
    ['ports of client and proxy', blocks, '203.0.113.5:5000, 10.0.0.4:6000', '203.0.113.5'],
    ['a port of IPv6 in brackets', blocks, '[2001:db8::5]:5000, [fd00::4]:6000', '2001:db8::5'],
    ['brackets without a port', blocks, '[2001:db8::5], 10.0.0.4', '2001:db8::5'],
    ['quotes', blocks, '"203.0.113.5:5000", "[fd00::4]:6000"', '203.0.113.5'],
    ['IPv4 within IPv6', blocks, '::ffff:203.0.113.5, ::ffff:10.0.0.4', '203.0.113.5'],
    ['IPv4 within IPv6 in hexadecimal', blocks, '::FFFF:CB00:7105, ::ffff:a00:4', '203.0.113.5'],
    ['IPv4 within IPv6 with a port', blocks, '[::ffff:203.0.113.5]:1, ::ffff:10.0.0.4:6000', '203.0.113.5'],
    ['a zone', blocks, '2001:DB8::5%eth0, fd00::4%25eth1', '2001:db8::5'],
    ['a zone at IPv4, which has none', blocks, '203.0.113.5%eth0, 10.0.0.4', '10.0.0.4'],
    ['several headers', blocks, ['203.0.113.5:5000', '10.0.0.4:6000'], '203.0.113.5'],
    ['empty elements', blocks, ' , 203.0.113.5:5000,, 10.0.0.4 ,', '203.0.113.5'],
    ['no address left of a proxy', blocks, '203.0.113.5, unknown, 10.0.0.4:6000', '10.0.0.4'],
    ['a name in place of the client', blocks, '_hidden, 10.0.0.4', '10.0.0.4'],
    ['14 KB in place of the client', blocks, 'x'.repeat(14_000), '127.0.0.1'],
    ['an address with 14 KB', blocks, `203.0.113.5${' '.repeat(50)}${'x'.repeat(14_000)}`, '127.0.0.1'],
    ['3,000 proxies that are trusted', blocks, Array(1_500).fill('10.0.0.4').join(','), '10.0.0.4'],
    ['only trusted ones', blocks, '10.1.1.1, 10.0.0.4', '10.1.1.1'],
    ['what a caller made up', blocks, '10.9.9.9, 203.0.113.5:5000, 10.0.0.4', '203.0.113.5'],
    ['two hops, with ports', 2, '198.51.100.1, 203.0.113.5:5000, 10.0.0.4:6000', '203.0.113.5'],
    ['two hops, and no address', 2, '203.0.113.5, nonsense, 10.0.0.4', '10.0.0.4'],
    [
      'blocks written as IPv4 within IPv6',
      ['loopback', '::ffff:10.0.0.0/104'],
      '203.0.113.5, 10.0.0.4:1',
      '203.0.113.5',
    ],
    ['names of blocks', ['loopback', 'uniquelocal'], '203.0.113.5, 192.168.0.4:1, [fd00::1]:1', '203.0.113.5'],
  ];
  for (const [name, trustProxy, header, client] of cases) {
    test(`${name}: the client is ${client}`, async () => {
      await withEdge({ webhook: { trustProxy }, limits: { maxFailures: 1 } }, async ({ port, records }) => {
        assert.equal((await send(port, { headers: { 'x-forwarded-for': header } })).status, 401);
        assert.equal(records.at(-1)?.clientAddress, client);
        // The limit has the same key.
        assert.equal((await send(port, { headers: { 'x-forwarded-for': client } })).status, 429);
      });
    });
  }

  test('whatever stands there, what is counted and logged is an address', async () => {
    const { clientOf } = createClients({ trustProxy: blocks, allowedCidrs: [] });
    const part = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ maxLength: 300 }),
      fc.constantFrom('10.0.0.4:1', '[fd00::1]'),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const request = { socket: { remoteAddress: '127.0.0.1' }, headers: { 'x-forwarded-for': parts.join(', ') } };
        const { address } = clientOf(request as unknown as IncomingMessage);
        assert.ok(address !== null && isIP(address) !== 0 && address.length <= 39, `${address}`);
      }),
    );
  });

  test('an address of any family stays itself with a port, brackets and quotes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (address, port) => {
        const plain = addressOf(address);
        assert.ok(plain !== null);
        const withPort = isIP(address) === 4 ? `${address}:${port}` : `[${address}]:${port}`;
        for (const written of [withPort, `"${withPort}"`, plain]) assert.equal(addressOf(written), plain);
      }),
    );
  });
});

test('ALLOWED_CIDRS that hold the proxy do not let in a client whose address it does not name', async () => {
  const webhook = { allowedCidrs: ['127.0.0.0/8'], trustProxy: ['loopback'] };
  await withEdge({ webhook }, async ({ port }) => {
    assertProblem(await post(port, '{}', { 'x-forwarded-for': 'unknown' }), 403, 'address_not_allowed');
    assert.equal((await post(port, '{}', { 'x-forwarded-for': '127.0.0.9:5000' })).status, 200);
  });
});
