import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../src/ground/json.ts';
import type { FaultAnswer } from '../support/azure/faults.ts';
import { throttled } from '../support/azure/faults.ts';
import { sampleName, sampleRuleName } from '../support/azure/sample-incidents.ts';
import { setUpIncidents } from './incidents-fixture.ts';
import { run } from './support.ts';

const workspace =
  '/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/ws';

describe('the configuration of the incidents commands', () => {
  test('is what they need and no more: neither the webhook secret nor the data collection rule', async (t) => {
    const { env } = await setUpIncidents(t, 1);
    assert.equal((await run(['incidents', 'list'], env)).exitCode, 0);
    const { exitCode, stderr } = await run(['incidents', 'list'], {});
    assert.equal(exitCode, 2);
    assert.match(stderr, /^SENTINEL_WORKSPACE_ID: is not set\. It is the resource id .*\/workspaces\/<name>/m);
    assert.doesNotMatch(stderr, /APONO_WEBHOOK_SECRET|DATA_COLLECTION_RULE|LOGS_INGESTION/);
  });

  test('is told in full where it is wrong, and China is refused, where there is no Sentinel', async () => {
    const wrong = await run(['incidents', 'list'], {
      SENTINEL_WORKSPACE_ID: '0b1f6471-1bf0-4dda-aec3-111122223333',
      AZURE_CLIENT_SECRET: 'the-secret-of-the-app',
    });
    assert.equal(wrong.exitCode, 2);
    assert.match(wrong.stderr, /SENTINEL_WORKSPACE_ID: .* is no resource id, expected \/subscriptions\//);
    assert.match(wrong.stderr, /AZURE_TENANT_ID: is not set/);
    assert.ok(!wrong.stderr.includes('the-secret-of-the-app'));
    const china = await run(['incidents', 'export'], { AZURE_CLOUD: 'china', SENTINEL_WORKSPACE_ID: workspace });
    assert.equal(china.exitCode, 2);
    assert.match(china.stderr, /AZURE_CLOUD: is china, where Microsoft Sentinel has been retired/);
  });

  test('is that of the US government where AZURE_CLOUD says so: another audience of the token', async (t) => {
    const { emulator, env } = await setUpIncidents(t, 1);
    assert.equal((await run(['incidents', 'list'], { ...env, AZURE_CLOUD: 'usgov' })).exitCode, 0);
    const scopes = emulator.requests.filter(({ kind }) => kind === 'token').map(({ scope }) => scope);
    assert.deepEqual(scopes, ['https://management.usgovcloudapi.net/.default']);
  });

  const usage: [string[], RegExp][] = [
    [['list', '--limit', '0'], /whole number/],
    [['list', '--status', 'open'], /Known are: New, Active, Closed/],
    [['list', '--since', 'yesterday'], /--since is no time, expected 2026-11-01/],
    [['list', '--since', '1d', '--until', '2d'], /--until must be later/],
    [['list', '--filter', "a eq 'b"], /--filter has a quote/],
    [['list', '--title', ''], /must not be empty/],
    [['list', '--label', ''], /must not be empty/],
    [['list', '--classification', 'open'], /Known are: Undetermined, TruePositive, BenignPositive, FalsePositive/],
    [
      ['list', '--filter', "properties/status eq 'New' and properties/labels/any(i: i/labelName eq 'a')"],
      /--filter holds an any\(\) .* use --label/,
    ],
    [
      ['export', '--filter', "properties/classification eq 'Undetermined'"],
      /--filter asks for .* use --classification Undetermined/,
    ],
    [['show'], /missing required argument/],
    [['show', 'abc'], /"abc" is neither the number of an incident nor its GUID/],
    [['show', '\u001b[31m'], /"\\u001b\[31m" is neither/],
    [['export', '--format', 'xlsx'], /Allowed choices are csv, json, ndjson/],
    [['export', '--with', 'bookmarks'], /Known are: comments, alerts, entities/],
    [['export', '--format', 'json', '--bom'], /--bom goes with --format csv/],
    [['export', '--out', ''], /must name a file/],
    [['export', '--out', './x', '--incremental', 'x'], /name the same file/],
  ];
  for (const [args, expected] of usage) {
    test(`exit code 2 for ${JSON.stringify(args)}`, async () => {
      const { exitCode, stdout, stderr } = await run(['incidents', ...args], { SENTINEL_WORKSPACE_ID: workspace });
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, expected);
    });
  }
});

