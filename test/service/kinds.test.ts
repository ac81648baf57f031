import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '../../src/ground/json.ts';
import { anomalyKind } from '../../src/kinds/anomaly.ts';
import { auditKind } from '../../src/kinds/audit.ts';
import { templateText, testEvent } from '../../src/kinds/body-template.ts';
import { integrationKind } from '../../src/kinds/integration.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { kindNamed, kinds } from '../../src/kinds/registry.ts';
import { requestKind } from '../../src/kinds/request.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { run } from '../commands/support.ts';
import { anomalyBodies } from '../kinds/anomaly-bodies.ts';
import { auditBodies, documentedAuditTemplate } from '../kinds/audit-bodies.ts';
import { awkward, awkwardAnomaly, awkwardAudit, awkwardIntegration, awkwardRequest } from '../kinds/awkward-events.ts';
import { documentedIntegrationTemplate, integrationBodies } from '../kinds/integration-bodies.ts';
import { requestBodies } from '../kinds/request-bodies.ts';
import { pick, render } from '../kinds/support.ts';
import { Exposition } from '../metrics/exposition.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { privateTexts } from '../support/log-secrets.ts';
import { startService } from '../support/service.ts';
import { SECRET, type Service, serviceEnv, serviceFiles } from '../support/service-process.ts';

type Json = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly body: Json;
}

interface Running {
  readonly emulator: Emulator;
  readonly service: Service;
  readonly env: Record<string, string | undefined>;
}

async function start(t: TestContext, over: Record<string, string> = {}): Promise<Running> {
  const emulator = await startTestEmulator(t);
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), ...over };
  return { emulator, service: await startService(t, env), env };
}

async function sendTo(service: Service, path: string, body: string, method = 'POST'): Promise<Answer> {
  service.keepOutOfLog(privateTexts(body));
  const response = await fetch(service.url(path), { method, body, headers: { authorization: `Bearer ${SECRET}` } });
  return { status: response.status, body: (await response.json()) as Json };
}

