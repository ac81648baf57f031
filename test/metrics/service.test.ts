import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import type { Emulator } from '../support/azure/emulator.ts';
import { startTestEmulator, requestStream as stream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { SECRET, type Service, serviceEnv, serviceFiles } from '../support/service-process.ts';
import { Exposition, textOf } from './exposition.ts';
import { withoutPromtool } from './promtool.ts';

const PREVIOUS = 'the-secret-of-yesterday';

interface Running {
  readonly emulator: Emulator;
  readonly service: Service;
  text(): Promise<string>;
  read(): Promise<Exposition>;
}

async function start(t: TestContext, env: Record<string, string> = {}): Promise<Running> {
  const emulator = await startTestEmulator(t);
  const variables = serviceEnv(emulator, await serviceFiles(t, emulator));
  const service = await startService(t, { ...variables, ...env });
  const text = async () => {
    const response = await fetch(`http://127.0.0.1:${service.adminPort}/metrics`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    return response.text();
  };
  return { emulator, service, text, read: async () => new Exposition(await text()) };
}

function event(id: string, type: string, units = 1): object {
  const access_units = Array.from({ length: units }, (_, index) => ({
    resource: { id: `db-${index}`, name: `database ${index}` },
    permission: { id: 'READ', name: 'READ' },
  }));
  return {
    event_type: type,
    event_time: Date.now() / 1000,
    data: {
      id,
      justification: 'INC-4411: the replica lags',
      requester: { id: 'u-1', name: 'Zoë Müller', email: 'zoe@example.com' },
      access_groups: [{ integration: { id: 'i', type: 't', name: 'n' }, access_units }],
    },
  };
}

const seriesOf = (exposition: Exposition) =>
  exposition.samples
    .map(({ name, labels }) => `${name} ${textOf(labels)}`)
    .filter((series) => !/_nodejs_/.test(series));

test('what the admin port refuses counts under its route, and the log names who was refused', async (t) => {
  const token = 'the-token-of-the-operator';
  const { service } = await start(t, { ADMIN_TOKEN: token });
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`http://127.0.0.1:${service.adminPort}${path}`, { method, headers });
  const authorization = `Bearer ${token}`;
  const read = async () => new Exposition(await (await ask('/metrics', { authorization })).text());
  const atStart = await read();
  const statuses: number[] = [];
  for (const answer of [
    ask('/', { accept: 'application/json' }),
    ask('/admin/v1/status'),
    ask('/metrics', { authorization: 'Bearer guessed-by-somebody' }),
    ask('/admin/v1/outbox/purge', { authorization, origin: 'https://elsewhere.example' }, 'POST'),
    ask('/admin/v1/outbox/purge', {}, 'DELETE'),
    ask('/admin/v1/outbox/purge', { authorization }),
    ask('/no/such/path', { authorization }),
  ]) {
    statuses.push((await answer).status);
  }
  assert.deepEqual(statuses, [401, 401, 401, 403, 401, 405, 404]);
  const after = await read();
  assert.deepEqual(after.nonZero('apono_sentinel_http_requests_total'), {
    'code=401,method=GET,route=admin': 3,
    'code=403,method=POST,route=admin': 1,
    'code=401,method=other,route=admin': 1,
    'code=405,method=GET,route=admin': 1,
    'code=404,method=GET,route=admin': 1,
    'code=200,method=GET,route=metrics': 1,
  });
  const {
    'code=not_found': _,
    'code=method_not_allowed': __,
    ...problems
  } = after.nonZero('apono_sentinel_http_problems_total');
  assert.deepEqual(problems, { 'code=token_missing': 3, 'code=token_wrong': 1, 'code=origin_not_allowed': 1 });
  assert.deepEqual(after.nonZero('apono_sentinel_authentications_total'), {}, 'these are of webhooks alone');
  assert.deepEqual(seriesOf(after), seriesOf(atStart), 'every series was there from the start');
  const refused = service.logs.filter(({ level, route }) => level === 'warn' && route === 'admin');
  assert.deepEqual(
    refused.map(({ code, status, client_address: address }) => [code, status, address]),
    [
      ['token_missing', 401, '127.0.0.1'],
      ['token_missing', 401, '127.0.0.1'],
      ['token_wrong', 401, '127.0.0.1'],
      ['origin_not_allowed', 403, '127.0.0.1'],
      ['token_missing', 401, '127.0.0.1'],
    ],
  );
});

test('the counters of a running service are exactly what was done to it', async (t) => {
  const { emulator, service, text, read } = await start(t, { APONO_WEBHOOK_SECRET_PREVIOUS: PREVIOUS });
  const atStart = await read();
  const startedAt = Date.now() / 1000 - 1;
  const granted = JSON.stringify(event('r-granted', 'RequestGranted', 3));
  const statusOf = async (answer: Promise<Response>) => (await answer).status;
  assert.equal(await statusOf(service.post(granted)), 200);
  assert.equal(await statusOf(service.post(granted)), 200);
  const two = JSON.stringify([event('r-a', 'AccessRequestCreated'), event('r-b', 'Never heard of it')]);
  assert.equal(await statusOf(service.post(two, { authorization: `Bearer ${PREVIOUS}` })), 200);
  assert.equal(await statusOf(service.post('{"broken": zoe@example.com')), 400);
  assert.equal(await statusOf(service.post(Buffer.from('28b52ffd', 'hex'), { 'content-encoding': 'zstd' })), 415);
  assert.equal(await statusOf(service.post(granted, { authorization: 'Bearer guessed-by-somebody' })), 401);
  assert.equal(await statusOf(fetch(service.url('/apono/webhook'), { method: 'PUT', body: granted })), 401);
  assert.equal(await statusOf(fetch(service.url('/apono/webhook'))), 405);
  assert.equal(await statusOf(fetch(service.url('/livez'))), 200);
  assert.equal(await statusOf(fetch(service.url('/zoe@example.com'))), 404);
  await emulator.waitFor(() => emulator.rowCount(stream) === 5);
  await eventually(async () => (await read()).sum('apono_sentinel_outbox_events', { state: 'waiting' }) === 0);

  const body = await text();
  const after = new Exposition(body);
  assert.deepEqual(after.nonZero('apono_sentinel_events_total'), {
    'action=Granted,kind=request,outcome=accepted': 1,
    'action=Granted,kind=request,outcome=duplicate': 1,
    'action=Created,kind=request,outcome=accepted': 1,
    'action=Other,kind=request,outcome=accepted': 1,
    'action=none,kind=none,outcome=quarantined': 1,
    'action=none,kind=none,outcome=rejected': 1,
  });
  const { 'code=200,method=GET,route=metrics': scrapes = 0, ...requests } = after.nonZero(
    'apono_sentinel_http_requests_total',
  );
  assert.ok(scrapes >= 2);
  assert.deepEqual(requests, {
    'code=200,method=POST,route=webhook': 3,
    'code=400,method=POST,route=webhook': 1,
    'code=401,method=POST,route=webhook': 1,
    'code=401,method=PUT,route=webhook': 1,
    'code=405,method=GET,route=webhook': 1,
    'code=415,method=POST,route=webhook': 1,
    'code=200,method=GET,route=livez': 1,
    'code=404,method=GET,route=other': 1,
  });
  assert.deepEqual(after.nonZero('apono_sentinel_authentications_total'), {
    'result=accepted,secret=current': 4,
    'result=accepted,secret=previous': 1,
    'result=missing,secret=none': 1,
    'result=wrong,secret=none': 1,
  });
  assert.ok((after.value('apono_sentinel_previous_secret_last_used_timestamp_seconds') ?? 0) > startedAt);
  assert.equal(after.value('apono_sentinel_accepted_rows_total', { kind: 'request' }), 5);
  assert.equal(after.value('apono_sentinel_delivered_rows_total', { stream }), 5);
  assert.equal(after.value('apono_sentinel_upload_rows_sum', { stream }), 5);
  assert.ok((after.value('apono_sentinel_delivery_latency_seconds_count', { stream }) ?? 0) >= 3);
  assert.ok((after.value('apono_sentinel_last_delivery_timestamp_seconds', { stream }) ?? 0) > startedAt);
  const calls = emulator.requests.filter(({ kind }) => kind === 'ingest').length;
  assert.deepEqual(after.nonZero('apono_sentinel_uploads_total'), {
    [`code=204,outcome=delivered,stream=${stream}`]: calls,
  });
  // Three webhooks and a quarantined body, one after the other; the array is one put of two events.
  assert.equal(after.value('apono_sentinel_outbox_commit_group_puts_sum'), 4);
  assert.equal(after.value('apono_sentinel_outbox_commit_group_events_sum'), 5);
  assert.equal(after.value('apono_sentinel_outbox_commit_duration_seconds_count', { outcome: 'committed' }), 4);
  assert.deepEqual(after.nonZero('apono_sentinel_outbox_events'), { 'state=quarantined': 1 });
  assert.deepEqual(after.nonZero('apono_sentinel_outbox_bytes'), { 'state=quarantined': 26 });
  assert.ok((after.value('apono_sentinel_outbox_used_bytes') ?? 0) > 0);
  assert.ok((after.value('apono_sentinel_disk_size_bytes') ?? 0) > 0);
  assert.deepEqual(after.nonZero('apono_sentinel_token_refreshes_total'), { 'result=obtained,trigger=call': 1 });
  assert.ok((after.value('apono_sentinel_token_expiry_timestamp_seconds') ?? 0) > Date.now() / 1000);

  assert.deepEqual(seriesOf(after), seriesOf(atStart), 'every series was there from the start');
  const series = body.replace(/^#.*\n/gm, '');
  const { tenantId, clientId, clientSecret, ruleId } = emulator;
  const texts = [SECRET, PREVIOUS, 'guessed', tenantId, clientId, clientSecret, ruleId, 'zoe', 'Zoë', 'INC-4411'];
  for (const text of [...texts, 'r-granted', 'database', 'broken', 'v1-', '127.0.0.1', '@']) {
    assert.ok(!series.includes(text), `the exposition holds ${text}`);
  }
});

test('a hold shows with its reason and what it holds, and ends', async (t) => {
  const { emulator, service, read } = await start(t);
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 403 } });
  await service.post(JSON.stringify(event('r-1', 'RequestGranted')));
  await eventually(async () => (await read()).sum('apono_sentinel_hold') === 1);
  const held = await read();
  assert.deepEqual(held.nonZero('apono_sentinel_hold'), { [`reason=role_missing,stream=${stream}`]: 1 });
  assert.deepEqual(held.nonZero('apono_sentinel_outbox_events'), { 'state=held': 1 });
  assert.ok(held.sum('apono_sentinel_outbox_oldest_age_seconds', { state: 'held' }) > 0);
  assert.ok(held.sum('apono_sentinel_uploads_total', { outcome: 'hold', code: '403' }) >= 1);
  assert.equal(held.sum('apono_sentinel_delivered_rows_total'), 0);
  emulator.clearPlan();
  await eventually(async () => (await read()).sum('apono_sentinel_hold') === 0);
  const ended = await read();
  assert.deepEqual(ended.nonZero('apono_sentinel_outbox_events'), {});
  assert.equal(ended.value('apono_sentinel_delivered_rows_total', { stream }), 1);
});