describe('incidents list', () => {
  test('is a table, newest first, one line each, with nothing in it that steers a terminal', async (t) => {
    const { env } = await setUpIncidents(t, 60);
    const { exitCode, stdout, stderr } = await run(['incidents', 'list', '--limit', '53'], env);
    assert.equal(exitCode, 0);
    const lines = stdout.split('\n');
    assert.match(lines[0] ?? '', /^NUMBER +CREATED +SEVERITY +STATUS +ALERTS +OWNER +TITLE$/);
    assert.match(
      lines[1] ?? '',
      /^60 +2026-01-01T00:59:00Z +Informational +Closed +3 +Jo Doe +First access of zoë@.*データベース$/,
    );
    assert.equal(lines.length, 55);
    assert.match(stdout, /Title with \\u001b\[31mcolour\\u001b\[0m and a bell\\u0007/);
    assert.match(stderr, /There are more than 53/);
    assert.equal((await run(['incidents', 'list', '--limit', '60'], env)).stderr, '');
  });

  test("gives Resource Manager's own objects as JSON, filtered as asked", async (t) => {
    const { env, source, emulator } = await setUpIncidents(t, 60);
    const filters = ['--severity', 'high', '--since', '2026-01-01T00:10:00Z', '--until', '2026-01-01T00:40:00Z'];
    const more = ['--status', 'new,Closed', '--title', 'without approval', '--filter', "properties/owner/email ne 'a'"];
    const { stdout, stderr } = await run(['incidents', 'list', '--json', ...filters, ...more], env);
    const { incidents, more: isMore } = JSON.parse(stdout) as { incidents: JsonObject[]; more: boolean };
    const expected = Array.from({ length: 60 }, (_, index) => source.at(index)).filter(({ properties }) => {
      const { createdTimeUtc: created, severity, status, title } = Object(properties) as Record<string, string>;
      const inTime = String(created) >= '2026-01-01T00:10' && String(created) < '2026-01-01T00:40';
      return inTime && severity === 'High' && status !== 'Active' && title?.includes('without approval');
    });
    assert.ok(expected.length > 0);
    assert.deepEqual(incidents, expected.toReversed());
    assert.deepEqual([isMore, stderr], [false, '']);
    assert.match(emulator.requests.find(({ kind }) => kind === 'incidents')?.query ?? '', /\$filter=properties%2F/);
  });

  test('says so when nothing matches', async (t) => {
    const { env } = await setUpIncidents(t, 3);
    const { exitCode, stderr } = await run(['incidents', 'list', '--label', "it's none"], env);
    assert.deepEqual([exitCode, stderr], [0, 'No incident matches.\n']);
  });

  test('of --label has those with one of the labels, whatever else is asked for, and --limit counts these', async (t) => {
    const { emulator, env, source } = await setUpIncidents(t, 300);
    const labelled = ["team's; prod", 'Redirected'];
    const has = ({ properties }: JsonObject, ...names: readonly string[]): boolean =>
      (Object(properties).labels as { labelName: string }[]).some(({ labelName }) => names.includes(labelName));
    const all = Array.from({ length: 300 }, (_, index) => source.at(index)).toReversed();
    const listed = async (...args: readonly string[]) => {
      const { exitCode, stdout, stderr } = await run(['incidents', 'list', '--json', ...args], env);
      assert.equal(exitCode, 0, stderr);
      return JSON.parse(stdout) as { incidents: JsonObject[]; more: boolean };
    };
    const both = labelled.flatMap((name) => ['--label', name]);
    const wanted = all.filter((incident) => has(incident, ...labelled));
    assert.deepEqual(await listed(...both, '--limit', '1000'), { incidents: wanted, more: false });
    assert.deepEqual(await listed(...both, '--limit', '7'), { incidents: wanted.slice(0, 7), more: true });
    assert.deepEqual(await listed('--label', "Team's; prod"), { incidents: [], more: false }, 'in this spelling');
    const since = '2026-01-01T01:00:00Z';
    const further = [
      ['--status', 'closed'],
      ['--since', since],
      ['--filter', "properties/labels/any(i: i/labelName eq 'Redirected')"],
    ];
    const narrowed = wanted.filter((incident) => {
      const { status, createdTimeUtc } = Object(incident['properties']) as Record<string, string>;
      return has(incident, 'Redirected') && status === 'Closed' && String(createdTimeUtc) >= since.slice(0, -1);
    });
    assert.ok(narrowed.length > 0);
    assert.deepEqual((await listed(...both, ...further.flat())).incidents, narrowed);
    const questions = emulator.requests.filter(({ kind }) => kind === 'incidents').map(({ query }) => query ?? '');
    for (const query of questions.slice(0, -1)) assert.doesNotMatch(decodeURIComponent(query), /label/);
  });

  test('of --classification has those for which Azure finds nothing when it is asked', async (t) => {
    const { env, source } = await setUpIncidents(t, 60);
    const args = ['--classification', 'undetermined', '--status', 'Closed'];
    const { stdout } = await run(['incidents', 'list', '--json', ...args], env);
    const expected = Array.from({ length: 60 }, (_, index) => source.at(index)).filter(
      ({ properties }) => Object(properties).classification === 'Undetermined',
    );
    assert.ok(expected.length > 0);
    assert.deepEqual((JSON.parse(stdout) as { incidents: JsonObject[] }).incidents, expected.toReversed());
  });

  test('of --apono has those of rules that read what comes from Apono', async (t) => {
    const { emulator, env } = await setUpIncidents(t, 400);
    const rule = (index: number, query: string): JsonObject => ({ name: sampleRuleName(index), properties: { query } });
    emulator.setAlertRules([
      rule(0, 'SigninLogs'),
      rule(1, 'AponoAccessEvents() | take 1'),
      rule(2, 'x | where y == "Apono"'),
    ]);
    const { stdout } = await run(['incidents', 'list', '--apono', '--json', '--limit', '1000'], env);
    const numbers = (JSON.parse(stdout) as { incidents: JsonObject[] }).incidents.map(({ properties }) =>
      Number(Object(properties)['incidentNumber']),
    );
    const expected = Array.from({ length: 400 }, (_, index) => index).filter(
      (index) => index % 4 === 1 && index % 19 !== 0,
    );
    assert.deepEqual(numbers, expected.map((index) => index + 1).reverse());
    emulator.setAlertRules([rule(0, 'SigninLogs')]);
    const none = await run(['incidents', 'list', '--apono'], env);
    assert.equal(none.exitCode, 1);
    assert.match(none.stderr, /^no_apono_rules: None of the 1 analytics rules .*\nFix: /);
  });

  const faults: [string, (emulator: Awaited<ReturnType<typeof setUpIncidents>>['emulator']) => void, RegExp][] = [
    [
      'without the role',
      (emulator) => emulator.setReaderRole(false),
      /^role_missing: .*403.*\nFix: Give .*"Microsoft Sentinel Reader"/,
    ],
    [
      'without Sentinel',
      (emulator) => emulator.setSentinelEnabled(false),
      /^sentinel_not_enabled: .*\nFix: Add Microsoft Sentinel/,
    ],
    [
      'with an expired secret',
      (emulator) => emulator.setClientSecretExpired(true),
      /^token_refused: .*AADSTS7000222.*\nFix: /,
    ],
  ];
  for (const [what, break_, expected] of faults) {
    test(`${what} says what to do, exits 1 and keeps the secret to itself`, async (t) => {
      const { emulator, env } = await setUpIncidents(t, 3);
      break_(emulator);
      const { exitCode, stdout, stderr } = await run(['incidents', 'list'], env);
      assert.deepEqual([exitCode, stdout], [1, '']);
      assert.match(stderr, expected);
      assert.ok(!stderr.includes(emulator.clientSecret));
    });
  }
});

describe('incidents show', () => {
  test('reads well, by number, by GUID and by resource id', async (t) => {
    const { emulator, env } = await setUpIncidents(t, 30);
    emulator.setAlertRules([
      { name: sampleRuleName(3), properties: { displayName: 'First access\u001b[2J', query: '' } },
    ]);
    const shown = await run(['incidents', 'show', '4'], env);
    assert.equal(shown.exitCode, 0);
    assert.equal(
      shown.stdout,
      `Incident 4: First access of zoë@example.com to Müller’s server, データベース

Severity:       Informational
Status:         New
Owner:          Jo Doe (jo@example.com)
Created:        2026-01-01T00:03:00Z
Modified:       2026-01-01T00:03:00Z
Activity:       2025-12-31T23:53:00Z to 2025-12-31T23:58:00Z
Rules:          First access\\u001b[2J
Provider:       Azure Sentinel
Name:           ${sampleName(3)}
Link:           https://portal.azure.com/#asset/Microsoft_Azure_Security_Insights/Incident${emulator.workspaceResourceId}/providers/Microsoft.SecurityInsights/Incidents/${sampleName(3)}

Description
  Line one of 3
  line two, with "quotes"; and a ; or two

Alerts (1)
  - 2026-01-02T12:00:00Z Informational First access of zoë@example.com to Müller’s server,
    データベース (Azure Sentinel)

Entities (2)
  - Account: zoe@example.com
  - Ip: 192.0.2.3

Comments (3)
  2026-01-02T13:15:30Z, Jo Doe
    Asked the owner: it's <fine>
    second line
  2026-01-02T13:15:30Z, jo@example.com
    Comment 1 of 3
  2026-01-02T13:15:30Z, Jo Doe
    Comment 2 of 3
`,
    );
    for (const id of [
      sampleName(3).toUpperCase(),
      '#4',
      `${emulator.workspaceResourceId}/x/incidents/${sampleName(3)}`,
    ]) {
      assert.equal((await run(['incidents', 'show', id], env)).stdout, shown.stdout, id);
    }
  });

  test('of one that was closed and merged, without owner or description, leaves out what is not there', async (t) => {
    const { env } = await setUpIncidents(t, 1);
    const { stdout } = await run(['incidents', 'show', '1'], env);
    assert.match(stdout, /^Status: +Closed, Undetermined$/m);
    assert.match(stdout, /^Owner: +nobody$/m);
    assert.match(stdout, /^Labels: +team's; prod, Redirected$/m);
    assert.doesNotMatch(stdout, /Description|Comments|Alerts|Rules|null|undefined/);
  });

  test('as JSON is the object itself, with its comments, alerts and entities', async (t) => {
    const { env, source } = await setUpIncidents(t, 4);
    const shown = JSON.parse((await run(['incidents', 'show', '4', '--json'], env)).stdout) as JsonObject;
    const { comments, alerts, entities, ...resource } = shown;
    assert.deepEqual(resource, source.at(3));
    const sizes = [comments, alerts, entities].map((list) => (list as readonly unknown[]).length);
    assert.deepEqual(sizes, [3, 1, 2]);
  });

  test('says so when there is none', async (t) => {
    const { env, emulator } = await setUpIncidents(t, 4);
    for (const id of ['99', sampleName(99)]) {
      const { exitCode, stderr } = await run(['incidents', 'show', id], env);
      assert.equal(exitCode, 1);
      assert.equal(
        stderr,
        `incident_not_found: There is no incident ${id} in the workspace ${emulator.workspaceResourceId}.\n`,
      );
    }
  });

  test('leaves out what may not be read, and names each role in the order of the parts, not of the answers', async (t) => {
    const { env, emulator } = await setUpIncidents(t, 4);
    // Comments and entities are asked for at once; the first to be refused is held back until the other one was.
    const refusal = (action: string): FaultAnswer => ({
      type: 'status',
      status: 403,
      body: { error: { code: 'AuthorizationFailed', message: `no authorization to perform action '${action}'` } },
    });
    const isAbout =
      (part: string) =>
      ({ path }: { readonly path: string }) =>
        path.endsWith(`/${part}`);
    const entities = 'Microsoft.SecurityInsights/incidents/entities/action';
    emulator.plan(
      { target: 'incident_detail', matches: isAbout('comments'), answer: throttled(1) },
      { target: 'incident_detail', matches: isAbout('comments'), answer: refusal('x/incidents/comments/read') },
      { target: 'incident_detail', matches: isAbout('entities'), answer: refusal(entities) },
    );
    const { exitCode, stdout, stderr } = await run(['incidents', 'show', '4'], env);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^Alerts \(1\)$/m);
    assert.doesNotMatch(stdout, /Comments|Entities/);
    const roles = [...stderr.matchAll(/^Fix: Give .*"(Microsoft Sentinel \w+)"/gm)].map(([, role]) => role);
    assert.deepEqual(roles, ['Microsoft Sentinel Reader', 'Microsoft Sentinel Responder']);
  });

  test('leaves out what may not be read, and says which role it takes', async (t) => {
    const { env, emulator } = await setUpIncidents(t, 4);
    const message =
      "The client 'x' does not have authorization to perform action 'Microsoft.SecurityInsights/incidents/alerts/action' over scope 'y'.";
    emulator.plan({
      target: 'incident_detail',
      matches: ({ path }) => path.endsWith('/alerts'),
      answer: { type: 'status', status: 403, body: { error: { code: 'AuthorizationFailed', message } } },
    });
    const { exitCode, stdout, stderr } = await run(['incidents', 'show', '4'], env);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^Comments \(3\)$/m);
    assert.match(stdout, /^Entities \(2\)$/m);
    assert.doesNotMatch(stdout, /Alerts/);
    assert.match(stderr, /^role_missing: .*\nFix: Give .*"Microsoft Sentinel Responder"/);
  });
});
