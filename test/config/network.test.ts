import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { localAddress } from '../../src/commands/local-service.ts';
import { isLoopbackHost } from '../../src/config/parse.ts';
import { configOf, problemsOf } from './support.ts';

describe('TRUST_PROXY', () => {
  const name = 'TRUST_PROXY';

  for (const [given, kept] of [
    ['1', 1],
    ['0', false],
    ['false', false],
    ['loopback', ['loopback']],
    ['10.0.0.0/8, 192.168.1.7,uniquelocal', ['10.0.0.0/8', '192.168.1.7', 'uniquelocal']],
    ['2001:db8::/32', ['2001:db8::/32']],
  ] as const) {
    it(`takes ${given}`, () => assert.deepEqual(configOf({ [name]: given }).webhook.trustProxy, kept));
  }

  for (const [given, why] of [
    ['true', /X-Forwarded-For/],
    ['TRUE', /X-Forwarded-For/],
    ['0.0.0.0/0', /trusts every address/],
    ['loopback,::/0', /trusts every address/],
    ['yes', /neither an address nor a CIDR block/],
    ['-1', /neither an address/],
    ['10.0.0.0/33', /neither an address/],
    ['10.0.0.0/8/8', /neither an address/],
    ['fe80::1%eth0', /neither an address/],
    ['loopback,', /empty entry/],
  ] as const) {
    it(`refuses ${given}`, () => assert.match(problemsOf({ [name]: given })[name] ?? '', why));
  }
});

describe('ALLOWED_CIDRS', () => {
  it('takes addresses and blocks of both families', () => {
    const { allowedCidrs } = configOf({ ALLOWED_CIDRS: '203.0.113.0/24, 198.51.100.7,2001:db8::/32,::1' }).webhook;
    assert.deepEqual(allowedCidrs, ['203.0.113.0/24', '198.51.100.7', '2001:db8::/32', '::1']);
  });

  it('does not become "everybody" by a slip', () => {
    for (const wrong of [',', '203.0.113.0/24,', 'apono.io', '203.0.113.0/240', '203.0.113.*']) {
      assert.ok('ALLOWED_CIDRS' in problemsOf({ ALLOWED_CIDRS: wrong }), wrong);
    }
  });
});

describe('HOST and PORT', () => {
  it('take addresses, names and any port, 0 too', () => {
    assert.equal(configOf({ HOST: '[::]' }).webhook.host, '::');
    assert.equal(configOf({ HOST: 'app.internal' }).webhook.host, 'app.internal');
    assert.equal(configOf({ PORT: '0' }).webhook.port, 0);
  });

  it('are not those of the admin port too', () => {
    const token = { ADMIN_TOKEN: 'a-token-for-the-admin-port' };
    for (const same of [
      { PORT: '9090' },
      { ADMIN_PORT: '8080', HOST: '127.0.0.1' },
      { ...token, PORT: '1234', ADMIN_PORT: '1234', ADMIN_HOST: '0.0.0.0', HOST: '10.0.0.1' },
      { ...token, PORT: '1234', ADMIN_PORT: '1234', ADMIN_HOST: '::', HOST: '10.0.0.1' },
    ]) {
      assert.match(problemsOf(same)['ADMIN_PORT'] ?? '', /like PORT/, JSON.stringify(same));
    }
    for (const other of [
      { PORT: '0', ADMIN_PORT: '0' },
      { PORT: '9090', HOST: '10.0.0.1' },
      { PORT: '9090', ADMIN_PORT: '8080' },
    ]) {
      assert.deepEqual(problemsOf(other), {}, JSON.stringify(other));
    }
  });

  it('refuse what cannot be listened on', () => {
    for (const wrong of ['http://0.0.0.0', '0.0.0.0:8080', 'a b', '256.1.1.1', '-x']) {
      assert.ok('HOST' in problemsOf({ HOST: wrong }), wrong);
    }
    for (const wrong of ['65536', '-1', '8080.0', '0x50', '1e3', ' 80', '080', '٣']) {
      assert.ok('PORT' in problemsOf({ PORT: wrong }), wrong);
    }
  });
});

describe('numbers', () => {
  it('stay within their bounds', () => {
    const bounds = {
      OUTBOX_MAX_BYTES: ['65535', '65536'],
      DEDUP_DAYS: ['0', '1'],
      MAX_BODY_BYTES: ['16777217', '16777216'],
      KEEP_ALIVE_SECONDS: ['0', '3700'],
      SHUTDOWN_TIMEOUT_MS: ['99', '100'],
      FLUSH_INTERVAL_MS: ['3600001', '0'],
    };
    for (const wrong of ['255', '16777217']) assert.ok('MAX_BODY_BYTES' in problemsOf({ MAX_BODY_BYTES: wrong }));
    for (const [name, [wrong, right]] of Object.entries(bounds)) {
      assert.ok(name in problemsOf({ [name]: wrong }), `${name}=${wrong}`);
      assert.deepEqual(problemsOf({ [name]: right }), {}, `${name}=${right}`);
    }
  });
});

describe('addresses', () => {
  it('of loopback are recognised in every spelling, and no others', () => {
    for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.255.0.3', '::1', '[::1]', '0:0:0:0:0:0:0:1']) {
      assert.ok(isLoopbackHost(host), host);
    }
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example', 'localhost.example', '128.0.0.1']) {
      assert.ok(!isLoopbackHost(host), host);
    }
  });

  it('that mean "all" are reached over loopback', () => {
    assert.equal(localAddress('0.0.0.0'), '127.0.0.1');
    assert.equal(localAddress('::'), '::1');
    assert.equal(localAddress('0:0:0:0:0:0:0:0'), '::1');
    assert.equal(localAddress('192.168.0.4'), '192.168.0.4');
    assert.equal(localAddress('app'), 'app');
  });
});
