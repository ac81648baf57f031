import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertProblem, send } from '../http/edge.ts';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { adminToken, healthOf, idOf, jsonOf, resourceIds, settled, startRunning, units } from './outbox-fixture.ts';
import { run } from './support.ts';

describe('outbox retry', () => {
  it('has what is held sent once the role is given', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    const nothing = await run(['outbox', 'retry'], env);
    assert.deepEqual([nothing.exitCode, nothing.stderr], [0, 'Nothing waits to be tried again.\n']);
    emulator.setPublisherRole(false);
    await idOf(await service.post(units('a')));
    await eventually(async () => (await healthOf(service))['held'] === 1);
    const other = await run(['outbox', 'retry', '--kind', 'audit', '--json'], env);
    assert.deepEqual([other.exitCode, jsonOf(other)], [0, { resumed: [] }]);
    emulator.setPublisherRole(true);
    const retried = await run(['outbox', 'retry', '--kind', 'request', '--json'], env);
    assert.equal(retried.exitCode, 0, retried.stderr);
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 4);
    await eventually(async () => (await healthOf(service))['held'] === 0);
    await settled(service, 0);
    assert.deepEqual(resourceIds(emulator), ['a-a', 'a-b', 'a-c', 'a-d']);
  });

  it('ends a pause of ten minutes that Azure asked for, names the stream, and the log says why', async (t) => {
    const { emulator, service, env } = await startRunning(t, { ADMIN_TOKEN: adminToken });
    emulator.plan({
      target: 'ingest',
      times: 1,
      answer: { type: 'status', status: 429, headers: { 'retry-after': '600' } },
    });
    await idOf(await service.post(units('a')));
    await eventually(() => service.logs.some(({ message }) => message === 'delivery will be tried again'));
    const { exitCode, stdout, stderr } = await run(['outbox', 'retry'], env);
    assert.deepEqual([exitCode, stderr], [0, '1 stream is tried again at once.\n']);
    assert.match(stdout, new RegExp(`^KIND +STREAM +HOLD\nrequest +${requestStream} +-\n$`));
    await settled(service, 0);
    assert.equal(resourceIds(emulator).length, 4);
    const [line] = service.logs.filter(({ message }) => /as an operator asked/.test(String(message)));
    assert.deepEqual([line?.['level'], line?.['kind'], line?.['stream']], ['info', 'request', requestStream]);
  });

  it('is refused for what it does not know, and needs the token', async (t) => {
    const { service, env } = await startRunning(t, { ADMIN_TOKEN: adminToken });
    const post = (body: string, headers: Record<string, string> = { authorization: `Bearer ${adminToken}` }) =>
      send(service.adminPort, {
        method: 'POST',
        path: '/admin/v1/outbox/retry',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
    for (const body of ['{"kind":"reqest"}', '{"kind":7}', '{"knd":"request"}', '[]', 'null', 'x', '']) {
      assertProblem(await post(body), 400, 'request_invalid');
    }
    assertProblem(await post('{}', {}), 401, 'token_missing');
    assert.deepEqual((await post('{}')).json, { resumed: [] });
    const unknown = await run(['outbox', 'retry', '--kind', 'reqest'], env);
    assert.equal(unknown.exitCode, 2);
    assert.match(unknown.stderr, /--kind.*Allowed choices are request, audit.*\n\(--help lists what there is\)\n$/);
    const nobody = await run(['outbox', 'retry'], { ADMIN_PORT: '1' });
    assert.equal(nobody.exitCode, 1);
    assert.match(nobody.stderr, /^admin_unreachable: nothing answers/);
  });
});
