import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { adminToken, startRunning } from '../commands/outbox-fixture.ts';
import { assertProblem, send } from '../http/edge.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
const withToken = { authorization: `Bearer ${adminToken}` };
const files = ['page.css', 'page.js', 'icon.svg', 'uplot.js', 'uplot.css'];

describe('the page, asked by programs and by strangers', () => {
  it('with a token: a browser gets the page that asks for it, a program the problem, and only files are open', async (t) => {
    const { service } = await startRunning(t, { ADMIN_TOKEN: adminToken });
    const get = (path: string, headers = {}, method = 'GET') => send(service.adminPort, { method, path, headers });
    for (const path of ['/', '/events/whatever', '/events?id=whatever']) {
      assertProblem(await get(path), 401, 'token_missing');
      const signIn = await get(path, browser);
      assert.deepEqual([signIn.status, signIn.headers['content-type']], [200, 'text/html; charset=utf-8']);
      assert.match(signIn.text, /<input id="token" type="password"/);
      assert.doesNotMatch(signIn.text, /verdict|0\.1\.0/, 'nothing of the service is told');
      assert.equal((await get(path, { ...browser, authorization: 'Bearer wrong' })).status, 401);
      assertProblem(await get(path, browser, 'POST'), 401, 'token_missing');
    }
    // A person who follows links is no attacker; one who has the token would wait for a minute otherwise.
    for (let n = 0; n < 150; n++) assert.equal((await get('/', browser)).status, 200);
    for (const path of ['/admin/v1/status', '/admin/v1/history']) {
      assertProblem(await get(path, browser), 401, 'token_missing');
      assert.equal((await get(path, withToken)).status, 200);
    }
    for (const name of files) assert.equal((await get(`/assets/${name}`)).status, 200, name);
    for (const path of ['/assets/../package.json', '/assets/..%2fpackage.json', '/assets/other.js', '/assets/']) {
      assertProblem(await get(path), 404, 'not_found');
    }
    const page = await get('/', { ...browser, ...withToken });
    assert.equal(page.status, 200);
    assert.doesNotMatch(page.text, new RegExp(adminToken));
  });

  it('without a token: a Host that is not this machine is refused, for the files too', async (t) => {
    const { service } = await startRunning(t);
    for (const path of ['/', '/events', '/events/x', '/assets/page.js', '/admin/v1/status']) {
      const reply = await send(service.adminPort, {
        method: 'GET',
        path,
        headers: { ...browser, host: 'rebound.example' },
      });
      assertProblem(reply, 403, 'host_not_allowed');
    }
  });

  it('lets nothing run or load but its own files, and no other page ask for anything', async (t) => {
    const { service } = await startRunning(t);
    const page = await send(service.adminPort, { method: 'GET', path: '/', headers: browser });
    const policy = String(page.headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(page.headers['x-frame-options'], 'DENY');
    assert.doesNotMatch(page.text, /<style|style=|<script(?! src="\/assets\/)|\son[a-z]+=/, 'nothing inline');
    const replay = (headers: Record<string, string>) =>
      send(service.adminPort, {
        method: 'POST',
        path: '/admin/v1/outbox/replay',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{"ids":["x"]}',
      });
    const own = `127.0.0.1:${service.adminPort}`;
    for (const origin of ['https://elsewhere.example', 'null', `http://127.0.0.1:${service.adminPort + 1}`]) {
      assertProblem(await replay({ host: own, origin }), 403, 'origin_not_allowed');
    }
    assert.equal((await replay({ host: own, origin: `http://${own}` })).status, 200);
    assert.equal((await replay({ host: own })).status, 200, 'commands send no Origin');
  });

  it('is there while the outbox hangs, says so, and does not say that nothing was refused', async (t) => {
    const database = await startPostgres();
    t.after(() => database.cleanup());
    const proxy = await startTcpProxy(database.port);
    t.after(() => proxy.stop());
    const { service } = await startRunning(t, { OUTBOX_URL: database.url('postgres', proxy.port) });
    const read = () => send(service.adminPort, { method: 'GET', path: '/', headers: browser });
    assert.match((await read()).text, /There is none\./);
    proxy.cut();
    const hanging = await read();
    assert.equal(hanging.status, 200);
    assert.match(hanging.text, /The outbox is not available, or did not answer within 2000 ms/);
    assert.equal(hanging.text.match(/>The outbox does not answer\.</g)?.length, 2);
    assert.doesNotMatch(hanging.text, /There is none|Every body was understood/);
  });

  it('answers HEAD, and 404 in words for a record that is gone', async (t) => {
    const { service } = await startRunning(t);
    const get = (method: string, path: string) => send(service.adminPort, { method, path, headers: browser });
    assert.deepEqual([(await get('HEAD', '/')).status, (await get('HEAD', '/')).text], [200, '']);
    for (const [path, why] of [
      ['/events/v1aaaaaaaaaaaaaaaaaaaaaaaa', /No record has this id/],
      ['/events?id=v1aaaaaaaaaaaaaaaaaaaaaaaa', /No record has this id/],
      ['/events/v1aa', /is too short: give the first 8 characters/],
      ['/events', /No record has this id|too short/],
      ['/events?id=%3Cscript%3E', /No record has this id/],
    ] as const) {
      const gone = await get('GET', path);
      assert.equal(gone.status, 404, path);
      assert.match(gone.text, why, path);
      assert.doesNotMatch(gone.text, /<script>/);
    }
    assertProblem(await get('DELETE', '/'), 405, 'method_not_allowed');
  });
});
