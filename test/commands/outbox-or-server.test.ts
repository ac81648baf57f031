import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openTestStore } from '../support/store.ts';
import { adminToken, recordsOf, startRunning } from './outbox-fixture.ts';
import { startStandIn } from './stand-in.ts';
import { mainFile, run } from './support.ts';

describe('outbox, never the database beside a service', () => {
  it('fails with what to do when the service has the outbox and its admin API is not reached', async (t) => {
    const { service, env } = await startRunning(t);
    const closed = { ...env, ADMIN_PORT: String(service.port) };
    const foreign = await run(['outbox', 'list'], closed);
    assert.equal(foreign.exitCode, 1);
    assert.match(foreign.stderr, /^admin_/);
    const unknown = await run(['outbox', 'list'], { ...env, ADMIN_PORT: '0' });
    assert.deepEqual([unknown.exitCode, unknown.stdout], [1, '']);
    assert.match(unknown.stderr, /^admin_unreachable: .*ADMIN_PORT is 0/);
    const nobody = await run(['outbox', 'purge', 'x', '--yes'], { ...env, ADMIN_PORT: '1' });
    assert.equal(nobody.exitCode, 1);
    assert.match(
      nobody.stderr,
      /^admin_unreachable: A process has the outbox open, .*nothing answers at http:\/\/127\.0\.0\.1:1: /,
    );
    const salvage = await run(['outbox', 'salvage', mainFile], env);
    assert.equal(salvage.exitCode, 1);
    assert.match(salvage.stderr, /^outbox_locked: .*Stop the service, or wait/);
  });

  it('takes no answer of another program for that of the admin API', async (t) => {
    // This process has the outbox open, as a service would.
    const { dataDir } = await openTestStore(t);
    const answers = [
      [200, 'text/html', '<html>Prometheus</html>'],
      [200, 'application/json', '{"status":"success","data":[]}'],
      [200, 'application/json', '[]'],
      [404, 'text/plain', '404 page not found'],
      [401, 'application/json', '{"error":"unauthorized"}'],
      [302, 'text/plain', ''],
    ] as const;
    for (const [status, type, body] of answers) {
      const port = await startStandIn(t, (_request, response) => {
        response.writeHead(status, { 'content-type': type, location: '/elsewhere' }).end(body);
      });
      const list = await run(['outbox', 'list'], {
        DATA_DIR: dataDir,
        ADMIN_PORT: String(port),
        ADMIN_TOKEN: adminToken,
      });
      assert.deepEqual([list.exitCode, list.stdout], [1, ''], list.stderr);
      assert.match(list.stderr, /^admin_foreign: What listens at http:\/\/127\.0\.0\.1:\d+ is not the admin API/);
    }
    const echo = await startStandIn(t, ({ headers }, response) => {
      response.writeHead(401).end(JSON.stringify({ code: 'x', detail: `you sent ${headers.authorization}` }));
    });
    const list = await run(['outbox', 'list'], {
      DATA_DIR: dataDir,
      ADMIN_PORT: String(echo),
      ADMIN_TOKEN: adminToken,
    });
    assert.match(list.stderr, /you sent Bearer \*\*\*/);
  });

  it('does not touch the outbox of another service that happens to listen on ADMIN_PORT', async (t) => {
    const mine = await startRunning(t);
    const { dataDir } = await openTestStore(t);
    const purge = await run(['outbox', 'purge', 'x', '--yes'], { ...mine.env, DATA_DIR: dataDir });
    assert.equal(purge.exitCode, 1);
    assert.match(purge.stderr, /^admin_other_outbox: /);
  });

  it('uses the token, and says so when it is missing or wrong', async (t) => {
    const { env } = await startRunning(t, { ADMIN_TOKEN: adminToken, ADMIN_HOST: '0.0.0.0' });
    const good = await run(['outbox', 'list', '--json'], env);
    assert.deepEqual([good.exitCode, recordsOf(good)], [0, []], good.stderr);
    const { ADMIN_TOKEN: _, ADMIN_HOST: __, ...without } = env as Record<string, string>;
    const missing = await run(['outbox', 'list'], without);
    assert.equal(missing.exitCode, 1);
    assert.match(missing.stderr, /^admin_refused: .* 401, token_missing: .*Give this command the ADMIN_TOKEN/);
    const wrong = await run(['outbox', 'list'], { ...env, ADMIN_TOKEN: 'some-other-token-entirely' });
    assert.equal(wrong.exitCode, 1);
    assert.match(wrong.stderr, /token_wrong/);
    assert.doesNotMatch(wrong.stderr, /some-other-token-entirely/);
  });

  it('says which variable is wrong, and exits 2', async () => {
    const list = await run(['outbox', 'list'], { ADMIN_PORT: 'many', ADMIN_TOKEN: 'short' });
    assert.equal(list.exitCode, 2);
    assert.match(list.stderr, /^ADMIN_PORT: [\s\S]*^ADMIN_TOKEN: [\s\S]*2 problems/m);
    assert.doesNotMatch(list.stderr, /"?short"?:/);
  });

  for (const args of [
    ['replay'],
    ['replay', '--all'],
    ['replay', 'x', '--all', '--state', 'dead'],
    ['replay', 'x', '--state', 'dead'],
    ['replay', '--all', '--state', 'waiting'],
    ['purge', '--yes'],
    ['purge', '--all', '--yes'],
    ['list', '--limit', '-1'],
    ['show'],
    ['migrate'],
    [],
  ]) {
    it(`exits 2 for: outbox ${args.join(' ')}`, async () => {
      const { exitCode, stdout, stderr } = await run(['outbox', ...args], {});
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.notEqual(stderr, '');
    });
  }
});
