import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertProblem, send } from '../http/edge.ts';
import { quarantined } from '../outbox/samples.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { failToServe, startService } from '../support/service.ts';
import { SECRET, serviceEnv, serviceFiles } from '../support/service-process.ts';
import { adminToken, metricsToken, startAdmin, withToken } from './fixture.ts';

const everyPath = [
  ['GET', '/metrics'],
  ['GET', '/admin/v1/outbox'],
  ['GET', '/admin/v1/outbox/records?state=dead'],
  ['GET', '/admin/v1/outbox/records/x'],
  ['POST', '/admin/v1/outbox/replay'],
  ['POST', '/admin/v1/outbox/purge'],
  ['DELETE', '/admin/v1/outbox/purge'],
  ['GET', '/no/such/path'],
  ['GET', '/'],
] as const;

const expose = async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'a_metric 1\n' });

describe('the admin port with a token', () => {
  it('answers nothing at all without it', async (t) => {
    const { port } = await startAdmin(t, { token: adminToken, expose });
    const cases = [
      [{}, 'token_missing'],
      [{ authorization: adminToken }, 'token_not_bearer'],
      [{ authorization: `Basic ${adminToken}` }, 'token_not_bearer'],
      [{ authorization: `Bearer ${adminToken}x` }, 'token_wrong'],
      [{ authorization: `Bearer ${adminToken.slice(1)}` }, 'token_wrong'],
      [{ 'x-webhook-secret': adminToken }, 'token_missing'],
      [{ authorization: 'Bearer a', cookie: `token=${adminToken}` }, 'token_wrong'],
    ] as const;
    for (const [method, path] of everyPath) {
      for (const [headers, code] of cases) {
        const reply = await send(port, { method, path, headers });
        assertProblem(reply, 401, code);
        assert.equal(reply.headers['www-authenticate'], 'Bearer realm="apono-sentinel admin"');
      }
    }
  });

  it('does not look at the Host header, and answers with it', async (t) => {
    const { port } = await startAdmin(t, { token: adminToken, expose });
    const headers = { ...withToken, host: 'sentinel-proxy.internal:9090' };
    const metrics = await send(port, { method: 'GET', path: '/metrics', headers });
    assert.deepEqual([metrics.status, metrics.text], [200, 'a_metric 1\n']);
    assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const stats = await send(port, { method: 'GET', path: '/admin/v1/outbox', headers });
    assert.deepEqual([stats.status, stats.json['store'], stats.json['writable']], [200, 'a-store', true]);
    const head = await send(port, { method: 'HEAD', path: '/admin/v1/outbox', headers });
    assert.deepEqual([head.status, head.text], [200, '']);
    for (const name of ['content-security-policy', 'x-content-type-options', 'x-request-id', 'cache-control']) {
      assert.notEqual(stats.headers[name], undefined, name);
    }
    assert.equal(stats.headers['access-control-allow-origin'], undefined);
  });

  it('limits failures, and never the right token', async (t) => {
    const admin = await startAdmin(t, { token: adminToken, limits: { maxFailures: 3 } });
    for (let failure = 1; failure <= 3; failure++) {
      assertProblem(await admin.get('/metrics', { authorization: 'Bearer wrong' }), 401, 'token_wrong');
    }
    const limited = await admin.get('/admin/v1/outbox', { authorization: 'Bearer wrong' });
    assertProblem(limited, 429, 'too_many_failures');
    assert.match(String(limited.headers['retry-after']), /^[1-9]\d*$/);
    assert.equal((await admin.get('/admin/v1/outbox')).status, 200);
    admin.clock.advance(60_000);
    assertProblem(await admin.get('/metrics', { authorization: 'Bearer wrong' }), 401, 'token_wrong');
  });

  it('logs who failed, and no token', async (t) => {
    const admin = await startAdmin(t, { token: adminToken });
    await admin.get('/admin/v1/outbox');
    await admin.get('/admin/v1/outbox', { authorization: 'Bearer some-guess-of-somebody' });
    const lines = admin
      .logText()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const failed = lines.filter(({ status }) => status === 401);
    assert.deepEqual(
      failed.map(({ level, code, client_address: address }) => [level, code, address]),
      [['warn', 'token_wrong', '127.0.0.1']],
    );
    assert.doesNotMatch(admin.logText(), new RegExp(`${adminToken}|some-guess`));
  });
});

describe('the admin port without a token', () => {
  it('answers requests to a loopback host alone, so that no web page gets in by a name of its own', async (t) => {
    const { port } = await startAdmin(t, { expose });
    for (const host of [`127.0.0.1:${port}`, 'localhost', 'LOCALHOST:9090', '[::1]:9090', '127.8.8.8']) {
      for (const path of ['/metrics', '/admin/v1/outbox']) {
        assert.equal((await send(port, { method: 'GET', path, headers: { host } })).status, 200, host);
      }
    }
    const foreign = ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', '[::]', 'a@b'];
    for (const host of foreign) {
      for (const [method, path] of everyPath) {
        const reply = await send(port, { method, path, headers: { host } });
        assert.equal(reply.status, 403, host);
        assertProblem(reply, 403, 'host_not_allowed');
      }
    }
  });

  it('takes nothing that the form of a web page could send', async (t) => {
    const admin = await startAdmin(t);
    await admin.outbox.put([quarantined('a')]);
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'text/json',
      undefined,
      '',
    ];
    for (const type of types) {
      for (const path of ['/admin/v1/outbox/purge', '/admin/v1/outbox/replay']) {
        const headers = type === undefined ? {} : { 'content-type': type };
        const reply = await send(admin.port, { method: 'POST', path, headers, body: '{"ids":["a"]}' });
        assertProblem(reply, 415, 'content_type_not_json');
      }
    }
    assert.equal((await admin.outbox.stats()).quarantined.count, 1);
    const preflight = await send(admin.port, { method: 'OPTIONS', path: '/admin/v1/outbox/purge' });
    assertProblem(preflight, 405, 'method_not_allowed');
    assert.equal(preflight.headers['allow'], 'POST');
  });
});