/** Sends it and waits for its rows. */
async function rowsOf({ emulator, service }: Running, path: string, kind: WebhookKind, body: string): Promise<Row[]> {
  const answer = await sendTo(service, path, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.deepEqual(pick(answer.body as Row, ['kind', 'duplicate']), { kind: kind.name, duplicate: false });
  const rows = () =>
    emulator
      .rows(kind.defaultStream)
      .filter((row) => row['event_id'] === answer.body['event_id'])
      .sort((a, b) => String(a['row_id']).localeCompare(String(b['row_id'])));
  await emulator.waitFor(() => rows().length === answer.body['rows']);
  return rows();
}

function eachOf({ bodyTemplate, name }: WebhookKind): string {
  assert.ok(bodyTemplate.eachNotes !== undefined, name);
  return templateText(name, true);
}

const richBodies: Readonly<Record<string, string | undefined>> = {
  request: requestBodies['documented'],
  audit: auditBodies['json'],
  anomaly: anomalyBodies['whole-request'],
  integration: integrationBodies['json'],
};

/** Of every kind, its test event where there is no richer one. */
const bodies = kinds.map(
  (kind) => [kind, richBodies[kind.name] ?? JSON.stringify(testEvent(kind.name, 1763719200000, 'random'))] as const,
);

test('each kind arrives in its own stream with the columns of its table, by content and by path, and once', async (t) => {
  const running = await start(t);
  const { emulator, service } = running;
  for (const [kind, body] of bodies) {
    const rows = await rowsOf(running, '/apono/webhook', kind, body);
    const columns = kind.table.columns.map(({ name }) => name);
    for (const row of rows) {
      assert.deepEqual(
        columns.filter((column) => !(column in row)),
        [],
      );
    }
    // The path changes nothing of what the event is.
    for (const method of ['POST', 'PUT']) {
      const again = await sendTo(service, `/apono/webhook/${kind.name}`, body, method);
      assert.deepEqual(pick(again.body as Row, ['kind', 'duplicate', 'rows', 'event_id']), {
        kind: kind.name,
        duplicate: true,
        rows: rows.length,
        event_id: rows[0]?.['event_id'],
      });
    }
  }
  const mixed = bodies.map(([, body]) => JSON.parse(body) as JsonObject);
  const together = await sendTo(service, '/apono/webhook', JSON.stringify(mixed.map((one) => ({ ...one, more: 1 }))));
  assert.equal(together.status, 200, JSON.stringify(together.body));
  assert.deepEqual(
    (together.body['events'] as Json[]).map(({ kind }) => kind),
    bodies.map(([kind]) => kind.name),
  );
  await eventually(() => kinds.every(({ defaultStream }) => emulator.rows(defaultStream).length >= 2));
  const fixed = await sendTo(service, '/apono/webhook/audit', JSON.stringify(mixed));
  assert.deepEqual([fixed.status, fixed.body['code']], [422, 'kind_mismatch']);
  assert.equal((fixed.body['errors'] as Json[])[0]?.['path'], '/0');
  const metrics = new Exposition(await (await fetch(`http://127.0.0.1:${service.adminPort}/metrics`)).text());
  for (const [kind] of bodies) {
    const action = kind === requestKind ? 'Created' : 'Other';
    const events = (outcome: string) =>
      metrics.value('apono_sentinel_events_total', { kind: kind.name, action, outcome });
    assert.deepEqual([events('accepted'), events('duplicate')], [2, 2], kind.name);
    const delivered = metrics.value('apono_sentinel_delivered_rows_total', { stream: kind.defaultStream });
    const accepted = metrics.value('apono_sentinel_accepted_rows_total', { kind: kind.name });
    assert.equal(accepted, emulator.rows(kind.defaultStream).length);
    assert.ok((delivered ?? 0) > 0);
  }
});

test('an odd optional field keeps no event away: its column is null, and the row and a metric say so', async (t) => {
  const running = await start(t, { FLUSH_INTERVAL_MS: '0' });
  const data = { id: 'r-odd', requester: { email: 'zoe@example.com' } };
  const granted = (event_time: number, fields: object, over: object = {}) =>
    JSON.stringify({ event_type: 'RequestGranted', event_time, data: { ...data, ...fields }, ...over });
  const never = '0001-01-01T00:00:00Z';
  const cases: readonly (readonly [string, Row])[] = [
    ...[-1, 0, 'Never', never, '31556889864403199.999999999', ' '].map(
      (value, index) =>
        [
          granted(1763719200 + index, { revocation_date: value }),
          { revocation_at: null, invalid_fields: { revocation_date: String(value) } },
        ] as const,
    ),
    [
      granted(1763719210, { access_duration_in_seconds: 'PT1H', access_groups: 'null' }),
      {
        access_duration_seconds: null,
        access_unit_count: 0,
        invalid_fields: { access_groups: 'null', access_duration_in_seconds: 'PT1H' },
      },
    ],
    [
      granted(1763719211, { approvals: [{ status: 'Approved', approver: 'bob@example.com' }] }),
      { approver_emails: ['bob@example.com'], invalid_fields: { 'approvals[0].approver': 'bob@example.com' } },
    ],
    [
      granted(1763719212, { revocation_date: 1763722800123 }),
      { revocation_at: '2025-11-21T11:00:00.123000Z', invalid_fields: null },
    ],
    [
      granted(0, { access_groups: '[{"access_units":[{"resource":{"id":"r-1"}}]}]' }, { event_time: '1763719213' }),
      { resource_id: 'r-1', access_unit_count: 1, invalid_fields: null },
    ],
  ];
  for (const [body, expected] of cases) {
    const [row] = await rowsOf(running, '/apono/webhook', requestKind, body);
    assert.deepEqual(pick(row, Object.keys(expected)), expected);
    assert.deepEqual(pick(row, ['request_id', 'event_action']), { request_id: 'r-odd', event_action: 'Granted' });
  }
  for (const [kind, body] of [
    [auditKind, auditBodies['odd-fields'] ?? ''],
    [anomalyKind, anomalyBodies['odd-fields'] ?? ''],
    [integrationKind, integrationBodies['odd-fields'] ?? ''],
  ] as const) {
    for (const row of await rowsOf(running, '/apono/webhook', kind, body)) assert.notEqual(row['invalid_fields'], null);
  }
  const { adminPort } = running.service;
  const metrics = new Exposition(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text());
  assert.deepEqual(metrics.nonZero('apono_sentinel_events_with_invalid_fields_total'), {
    'kind=request': 8,
    'kind=audit': 1,
    'kind=anomaly': 1,
    'kind=integration': 1,
  });
});

test('an event time that is none is refused, and the body is kept', async (t) => {
  const { service } = await start(t);
  for (const time of [0, -1, 'Never', '9999-12-31T23:59:59Z', null, 9e16]) {
    const body = JSON.stringify({ event_type: 'RequestGranted', event_time: time, data: { id: 'r' } });
    const answer = await sendTo(service, '/apono/webhook', body);
    assert.deepEqual(pick(answer.body as Row, ['code', 'quarantined']), { code: 'schema_mismatch', quarantined: true });
    assert.deepEqual(
      (answer.body['errors'] as Json[]).map(({ path }) => path),
      ['/event_time'],
    );
  }
});

/** Sends what a template makes of an event, to where the kind's webhook is to send it. */
type Send = (kind: WebhookKind, template: string, event: JsonObject) => Promise<readonly Row[]>;

const ofKind: Readonly<Record<string, (send: Send, text: string) => Promise<void>>> = {
  async request(send, text) {
    const names = [
      'resource_id',
      'resource_name',
      'permission',
      'integration_name',
      'justification',
      'units_truncated',
    ];
    for (const template of [templateText('request'), eachOf(requestKind)]) {
      const rows = await send(requestKind, template, awkwardRequest(text));
      assert.deepEqual(
        rows.map((row) => Object.values(pick(row, names))),
        ['r-1', 'r-2', 'r-3'].map((id) => [id, text, text, text, text, false]),
      );
    }
  },

  async audit(send, text) {
    const names = ['actor_name', 'target_name', 'metadata', 'changed_fields', 'metadata_text'];
    for (const [time, template] of [documentedAuditTemplate, templateText('audit')].entries()) {
      // Both render the same body; of another time it is another event.
      const [row] = await send(auditKind, template, { ...awkwardAudit(text), event_time: time + 1 });
      assert.deepEqual(Object.values(pick(row, names)), [text, text, null, null, '[object Object]']);
    }
    const [row] = await send(auditKind, eachOf(auditKind), awkwardAudit(text));
    const metadata = { note: text, empty: '', nested: '[object Object]' };
    assert.deepEqual(Object.values(pick(row, names)), [text, text, metadata, ['name'], null]);
  },

  async anomaly(send, text) {
    const [row] = await send(anomalyKind, templateText('anomaly'), awkwardAnomaly(text));
    const names = ['anomaly_id', 'anomaly_type', 'severity', 'summary', 'request_id', 'requester_email'];
    assert.deepEqual(Object.values(pick(row, names)), ['an-1', 'Sudden', 'High', text, '0e4b6f0e', 'zoe@example.com']);
  },

  async integration(send, text) {
    const names = [
      'integration_name',
      'issue_count',
      'issue_index',
      'issue_status',
      'issue_message',
      'truncated_fields',
    ];
    const plain = templateText('integration');
    for (const [template, count, carried] of [
      [plain, 2, 2],
      [plain, 6, 5],
      [eachOf(integrationKind), 7, 7],
    ] as const) {
      const rows = await send(integrationKind, template, awkwardIntegration(text, count));
      const truncated = carried < count ? ['issue_count'] : null;
      assert.deepEqual(
        rows.map((row) => Object.values(pick(row, names))),
        Array.from({ length: carried }, (_, index) => [text, carried, index, 'Error', `${index} ${text}`, truncated]),
      );
    }
    const [row] = await send(integrationKind, documentedIntegrationTemplate, awkwardIntegration(text, 2));
    assert.deepEqual(Object.values(pick(row, names)), [text, null, 0, null, null, null]);
  },
};

test('what Apono’s documented templates and ours render of awkward events arrives as it was typed', async (t) => {
  const running = await start(t, { FLUSH_INTERVAL_MS: '0' });
  const send: Send = (kind, template, event) => rowsOf(running, kind.bodyTemplate.path, kind, render(template, event));
  for (const [name, check] of Object.entries(ofKind)) {
    await t.test(name, async () => {
      for (const text of awkward) await check(send, text);
    });
  }
});

test('a kind whose stream is off goes into quarantine, by path apart, and is replayed as what its path said', async (t) => {
  const off = {
    LOGS_INGESTION_STREAM_AUDIT: 'off',
    LOGS_INGESTION_STREAM_ANOMALY: 'off',
    LOGS_INGESTION_STREAM_INTEGRATION: 'off',
  };
  const { emulator, service, env } = await start(t, off);
  const others = bodies.filter(([{ streamVariable }]) => Object.hasOwn(off, streamVariable));
  // On its path nothing of it says that it is an anomaly.
  const unnamed = JSON.stringify({ event_type: 'SomethingOdd', event_time: 1763719200, data: { severity: 'High' } });
  for (const [path, body] of [
    ...others.flatMap(([{ name }, body]) => [['', body] as const, [`/${name}`, body] as const]),
    ['/anomaly', unnamed] as const,
  ]) {
    const answer = await sendTo(service, `/apono/webhook${path}`, body);
    assert.deepEqual(pick(answer.body as Row, ['code', 'quarantined']), { code: 'stream_off', quarantined: true });
    assert.match(JSON.stringify(answer.body['errors']), /is of kind \w+, and LOGS_INGESTION_STREAM_\w+ is off/);
    assert.match(String(answer.body['detail']), /the body is of kind .* is off\. The operator .* made Inactive\.$/);
  }
  assert.equal((await sendTo(service, '/apono/webhook', unnamed)).body['code'], 'unknown_kind');
  const [, request = ''] = bodies[0] ?? [];
  assert.equal((await sendTo(service, '/apono/webhook', request)).status, 200, 'the others go on');
  await emulator.waitFor(() => emulator.rowCount(requestKind.defaultStream) === 1);

  await service.stop();
  const streamsOn = Object.fromEntries(Object.entries(env).filter(([name]) => !(name in off)));
  const second = await startService(t, streamsOn);
  const outbox = (...args: readonly string[]) =>
    run(['outbox', ...args, '--json'], { DATA_DIR: env['DATA_DIR'] ?? '', ADMIN_PORT: String(second.adminPort) });
  const listed = JSON.parse((await outbox('list', '--state', 'quarantined')).stdout).records as Json[];
  assert.equal(listed.length, 8, 'the same body on two paths is kept twice, since it may mean two things');
  assert.deepEqual(
    listed.map(({ kind }) => kind ?? null).sort(),
    [null, null, null, null, ...['anomaly', 'anomaly', 'audit', 'integration']].sort(),
  );
  const replayed = await outbox('replay', '--all', '--state', 'quarantined', '--code', 'stream_off');
  assert.equal(replayed.exitCode, 0, replayed.stderr + replayed.stdout);
  const expected: Readonly<Record<string, number>> = { audit: 1, anomaly: 2, integration: 2 };
  for (const [name, count] of Object.entries(expected)) {
    const stream = kindNamed(name)?.defaultStream ?? '';
    await emulator.waitFor(() => emulator.rowCount(stream) === count);
  }
  assert.deepEqual(
    emulator
      .rows(anomalyKind.defaultStream)
      .map((row) => row['event_type'])
      .sort(),
    ['RequestAnomalyDetected', 'SomethingOdd'],
  );
  // What no path named stays what it was: a guess of later would be one too.
  const left = JSON.parse((await outbox('list', '--state', 'quarantined')).stdout).records as Json[];
  assert.deepEqual(
    left.map(({ code, kind }) => [code, kind ?? null]),
    [['unknown_kind', null]],
  );
});

test('send-test sends each kind, whose row is marked as a test', async (t) => {
  const { emulator, service } = await start(t);
  for (const { name, defaultStream } of kinds) {
    const env = { APONO_WEBHOOK_SECRET: SECRET, HOST: '127.0.0.1', PORT: String(service.port) };
    const sent = await run(['send-test', '--kind', name, '--json'], env);
    assert.equal(sent.exitCode, 0, sent.stderr);
    assert.equal(JSON.parse(sent.stdout).kind, name);
    await emulator.waitFor(() => emulator.rowCount(defaultStream) === 1);
    assert.equal(emulator.rows(defaultStream)[0]?.['is_test'], true);
  }
});