test('a passing failure, a row that Azure refuses and a refused sign-in each leave their mark', async (t) => {
  const { emulator, service, read } = await start(t);
  emulator.plan({ target: 'token', answer: { type: 'status', status: 500 } });
  emulator.plan({ target: 'ingest', answer: { type: 'status', status: 503 } });
  await service.post(JSON.stringify(event('r-1', 'RequestGranted')));
  await emulator.waitFor(() => emulator.rowCount(stream) === 1);
  emulator.plan({ target: 'ingest', answer: { type: 'status', status: 413 } });
  await service.post(JSON.stringify(event('r-2', 'RequestGranted')));
  await eventually(async () => (await read()).sum('apono_sentinel_outbox_events', { state: 'dead' }) === 1);
  const after = await read();
  assert.deepEqual(after.nonZero('apono_sentinel_dead_rows_total'), { [`code=row_too_large,stream=${stream}`]: 1 });
  const uploads = after.nonZero('apono_sentinel_uploads_total');
  assert.equal(uploads[`code=503,outcome=retry,stream=${stream}`], 1);
  assert.equal(uploads[`code=413,outcome=split,stream=${stream}`], 1);
  assert.ok((uploads[`code=no_token,outcome=retry,stream=${stream}`] ?? 0) >= 1);
  assert.ok(after.sum('apono_sentinel_delivery_retries_total') >= 2);
  assert.ok(after.sum('apono_sentinel_token_refreshes_total', { result: 'unreachable' }) >= 1);
});

test('promtool finds nothing to say about the exposition', { skip: withoutPromtool() }, async (t) => {
  const { text } = await start(t);
  const input = await text();
  // It prints what it would rather have otherwise, and fails then.
  assert.equal(execFileSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' }), '');
});