describe('METRICS_TOKEN', () => {
  const withMetricsToken = { authorization: `Bearer ${metricsToken}` };

  it('reads /metrics, as ADMIN_TOKEN does, and nothing else', async (t) => {
    const { port, logText } = await startAdmin(t, { token: adminToken, metricsToken, expose });
    for (const path of ['/metrics', '/metrics/', '/metrics?x=1']) {
      for (const headers of [withMetricsToken, withToken]) {
        assert.equal((await send(port, { method: 'GET', path, headers })).status, 200, path);
      }
    }
    for (const [method, path] of [...everyPath, ['GET', '/METRICS'], ['GET', '/metrics/x'], ['GET', '/%6detrics']]) {
      if (path === '/metrics') continue;
      assertProblem(await send(port, { method, path, headers: withMetricsToken }), 401, 'token_wrong');
    }
    assertProblem(await send(port, { method: 'GET', path: '/metrics' }), 401, 'token_missing');
    assertProblem(
      await send(port, { method: 'GET', path: '/metrics', headers: { authorization: 'Bearer x' } }),
      401,
      'token_wrong',
    );
    assert.doesNotMatch(logText(), new RegExp(`${metricsToken}|"secret":"previous"`));
  });

  it('is needed for /metrics on loopback too once it is set; the rest is as it is without ADMIN_TOKEN', async (t) => {
    const { port } = await startAdmin(t, { metricsToken, expose });
    assertProblem(await send(port, { method: 'GET', path: '/metrics' }), 401, 'token_missing');
    const headers = { ...withMetricsToken, host: 'prometheus.internal:9090' };
    assert.equal((await send(port, { method: 'GET', path: '/metrics', headers })).status, 200);
    assert.equal((await send(port, { method: 'GET', path: '/admin/v1/outbox' })).status, 200);
    assertProblem(await send(port, { method: 'GET', path: '/admin/v1/outbox', headers }), 403, 'host_not_allowed');
  });

  it('and ADMIN_TOKEN share one limit on failures', async (t) => {
    const admin = await startAdmin(t, { token: adminToken, metricsToken, expose, limits: { maxFailures: 2 } });
    assertProblem(await admin.get('/metrics', { authorization: 'Bearer wrong' }), 401, 'token_wrong');
    assertProblem(await admin.get('/admin/v1/outbox', { authorization: 'Bearer wrong' }), 401, 'token_wrong');
    assertProblem(await admin.get('/metrics', { authorization: 'Bearer wrong' }), 429, 'too_many_failures');
    assert.equal((await admin.get('/metrics', withMetricsToken)).status, 200);
  });
});

describe('the two ports of the service', () => {
  it('know each their own secret, and nothing of the other port', async (t) => {
    const emulator = await startTestEmulator(t);
    const files = await serviceFiles(t, emulator);
    const service = await startService(t, { ...serviceEnv(emulator, files), ADMIN_TOKEN: adminToken });
    const get = (port: number, path: string, headers: Record<string, string>) =>
      send(port, { method: 'GET', path, headers });
    assert.equal((await get(service.adminPort, '/admin/v1/outbox', withToken)).status, 200);
    assert.equal((await get(service.adminPort, '/metrics', withToken)).status, 200);
    for (const headers of [{ authorization: `Bearer ${SECRET}` }, { 'x-webhook-secret': SECRET }]) {
      assert.equal((await get(service.adminPort, '/admin/v1/outbox', headers)).status, 401);
      assert.equal((await get(service.adminPort, '/metrics', headers)).status, 401);
    }
    const webhook = await send(service.port, { body: '{}', headers: withToken });
    assertProblem(webhook, 401, 'secret_wrong');
    for (const path of ['/metrics', '/admin/v1/outbox', '/admin/v1/outbox/purge']) {
      assertProblem(await get(service.port, path, withToken), 404, 'not_found');
    }
    for (const path of ['/apono/webhook', '/healthz', '/livez']) {
      assertProblem(await get(service.adminPort, path, withToken), 404, 'not_found');
    }
    const taken = await failToServe({
      ...serviceEnv(emulator, await serviceFiles(t, emulator)),
      ADMIN_PORT: String(service.adminPort),
    });
    assert.equal(taken.exitCode, 1, 'a port that is taken is a failed start');
    assert.ok(
      taken.logs.some(({ code, error }) => code === 'EADDRINUSE' && String(error).includes(`${service.adminPort}`)),
    );
  });
});
