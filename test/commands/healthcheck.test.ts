import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wellHealth, withEdge } from '../http/edge.ts';
import { startStandIn } from './stand-in.ts';
import { run, spawnCli } from './support.ts';

describe('healthcheck', () => {
  it('exits 0 while the service answers, with HOST and PORT and nothing else set', async () => {
    await withEdge({}, async ({ port }) => {
      const { exitCode, stdout } = await run(['healthcheck'], { PORT: String(port) });
      assert.equal(exitCode, 0);
      assert.equal(stdout, 'alive\n');
    });
  });

  it('finds a service that listens on every address over loopback', async () => {
    await withEdge({ webhook: { host: '0.0.0.0' } }, async ({ port }) => {
      assert.equal((await run(['healthcheck'], { HOST: '0.0.0.0', PORT: String(port) })).exitCode, 0);
      assert.equal((await run(['healthcheck'], { HOST: '127.0.0.1', PORT: String(port) })).exitCode, 0);
    });
  });

  it('stays well while the service is not ready, since a restart would help nothing', async () => {
    const stats = () => Promise.reject(new Error('the outbox is gone'));
    const health = { ...wellHealth, stats, started: () => false };
    await withEdge({ health }, async ({ port }) => {
      assert.equal((await run(['healthcheck'], { PORT: String(port) })).exitCode, 0);
    });
  });

  it('exits 1 when nobody listens', async () => {
    let port = 0;
    await withEdge({}, async (edge) => {
      port = edge.port;
    });
    const { exitCode, stdout, stderr } = await run(['healthcheck'], { PORT: String(port) });
    assert.equal(exitCode, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /not alive: .*ECONNREFUSED/);
  });

  it('exits 1 when something answers otherwise, or never', async (t) => {
    const redirecting = await startStandIn(t, (_, response) => response.writeHead(302, { location: '/' }).end());
    const { exitCode, stderr } = await run(['healthcheck'], { PORT: String(redirecting) });
    assert.equal(exitCode, 1);
    assert.match(stderr, /answered 302/);
    const silent = await startStandIn(t, () => {});
    const late = await run(['healthcheck'], { PORT: String(silent) });
    assert.equal(late.exitCode, 1);
    assert.match(late.stderr, /no answer within 3 s/);
  });

  it('does not go through a proxy to this machine', async (t) => {
    const proxied: string[] = [];
    const proxy = await startStandIn(t, (request, response) => {
      proxied.push(request.url ?? '');
      response.writeHead(502).end();
    });
    const proxyUrl = `http://127.0.0.1:${proxy}`;
    await withEdge({}, async ({ port }) => {
      const env = { PORT: String(port), HTTP_PROXY: proxyUrl, http_proxy: proxyUrl, NODE_USE_ENV_PROXY: '1' };
      assert.equal((await spawnCli(['healthcheck'], env)).exitCode, 0);
    });
    assert.deepEqual(proxied, []);
  });

  it('exits 2 when HOST or PORT is wrong or does not tell where', async () => {
    for (const env of [{ PORT: 'x' }, { HOST: 'a b' }, { PORT: '0' }]) {
      const { exitCode, stderr } = await run(['healthcheck'], env);
      assert.equal(exitCode, 2);
      assert.match(stderr, /^(PORT|HOST): /);
    }
  });
});
