import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { kinds } from '../../src/kinds/registry.ts';
import { requestKind } from '../../src/kinds/request.ts';
import { everyScript, requestBodies } from '../kinds/request-bodies.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { nodeOptions } from '../support/node-options.ts';
import { failToServe, startService } from '../support/service.ts';
import {
  mainFile,
  SECRET,
  serviceEnv,
  serviceFiles,
  spawnService,
  startServiceProcess,
} from '../support/service-process.ts';

type Json = Record<string, unknown>;
const answerOf = async (response: Response) => (await response.json()) as Json;
const event = (id: string) =>
  JSON.stringify({ event_type: 'RequestGranted', event_time: Date.now() / 1000, data: { id } });

test('what is posted arrives as exactly the rows of the contract, and once', async (t) => {
  const emulator = await startTestEmulator(t);
  const service = await startService(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  const columns = requestKind.table.columns.map(({ name }) => name).sort();
  let expected = 0;
  for (const name of ['documented', 'every-field', 'recipe', 'template', 'thousand-units', 'every-script']) {
    const response = await service.post(requestBodies[name] ?? '', { 'x-apono-feed': 'prod' });
    const body = await answerOf(response);
    assert.equal(response.status, 200);
    assert.deepEqual([body['status'], body['kind'], body['duplicate']], ['accepted', 'request', false]);
    const { data, ...fields } = body;
    assert.deepEqual(data, fields, 'the same fields twice');
    expected += Number(body['rows']);
    await emulator.waitFor(() => emulator.rowCount(requestStream) === expected);
    const rows = emulator.rows(requestStream).filter((row) => row['event_id'] === body['event_id']);
    assert.equal(rows.length, body['rows']);
    for (const row of rows) {
      assert.deepEqual(
        Object.keys(row)
          .filter((key) => columns.includes(key))
          .sort(),
        columns,
      );
      assert.equal(row['feed'], 'prod');
    }
    const again = await answerOf(await service.post(requestBodies[name] ?? ''));
    assert.deepEqual([again['event_id'], again['duplicate']], [body['event_id'], true]);
    assert.match(String(again['message']), /stored since \d{4}-/);
  }
  const last = await answerOf(await service.post(event('the-last-one')));
  expected += Number(last['rows']);
  await emulator.waitFor(() => emulator.rowCount(requestStream) === expected);
  const script = emulator.rows(requestStream).find((row) => String(row['justification']).startsWith('English, '));
  assert.equal(script?.['justification'], everyScript);
});

test('an array is all or nothing', async (t) => {
  const emulator = await startTestEmulator(t);
  const service = await startService(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  const three = await answerOf(await service.post(`[${event('a')},${event('b')},${event('c')}]`));
  assert.equal((three['events'] as Json[]).length, 3);
  assert.deepEqual([three['rows'], three['duplicate']], [3, false]);
  const bad = await service.post(`[${event('d')},{"event_type":"x","event_time":"never","data":{}}]`);
  assert.equal(bad.status, 422);
  const problem = await answerOf(bad);
  assert.equal(problem['quarantined'], true);
  assert.equal((problem['errors'] as Json[])[0]?.['path'], '/1/event_time');
  await emulator.waitFor(() => emulator.rowCount(requestStream) === 3);
  const health = await answerOf(await fetch(service.url('/healthz')));
  assert.deepEqual([(health['outbox'] as Json)['quarantined'], (health['outbox'] as Json)['dead']], [1, 0]);
  assert.deepEqual([health['status'], health['refused']], ['degraded', { schema_mismatch: 1 }]);
  assert.equal(((health['problems'] as Json[])[0] as Json)['code'], 'bodies_quarantined');
  for (const member of ['last_accepted', 'last_delivery']) {
    assert.ok(Date.parse(String(health[member])) > 0, member);
    assert.deepEqual(
      Object.keys(health[`${member}_by_kind`] as Json),
      kinds.map(({ name }) => name),
    );
  }
  const d = await answerOf(await service.post(event('d')));
  assert.equal(d['duplicate'], false);
});

test('of an event with 10,001 units the first 10,000 arrive, and say so', async (t) => {
  const emulator = await startTestEmulator(t);
  const service = await startService(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  const body = `{"event_type":"Granted","event_time":1,"data":{"access_groups":[{"access_units":[${'{},'.repeat(10_000)}{}]}]}}`;
  const answer = await answerOf(await service.post(body));
  assert.deepEqual([answer['status'], answer['rows']], ['accepted', 10_000]);
  await emulator.waitFor(() => emulator.rowCount(requestStream) === 10_000);
  const rows = emulator.rows(requestStream);
  assert.equal(new Set(rows.map((row) => row['row_id'])).size, 10_000);
  for (const row of rows) {
    assert.deepEqual([row['units_truncated'], row['access_unit_count']], [true, 10_001]);
    assert.ok(Number(row['access_unit_index']) < 10_000);
  }
});

test('bad input gets the answers of the contract, no stack trace, and the same process goes on', async (t) => {
  const emulator = await startTestEmulator(t);
  const service = await startService(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  const amplified = `{"event_type":"Granted","event_time":1,"data":{"justification":"${'x'.repeat(60_000)}","access_groups":[{"access_units":[${'{},'.repeat(5_000)}{}]}]}}`;
  const deep = `{"event_type":"x","event_time":1,"data":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`;
  const cases: readonly (readonly [string | Uint8Array, Record<string, string>, number, string])[] = [
    [event('x'), { authorization: 'Bearer ' }, 401, 'authorization_not_bearer'],
    [event('x'), { authorization: 'Basic abc' }, 401, 'authorization_not_bearer'],
    [event('x'), { authorization: `Bearer ${SECRET}x` }, 401, 'secret_wrong'],
    ['{"broken":', {}, 400, 'body_not_json'],
    ['', {}, 400, 'body_not_json'],
    ['{"no":"event"}', {}, 422, 'unknown_kind'],
    ['[]', {}, 422, 'no_event'],
    ['"text"', {}, 422, 'schema_mismatch'],
    ['{"event_type":"x","event_time":"never","data":{}}', {}, 422, 'schema_mismatch'],
    [deep, {}, 422, 'nested_too_deep'],
    [amplified, {}, 422, 'too_many_bytes'],
    [Buffer.alloc(6_000_000, 'x'), {}, 413, 'body_too_large'],
    // Kept, since it is plain.
    [event('x'), { 'content-encoding': 'br' }, 415, 'encoding_unsupported'],
  ];
  for (const [body, headers, status, code] of cases) {
    const response = await service.post(body, headers);
    const text = await response.text();
    assert.deepEqual([response.status, (JSON.parse(text) as Json)['code']], [status, code], text);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.doesNotMatch(text, /\bat .*\.ts:|node:internal|a-secret-for-the-tests/);
    const isQuarantined = status === 400 || status === 422 || status === 415;
    assert.equal((JSON.parse(text) as Json)['quarantined'], isQuarantined ? true : undefined);
  }
  const missing = await fetch(service.url('/apono/webhook'), { method: 'POST', body: event('x') });
  assert.deepEqual([missing.status, (await answerOf(missing))['code']], [401, 'secret_missing']);
  for (const method of ['GET', 'DELETE', 'PATCH']) {
    const response = await fetch(service.url('/apono/webhook'), {
      method,
      headers: { authorization: `Bearer ${SECRET}` },
    });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST, PUT']);
  }
  assert.equal((await service.post(event('well'))).status, 200);
  assert.ok(
    service.logs.every((line) => line['text'] === undefined),
    'nothing but log lines on stderr',
  );
});

test('200 webhooks while Azure answers 503, kill -9, restart, Azure well again: every row, none twice', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const first = await startServiceProcess(t, env);
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => first.post(event(`r-${i}`)).then(answerOf)));
  assert.ok(answers.every((answer) => answer['status'] === 'accepted'));
  await emulator.waitFor(() => emulator.requests.some(({ kind }) => kind === 'ingest'));
  first.child.kill('SIGKILL');
  await first.exited;
  // A call that the kill cut off is still answered as planned: Azure well again in the middle of it would take its rows.
  await emulator.waitFor(() => emulator.requests.every(({ outcome }) => outcome !== 'pending'));
  emulator.clearPlan();
  const second = await startService(t, env);
  await emulator.waitFor(() => emulator.rowCount(requestStream) === 200);
  const health = async () => answerOf(await fetch(second.url('/healthz')));
  await eventually(async () => ((await health())['outbox'] as Json)['waiting'] === 0);
  const ids = emulator.rows(requestStream).map((row) => row['row_id']);
  assert.equal(new Set(ids).size, 200);
  assert.equal(ids.length, 200);
  assert.deepEqual(new Set(ids), new Set(answers.map((answer) => `${answer['event_id']}-0`)));
});

test('SIGTERM: what was accepted is finished or kept, exit 0; a second signal within a second is the same one', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const service = await startServiceProcess(t, env);
  emulator.plan({ target: 'ingest', answer: { type: 'pass', delayMs: 300 } });
  await service.post(event('a'));
  await emulator.waitFor(() => emulator.requests.some(({ kind }) => kind === 'ingest'));
  service.child.kill('SIGTERM');
  await service.stop();
  assert.equal(emulator.rowCount(requestStream), 1);
});

