import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { kindNamed, kinds } from '../../src/kinds/registry.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { azureEnv, requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { findingsOf, run, secret, spawnCli } from './support.ts';

interface Setup {
  readonly emulator: Emulator;
  readonly env: Record<string, string>;
}

async function setUp(t: TestContext): Promise<Setup> {
  const emulator = await startTestEmulator(t);
  return { emulator, env: { ...azureEnv(emulator), APONO_WEBHOOK_SECRET: secret } };
}

/** The same, with the rule's resource id. */
function withRule({ emulator, env }: Setup): Record<string, string> {
  return {
    ...env,
    AZURE_RESOURCE_MANAGER_ENDPOINT: emulator.origin,
    DATA_COLLECTION_RULE_RESOURCE_ID: emulator.ruleResourceId,
  };
}

const blocked = {
  type: 'status',
  status: 200,
  headers: { 'content-type': 'text/html' },
  body: '<html><title>Web Page \u001b[2JBlocked</title></html>',
  foreign: true,
} as const;

describe('check --live', () => {
  it('says that all is well after a 204, stores nothing, and tells that columns were not checked', async (t) => {
    const { emulator, env } = await setUp(t);
    const { exitCode, stdout } = await run(['check', '--live'], env);
    assert.equal(exitCode, 0);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(
      lines.filter((line) => /^ok +stream Custom-\w+_CL \(\w+\): it answers 204$/.test(line)).length,
      kinds.length,
    );
    assert.match(lines[kinds.length] ?? '', /^note +columns not checked$/);
    assert.ok(lines.length <= kinds.length + 3 && lines.every((line) => line.length <= 80), stdout);
    assert.equal(emulator.rowCount(requestStream), 0);
    assert.equal(emulator.requests.filter(({ kind }) => kind === 'ingest').length, kinds.length);
    assert.ok(!stdout.includes(secret) && !stdout.includes(emulator.clientSecret));
  });

  const faults: [string, (emulator: Emulator) => void, RegExp, RegExp][] = [
    [
      '400 InvalidStream',
      (emulator) => emulator.setStream(requestStream, null),
      /answered 400/,
      /Set LOGS_INGESTION_STREAM to/,
    ],
    ['403', (emulator) => emulator.setPublisherRole(false), /answered 403/, /Monitoring Metrics Publisher/],
    ['404', (emulator) => emulator.setRulePresent(false), /answered 404/, /DATA_COLLECTION_RULE_ID is the immutableId/],
    [
      'an expired client secret',
      (emulator) => emulator.setClientSecretExpired(true),
      /AADSTS7000222/,
      /AZURE_CLIENT_SECRET/,
    ],
    [
      '401',
      (emulator) => emulator.plan({ target: 'ingest', answer: { type: 'status', status: 401 }, times: 'forever' }),
      /answered 401/,
      /Fix: /,
    ],
    [
      '503',
      (emulator) => emulator.plan({ target: 'ingest', answer: { type: 'status', status: 503 }, times: 'forever' }),
      /answered 503/,
      /Fix: Run it again\. If it goes on/,
    ],
    [
      '200 with a page of a firewall',
      (emulator) => emulator.plan({ target: 'ingest', times: 'forever', answer: blocked }),
      /answered 200 in place of Azure .* It said: Web Page \\u001b\[2JBlocked /,
      /firewall/,
    ],
    [
      '400 to an empty list',
      (emulator) =>
        emulator.plan({
          target: 'ingest',
          stream: requestStream,
          times: 'forever',
          answer: { type: 'status', status: 400, body: { error: { code: 'Other', message: 'no stream today' } } },
        }),
      /answered 400 \(Other\).* It said: no stream today /,
      /LOGS_INGESTION_STREAM/,
    ],
  ];
  for (const [what, break_, reason, fix] of faults) {
    it(`prints what to fix after ${what} and exits 1`, async (t) => {
      const { emulator, env } = await setUp(t);
      break_(emulator);
      const result = await run(['check', '--live'], env);
      const { exitCode, stdout } = result;
      assert.equal(exitCode, 1);
      const [line = '', ...others] = findingsOf(result).split('\n');
      assert.match(line, /^error +stream Custom-AponoAccessRequests_CL \(request\)/);
      assert.match(line, reason);
      assert.match(line, fix);
      const fixes = [line, ...others].flatMap((one) => one.split(' Fix: ').slice(1));
      assert.equal(new Set(fixes).size, fixes.length, 'what has to be done for several streams is said once');
      assert.ok(
        stdout.split('\n').every((one) => one.length <= 80),
        stdout,
      );
      assert.ok(!stdout.includes(emulator.clientSecret));
    });
  }

  it('prints the settings after the results, and only with --verbose', async (t) => {
    const { env, emulator } = await setUp(t);
    const brief = await run(['check', '--live'], env);
    assert.doesNotMatch(brief.stdout, /^NAME|FLUSH_INTERVAL_MS/m);
    const verbose = await run(['check', '--live', '--verbose'], env);
    assert.ok(verbose.stdout.startsWith(brief.stdout));
    assert.match(verbose.stdout, /^NAME +VALUE +FROM$/m);
    assert.ok(!verbose.stdout.includes(secret) && !verbose.stdout.includes(emulator.clientSecret));
  });

  it('shows what steers a terminal as codes, in the text and in the JSON', async (t) => {
    const { env, emulator } = await setUp(t);
    const nasty = 'red \u001b[31m, C1 \u009b31m, turned \u202e, bell \u0007';
    const body = { error: { code: 'Nasty', message: nasty } };
    emulator.plan({ target: 'ingest', answer: { type: 'status', status: 418, body }, times: 'forever' });
    for (const args of [
      ['check', '--live'],
      ['check', '--live', '--json'],
    ]) {
      const { stdout, stderr } = await run(args, env);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
      if (args.includes('--json')) assert.doesNotThrow(() => JSON.parse(stdout));
    }
  });

  it('prints what to fix when nothing answers', async (t) => {
    const { emulator, env } = await setUp(t);
    await emulator.stop();
    const { exitCode, stdout } = await run(['check', '--live', '--json'], env);
    assert.equal(exitCode, 1);
    const result = JSON.parse(stdout);
    assert.equal(result.ok, false);
    assert.equal(result.live[0].level, 'error');
    assert.match(result.live[0].message, /ECONNREFUSED/);
    assert.notEqual(result.live[0].fix, '');
  });

  it('asks nothing of Azure when the configuration is wrong', async (t) => {
    const { emulator, env } = await setUp(t);
    const { exitCode } = await run(['check', '--live'], { ...env, PORT: 'x' });
    assert.equal(exitCode, 2);
    assert.equal(emulator.requests.length, 0);
  });

  it('works in a process of its own, which then ends by itself', async (t) => {
    const { emulator, env } = await setUp(t);
    const folder = mkdtempSync(join(tmpdir(), 'apono-live-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, emulator.caPem);
    const { exitCode, stdout } = await spawnCli(['check', '--live'], { ...env, NODE_EXTRA_CA_CERTS: ca });
    assert.equal(exitCode, 0);
    assert.match(stdout, /^ok +stream/m);
  });
});

describe('check --live with DATA_COLLECTION_RULE_RESOURCE_ID', () => {
  it('says that all columns pass', async (t) => {
    const result = await run(['check', '--live'], withRule(await setUp(t)));
    const { exitCode } = result;
    const stdout = findingsOf(result);
    assert.equal(exitCode, 0);
    assert.match(stdout, new RegExp(`^ok +columns of ${requestStream}: .*all ${requestColumns.length} columns`, 'm'));
  });

  it('names the columns that the stream does not declare and exits 1', async (t) => {
    const setup = await setUp(t);
    setup.emulator.setStream(
      requestStream,
      requestColumns.filter(({ name }) => name !== 'justification'),
    );
    const result = await run(['check', '--live'], withRule(setup));
    const { exitCode } = result;
    const stdout = findingsOf(result);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^ok +stream/m);
    assert.match(stdout, /^error +columns of .*does not declare justification/m);
  });

  it('names the columns that the table lacks and exits 1', async (t) => {
    const setup = await setUp(t);
    setup.emulator.setTable(
      'AponoAccessRequests_CL',
      requestColumns.filter(({ name }) => name !== 'event_key'),
    );
    const result = await run(['check', '--live'], withRule(setup));
    const { exitCode } = result;
    const stdout = findingsOf(result);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^error +columns of .*event_key/m);
  });

  it('warns of a transformation, which it does not check, and exits 0', async (t) => {
    const setup = await setUp(t);
    setup.emulator.setTransform(requestStream, 'source | project-away justification');
    const result = await run(['check', '--live'], withRule(setup));
    assert.equal(result.exitCode, 0);
    assert.match(
      findingsOf(result),
      /^warning columns of .* is not checked here: source \| project-away justification/m,
    );
  });

  it('only warns when the identity may not read the rule', async (t) => {
    const setup = await setUp(t);
    setup.emulator.setReaderRole(false);
    const result = await run(['check', '--live'], withRule(setup));
    const { exitCode } = result;
    const stdout = findingsOf(result);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^warning columns not checked: .*403/m);
    assert.match(stdout, /Monitoring Reader/);
  });

  it('names the resource provider that the subscription has not registered, and no role', async (t) => {
    const setup = await setUp(t);
    const message = "The subscription is not registered to use namespace 'Microsoft.Insights'.";
    const body = { error: { code: 'MissingSubscriptionRegistration', message } };
    setup.emulator.plan({ target: 'rule', answer: { type: 'status', status: 409, body } });
    const stdout = findingsOf(await run(['check', '--live'], withRule(setup)));
    assert.match(stdout, /^warning columns not checked: .*409 \(MissingSubscriptionRegistration/m);
    assert.match(stdout, /`az provider register --namespace Microsoft\.Insights --subscription [\da-f-]{36} --wait`/);
    assert.doesNotMatch(stdout, /Monitoring Reader/);
  });

  it('fails when it names another rule than DATA_COLLECTION_RULE_ID does', async (t) => {
    const setup = await setUp(t);
    setup.emulator.plan({
      target: 'ingest',
      answer: { type: 'status', status: 204 },
    });
    const env = { ...withRule(setup), DATA_COLLECTION_RULE_ID: 'dcr-ffffffffffffffffffffffffffffffff' };
    const result = await run(['check', '--live'], env);
    assert.equal(result.exitCode, 1);
    assert.match(findingsOf(result), /^error +columns .*immutable id/m);
  });

  it('fails when there is no such rule', async (t) => {
    const setup = await setUp(t);
    const id = setup.emulator.ruleResourceId.replace(/[^/]+$/, 'another-rule');
    const result = await run(['check', '--live'], {
      ...withRule(setup),
      DATA_COLLECTION_RULE_RESOURCE_ID: id,
    });
    assert.equal(result.exitCode, 1);
    assert.match(
      findingsOf(result),
      /^error +columns not checked: Azure answered 404 .* when asked for the rule of DATA_COLLECTION_RULE_RESOURCE_ID/m,
    );
  });
});

describe('a stream of another kind that the rule does not have', () => {
  const audit = kindNamed('audit');
  assert.ok(audit !== undefined);

  for (const [how, extra, level] of [
    ['by default: a warning', {}, 'warning'],
    ['named by its variable: an error', { LOGS_INGESTION_STREAM_AUDIT: 'Custom-AponoAuditLogs_CL' }, 'error'],
  ] as const) {
    it(how, async (t) => {
      const { env, emulator } = await setUp(t);
      emulator.setStream(audit.defaultStream, null);
      const { stdout } = await run(['check', '--live', '--json'], { ...env, ...extra });
      const { live } = JSON.parse(stdout) as { live: { level: string; subject: string; fix: string }[] };
      const odd = live.filter((finding) => finding.level !== 'well');
      assert.deepEqual(
        odd.map(({ level, subject }) => [level, subject]),
        [
          [level, `stream ${audit.defaultStream} (audit)`],
          ['note', 'columns'],
        ],
      );
      assert.match(odd[0]?.fix ?? '', /LOGS_INGESTION_STREAM_AUDIT/);
    });
  }

  it('switched off: not asked for', async (t) => {
    const { env, emulator } = await setUp(t);
    const { stdout } = await run(['check', '--live'], { ...env, LOGS_INGESTION_STREAM_AUDIT: 'off' });
    assert.doesNotMatch(stdout, /audit/i);
    assert.equal(emulator.requests.filter(({ kind }) => kind === 'ingest').length, kinds.length - 1);
  });
});
