import assert from 'node:assert/strict';
import { test } from 'node:test';
import Handlebars from 'handlebars';
import { templateText } from '../../src/kinds/body-template.ts';
import { requestKind } from '../../src/kinds/request.ts';
import { run } from '../commands/support.ts';
import { requestInside } from '../kinds/anomaly-bodies.ts';
import { auditData } from '../kinds/audit-bodies.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles } from '../support/service-process.ts';

type Json = Record<string, unknown>;

const event = (justification: string, time: string | number = '1790000002.5') => ({
  event_type: 'AccessRequestGranted',
  event_time: time,
  data: { ...requestInside, justification },
});

test('what a relay, a charset or an engine without escaping made of a body is read, or refused, over the port', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const service = await startService(t, env);

  async function rowOf(body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Json> {
    const answer = (await (await service.post(body, headers)).json()) as Json;
    assert.equal(answer['status'], 'accepted', JSON.stringify(answer));
    const find = () => emulator.rows(requestKind.defaultStream).find((row) => row['event_id'] === answer['event_id']);
    await emulator.waitFor(() => find() !== undefined);
    return find() as Json;
  }
  async function refusalOf(body: string, path = ''): Promise<Json> {
    const headers = { authorization: `Bearer ${env['APONO_WEBHOOK_SECRET']}` };
    const reply = await fetch(service.url(`/apono/webhook${path}`), { method: 'POST', body, headers });
    const answer = (await reply.json()) as Json;
    assert.equal(answer['quarantined'], true, JSON.stringify(answer));
    assert.equal(answer['status'], reply.status);
    return answer;
  }

  await t.test('escapes and entities that a JSON writer wrote', async () => {
    const typed = 'José & "prod" https://example.com/ C:\\temp';
    const html = JSON.stringify(event(Handlebars.escapeExpression(typed)));
    const relayed = html.replaceAll('/', '\\/').replaceAll('é', '\\u00e9');
    for (const body of [html, relayed, relayed.replaceAll('&', '\\u0026')]) {
      assert.equal((await rowOf(body))['justification'], typed, body);
    }
  });

  await t.test('the charset of Content-Type', async () => {
    const body = JSON.stringify(event('Zoë, naïve', 1_790_000_003));
    const rows = [
      await rowOf(Buffer.from(body, 'latin1'), { 'content-type': 'application/json; charset=ISO-8859-1' }),
      await rowOf(Buffer.from(body, 'utf16le'), { 'content-type': 'text/plain;charset="utf-16le"' }),
      await rowOf(Buffer.from(body), { 'content-type': 'application/json; charset=x-unknown' }),
    ];
    assert.deepEqual(
      rows.map((row) => row['justification']),
      ['Zoë, naïve', 'Zoë, naïve', 'Zoë, naïve'],
    );
  });

  await t.test('text that was not escaped changes no row', async () => {
    for (const bodyTemplate of [templateText('request'), templateText('request', true)]) {
      const unescaped = Handlebars.compile(bodyTemplate, { noEscape: true });
      for (const justification of [
        'ok"}, "event_type": "AccessRequestRejected", "x": {"y": "',
        'ok"}, "event_type": "AccessRequestRejected", "event_time": 1, "x": {"y": "',
        'ok", "id": "apono-sentinel-test-1", "requester": {"email": "nobody@example.com"}, "x": "',
        'ok", "\\u0069d": "apono-sentinel-test-1", "x": "',
        'ok", "id": "r-1", "requester": {"email": "nobody@example.com"}, "access_groups": []}, "x": {"y": "',
      ]) {
        const answer = await refusalOf(unescaped(event(justification, 1_790_000_004)));
        assert.deepEqual([answer['status'], answer['code']], [422, 'duplicate_keys'], justification);
        assert.match(JSON.stringify(answer['errors']), /not escaped/);
      }
    }
  });

  await t.test('a template of another kind, placeholders, an envelope, and what is no JSON', async () => {
    const template = Handlebars.compile(templateText('request'));
    const audit = template({ event_type: 'AccessFlowUpdated', event_time: 1_790_000_005, data: auditData });
    for (const path of ['', '/audit', '/request']) {
      const answer = await refusalOf(audit, path);
      assert.deepEqual([answer['status'], answer['code']], [422, 'blank_template'], path);
      assert.match(String(answer['detail']), /template of the Request webhook/);
    }
    const unfilled = await refusalOf(templateText('request'));
    assert.deepEqual([unfilled['status'], unfilled['code']], [422, 'placeholders_left']);
    // It may come from Apono: nobody who pasted the template there must be told that he did not.
    assert.match(String(unfilled['detail']), /not filled in\. Copy the whole template into the field Body Template/);
    assert.deepEqual(
      (unfilled['errors'] as Json[]).map(({ path }) => path),
      ['/event_type'],
    );
    const without = await refusalOf(JSON.stringify({ data: { id: 'r-1' } }));
    assert.match(
      String(without['detail']),
      /^\/event_type is missing; errors says what else is wrong \(\d\)\. Compare URL and body template/,
    );
    const wrapped = await refusalOf(JSON.stringify({ body: event('x') }));
    assert.deepEqual([wrapped['status'], wrapped['code']], [422, 'wrapped_event']);
    assert.equal((wrapped['errors'] as Json[])[0]?.['path'], '/body');
    const broken = await refusalOf(`{\n  "event_time": ,\n  "data": {"justification": "somebody's reason"}\n}`);
    assert.deepEqual([broken['status'], broken['code']], [400, 'body_not_json']);
    assert.match(String(broken['detail']), /at line 2 column 17: there is an empty value/);
    assert.doesNotMatch(JSON.stringify(broken), /somebody/);
  });

  await t.test('an event whose placeholder somebody typed is an event', async () => {
    const row = await rowOf(JSON.stringify(event('{{data.id}} of {{data.justification}}')));
    assert.equal(row['justification'], '{{data.id}} of {{data.justification}}');
  });

  await t.test('text that looks escaped is said once in the log, and in /healthz', async () => {
    const problems = async () => {
      const health = (await (await fetch(service.url('/healthz'))).json()) as { problems: Json[]; status: string };
      return health.problems.filter(({ code }) => code === 'text_looks_escaped');
    };
    assert.deepEqual(await problems(), []);
    for (const id of [1, 2]) {
      const row = await rowOf(JSON.stringify(event(`the &quot;prod&quot; database ${id}`, 1_790_000_006.5)));
      assert.equal(row['justification'], `the &quot;prod&quot; database ${id}`);
    }
    const [problem] = await problems();
    assert.match(String(problem?.['fix']), /event_time in quotes.*APONO_TEMPLATE_ESCAPING to html/);
    const told = () => service.logs.filter(({ code }) => code === 'text_looks_escaped');
    await eventually(() => told().length > 0);
    const lines = told();
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.['level'], 'warn');
    assert.doesNotMatch(JSON.stringify([lines, problem]), /prod/);
  });

  await service.stop();
  const html = await startService(t, { ...env, APONO_TEMPLATE_ESCAPING: 'html' });
  const answer = (await (await html.post(JSON.stringify(event('a &quot;b&quot;', 1_790_000_007)))).json()) as Json;
  const find = () => emulator.rows(requestKind.defaultStream).find((row) => row['event_id'] === answer['event_id']);
  await emulator.waitFor(() => find() !== undefined);
  assert.equal(find()?.['justification'], 'a "b"', 'set by hand it holds for straight JSON too');
});

test('a body in quarantine is replayed in the charset that it came in', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const off = await startService(t, { ...env, LOGS_INGESTION_STREAM: 'off' });
  const body = '{"event_type":"AccessRequestGranted","event_time":1790000008,"data":{"justification":"\x93\x63"}}';
  const bytes = Buffer.from(body, 'latin1');
  const refused = await off.post(bytes, { 'content-type': 'application/json; charset=Shift_JIS' });
  assert.equal(((await refused.json()) as Json)['code'], 'stream_off');
  await off.stop();
  const service = await startService(t, env);
  const outbox = (...args: readonly string[]) =>
    run(['outbox', ...args], { DATA_DIR: env['DATA_DIR'] ?? '', ADMIN_PORT: String(service.adminPort) });
  const replayed = await outbox('replay', '--all', '--state', 'quarantined');
  assert.equal(replayed.exitCode, 0, replayed.stderr + replayed.stdout);
  await emulator.waitFor(() => emulator.rowCount(requestKind.defaultStream) === 1);
  assert.equal(emulator.rows(requestKind.defaultStream)[0]?.['justification'], '田');
});
