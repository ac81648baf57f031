import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from '../../src/kinds/registry.ts';
import { assertProblem, bearer, secret, send, withEdge } from './edge.ts';

const names = kinds.map(({ name }) => name);

test('each kind has a path of its own, by POST and PUT, and the receiver is told which', async () => {
  await withEdge({ kinds: names }, async ({ port, received, records }) => {
    const paths = [
      ['/apono/webhook', null],
      ...names.flatMap((name) => [
        [`/apono/webhook/${name}`, name] as const,
        [`/apono/webhook/${name}/`, name] as const,
        [`/apono/webhook/${name}?source=apono`, name] as const,
      ]),
    ] as const;
    for (const method of ['POST', 'PUT']) {
      for (const [path] of paths) {
        const reply = await send(port, { method, path, headers: bearer, body: '{}' });
        assert.equal(reply.status, 200, `${method} ${path}`);
      }
    }
    const expected = paths.map(([, kind]) => kind);
    assert.deepEqual(
      received.map(({ kind }) => kind),
      [...expected, ...expected],
    );
    assert.deepEqual([...new Set(records.map(({ route }) => route))], ['webhook']);
  });
});

test('a path below the webhook that names no kind is 404, with the secret too', async () => {
  await withEdge({ kinds: names }, async ({ port, received }) => {
    for (const kind of ['other', 'requests', 'audit/x', 'audit%2F', '__proto__', 'constructor', 'request,audit', '*']) {
      const path = `/apono/webhook/${kind}`;
      assertProblem(await send(port, { method: 'POST', path, headers: bearer, body: '{}' }), 404, 'not_found');
    }
    assert.equal(received.length, 0);
  });
});

for (const name of names) {
  test(`/apono/webhook/${name} wants the secret and POST or PUT, like the other`, async () => {
    await withEdge({ kinds: names }, async ({ port, received }) => {
      const path = `/apono/webhook/${name}`;
      const post = (headers: Record<string, string>) => send(port, { method: 'POST', path, headers, body: '{}' });
      assertProblem(await post({}), 401, 'secret_missing');
      assertProblem(await post({ authorization: `Bearer ${secret}x` }), 401, 'secret_wrong');
      assertProblem(await post({ authorization: `Basic ${secret}` }), 401, 'authorization_not_bearer');
      for (const method of ['GET', 'DELETE', 'PATCH', 'OPTIONS']) {
        const reply = await send(port, { method, path, headers: bearer });
        assertProblem(reply, 405, 'method_not_allowed');
        assert.equal(reply.headers['allow'], 'POST, PUT');
      }
      assert.equal(received.length, 0);
      assert.equal((await post({ 'x-webhook-secret': secret })).status, 200);
    });
  });
}

test('failures on all paths of one address count together', async () => {
  await withEdge({ kinds: names, limits: { maxFailures: 6 } }, async ({ port }) => {
    const paths = ['/apono/webhook', ...names.map((name) => `/apono/webhook/${name}`)];
    const statuses: (number | undefined)[] = [];
    for (let index = 0; index < 8; index++) {
      const path = paths[index % paths.length] ?? '';
      statuses.push((await send(port, { method: 'POST', path, body: '{}' })).status);
    }
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
  });
});