test('copies of the signal that keep coming to the very end do not make an orderly end a killed one', async (t) => {
  const emulator = await startTestEmulator(t);
  for (let round = 0; round < 3; round++) {
    const service = await startServiceProcess(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
    // For less than a second, after which a signal counts as a second one: a stop can take longer than that.
    const rain = setInterval(() => service.child.kill('SIGTERM'), 1);
    setTimeout(() => clearInterval(rain), 400).unref();
    try {
      assert.deepEqual(await service.exited, { code: 0, signal: null });
    } finally {
      clearInterval(rain);
    }
  }
});

// dash forks where bash would exec: a shell between npm and node would die of the signal and leave node behind.
test('npm start passes signals and exit codes on', { skip: process.platform === 'win32' }, async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const npm = { command: 'npm', args: ['start', '--silent'] };
  const wrong = spawnService(t, { ...env, APONO_WEBHOOK_SECRET: 'short' }, npm);
  assert.equal((await wrong.exited).code, 2);
  for (const toGroup of [false, true]) {
    const service = spawnService(t, env, npm);
    const { port } = await service.ready;
    process.kill((toGroup ? -1 : 1) * Number(service.child.pid), 'SIGTERM');
    assert.deepEqual(await service.exited, { code: 0, signal: null });
    await assert.rejects(fetch(`http://127.0.0.1:${port}/livez`));
  }
});

test('SIGUSR1 does not open the inspector, however the service was started', {
  skip: process.platform === 'win32',
}, async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  assert.ok(nodeOptions().includes('--disable-sigusr1'), 'npm start closes the time before the service has begun');
  for (const options of [nodeOptions(), []]) {
    const service = spawnService(t, env, { command: process.execPath, args: [...options, mainFile, 'serve'] });
    const { port } = await service.ready;
    service.child.kill('SIGUSR1');
    assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
    service.child.kill('SIGTERM');
    assert.deepEqual(await service.exited, { code: 0, signal: null });
    const texts = service.logs.flatMap(({ text }) => (typeof text === 'string' ? [text] : []));
    assert.deepEqual(texts, [], 'Node says where its debugger listens');
  }
});

test('a stop that would take longer than SHUTDOWN_TIMEOUT_MS gives the upload back and ends in time', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), SHUTDOWN_TIMEOUT_MS: '2500' };
  const service = await startService(t, env);
  emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
  await service.post(event('a'));
  await emulator.waitFor(() => emulator.requests.some(({ kind }) => kind === 'ingest'));
  await service.stop();
  await startService(t, env);
  await emulator.waitFor(() => emulator.rowCount(requestStream) === 1);
});

test('a second serve on the same folder ends with a clear error, the first goes on', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const first = await startService(t, env);
  const second = spawnService(t, env);
  assert.equal((await second.exited).code, 1);
  assert.ok(
    second.logs.some((line) => line['code'] === 'outbox_locked'),
    JSON.stringify(second.logs),
  );
  assert.equal((await first.post(event('a'))).status, 200);
});

test('a taken port and a wrong configuration end the start, with 1 and 2', async (t) => {
  const emulator = await startTestEmulator(t);
  const first = await startService(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  const other = serviceEnv(emulator, await serviceFiles(t, emulator));
  const taken = await failToServe({ ...other, PORT: String(first.port) });
  assert.equal(taken.exitCode, 1);
  assert.ok(taken.logs.some((line) => line['code'] === 'EADDRINUSE'));
  const wrong = await failToServe({ ...other, APONO_WEBHOOK_SECRET: 'short' });
  assert.equal(wrong.exitCode, 2);
});

test('the default admin port in use costs the metrics and no webhook; one that was chosen must be there', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ADMIN_PORT: _any, ...env } = serviceEnv(emulator, await serviceFiles(t, emulator));
  const other = createServer();
  // Whoever has it, this test or another program: it is taken.
  await new Promise<void>((resolve) => other.once('error', () => resolve()).listen(9090, '127.0.0.1', resolve));
  t.after(() => other.close());
  const service = await startService(t, env);
  assert.ok(service.logs.some((line) => line['code'] === 'admin_port_taken' && line['level'] === 'error'));
  assert.equal((await service.post(event('a'))).status, 200);
  await emulator.waitFor(() => emulator.rowCount(requestStream) === 1);
  await service.stop();
  const chosen = await failToServe({ ...env, ADMIN_PORT: '9090' });
  assert.equal(chosen.exitCode, 1);
});

test('past OUTBOX_MAX_BYTES: 503 with Retry-After and not ready, never a 2xx or a 4xx; room again after delivery', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), OUTBOX_MAX_BYTES: '400000' };
  const service = await startService(t, env);
  const big = (id: string) =>
    JSON.stringify({ event_type: 'Granted', event_time: 1, data: { id, justification: 'x'.repeat(20_000) } });
  let accepted = 0;
  let refused: Response | null = null;
  while (refused === null) {
    const response = await service.post(big(`r-${accepted}`));
    if (response.status === 200) accepted++;
    else refused = response;
    assert.ok(accepted < 100);
  }
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.equal((await service.post('{"broken":'.padEnd(30_000))).status, 503, 'there is no room for quarantine either');
  emulator.clearPlan();
  await emulator.waitFor(() => emulator.rowCount(requestStream) === accepted);
  await eventually(async () => (await service.post(big('after'))).status === 200);
  assert.equal((await fetch(service.url('/readyz'))).status, 200);
});

test('a hold shows in /healthz with what to fix, /readyz stays 200', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.setPublisherRole(false);
  const service = await startService(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  await service.post(event('a'));
  const health = async () => {
    const response = await fetch(service.url('/healthz'));
    return { status: response.status, body: await answerOf(response) };
  };
  await eventually(async () => (await health()).body['hold'] !== null);
  const held = await health();
  assert.equal(held.status, 503);
  assert.match(String((held.body['hold'] as Json)['fix']), /Monitoring Metrics Publisher/);
  assert.deepEqual([(held.body['outbox'] as Json)['held'], (held.body['outbox'] as Json)['waiting']], [1, 0]);
  assert.equal((await fetch(service.url('/readyz'))).status, 200);
  emulator.setPublisherRole(true);
  await emulator.waitFor(() => emulator.rowCount(requestStream) === 1);
  await eventually(async () => (await health()).status === 200);
});

test('no secret, token, justification, name or e-mail address stands in the log of all that', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), LOG_LEVEL: 'trace' };
  const service = await startService(t, env);
  for (const body of [
    requestBodies['every-field'] ?? '',
    requestBodies['recipe'] ?? '',
    '{"zoe@example.com":',
    '{"event_type":"zoe@example.com"}',
  ]) {
    await service.post(body, { 'x-apono-feed': 'zoe@example.com' });
  }
  await service.post(event('x'), { authorization: 'Bearer a-wrong-one-zoe@example.com' });
  emulator.plan({
    target: 'ingest',
    times: 1,
    answer: { type: 'status', status: 400, body: { error: { code: 'Bad', message: 'zoe@example.com is bad' } } },
  });
  await service.post(event('y'));
  await emulator.waitFor(() => emulator.rowCount(requestStream) >= 6);
  emulator.setClientSecret('another');
  emulator.revokeTokens();
  await service.post(event('z'));
  await eventually(() => service.logs.some((line) => line['fix'] !== undefined));
  await service.stop();
  const text = service.logs.map((line) => JSON.stringify(line)).join('\n');
  assert.ok(service.logs.length > 10);
  for (const secret of [SECRET, emulator.clientSecret, 'example.com', 'INC-4411', 'Zoë', 'a-wrong-one', 'eyJ']) {
    assert.ok(!text.includes(secret), `${secret} stands in the log: ${text}`);
  }
});
