import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import process from 'node:process';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../src/ground/json.ts';
import { columnsWith, guardCell } from '../../src/sentinel/incidents/formats.ts';
import { readIncident } from '../../src/sentinel/incidents/incident.ts';
import { readCsv } from '../sentinel/csv-reader.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import type { FaultStep } from '../support/azure/faults.ts';
import { throttled, unavailable } from '../support/azure/faults.ts';
import { sampleDetails, sampleName, sampleRuleName } from '../support/azure/sample-incidents.ts';
import { type Setup, setUpIncidents, startCli } from './incidents-fixture.ts';
import { run, spawnCli } from './support.ts';

const exported = ({ file }: Setup, name: string): string => readFileSync(file(name), 'utf8');
const linesOf = (text: string): JsonObject[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonObject);
const namesOf = (resources: readonly JsonObject[]): string[] => resources.map(({ name }) => String(name));
const allNames = (count: number): string[] => Array.from({ length: count }, (_, index) => sampleName(index));
const listRequests = (emulator: Emulator) => emulator.requests.filter(({ kind }) => kind === 'incidents');

/** Each for one request, after so many good ones. */
function faultsBetween(): FaultStep[] {
  const pass = (times: number): FaultStep => ({ target: 'incidents', answer: { type: 'pass' }, times });
  const fault = (answer: FaultStep['answer']): FaultStep => ({ target: 'incidents', answer });
  return [
    pass(2),
    fault(throttled(1)),
    pass(3),
    fault(unavailable()),
    pass(2),
    fault({ type: 'reset' }),
    pass(1),
    fault({ type: 'reset', at: 'half_body' }),
    pass(2),
    fault({ type: 'status', status: 401, body: { error: { code: 'ExpiredAuthenticationToken', message: 'expired' } } }),
    pass(2),
    fault({ type: 'status', status: 500, body: '<html><title>Gateway</title></html>' }),
  ];
}

describe('incidents export, as a process', () => {
  test('of 2,345 incidents through faults gives 2,345 records with the columns as documented', async (t) => {
    const setup = await setUpIncidents(t, 2_345);
    const { emulator, env, file, source } = setup;
    emulator.setPagingOddities({ largestPage: 100, repeated: 3, emptyPages: true });
    emulator.plan(...faultsBetween());
    const { exitCode, stdout, stderr } = await spawnCli(['incidents', 'export', '--out', file('all.csv')], env);
    assert.deepEqual([exitCode, stdout], [0, ''], stderr);
    assert.match(stderr, /2345 incidents exported to .*all\.csv\.\n$/);
    assert.equal(emulator.remainingPlan.length, 0);
    const [head, ...records] = readCsv(exported(setup, 'all.csv'));
    const columns = columnsWith([]);
    assert.deepEqual(
      head,
      columns.map(({ name }) => name),
    );
    assert.deepEqual(
      records.map(([name]) => name),
      allNames(2_345),
    );
    assert.equal(new Set(records.map((record) => record.join())).size, 2_345);
    for (const [index, record] of records.entries()) {
      const incident = readIncident(source.at(index));
      const cells = columns.map(({ cell }) => (incident === null ? null : cell({ ...incident, details: {} })));
      assert.deepEqual(
        record,
        cells.map((cell) => (typeof cell === 'string' ? guardCell(cell) : String(cell ?? ''))),
      );
    }
    assert.equal(statSync(file('all.csv')).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(setup.folder).sort(), ['all.csv', 'ca.pem']);
    assert.ok(!stderr.includes(emulator.clientSecret) && !/eyJ/.test(stderr));
  });

  test('outlives its tokens, which are renewed', async (t) => {
    const setup = await setUpIncidents(t, 300, { tokenLifetimeSeconds: 7 });
    const { emulator, env, file } = setup;
    emulator.setPagingOddities({ largestPage: 60 });
    // Each page takes longer than half of a token's life, after which a new one is fetched.
    emulator.plan({ target: 'incidents', answer: { type: 'pass', delayMs: 1_200 }, times: 'forever' });
    const args = ['incidents', 'export', '--format', 'ndjson', '--out', file('all.ndjson')];
    const { exitCode, stderr } = await run(args, env);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(namesOf(linesOf(exported(setup, 'all.ndjson'))), allNames(300));
    assert.ok(new Set(listRequests(emulator).map(({ tokenId }) => tokenId)).size > 1);
    assert.ok(listRequests(emulator).every(({ tokenState }) => tokenState === 'valid'));
  });

  const memory = process.env['LONG'] === '1' ? 100_000 : 15_000;
  test(`of ${memory} incidents takes no more memory than one page needs`, async (t) => {
    const setup = await setUpIncidents(t, memory);
    // The incidents are over a kilobyte each: all of them would not fit, nor would their text.
    const env = { ...setup.env, NODE_OPTIONS: '--max-old-space-size=48' };
    const args = ['incidents', 'export', '--format', 'ndjson', '--out', setup.file('all.ndjson')];
    const { exitCode, stderr } = await spawnCli(args, env);
    assert.equal(exitCode, 0, stderr.slice(-2_000));
    assert.ok(statSync(setup.file('all.ndjson')).size > memory * 1_000);
    const names = new Set(namesOf(linesOf(exported(setup, 'all.ndjson'))));
    assert.equal(names.size, memory);
  });

  test('into a pipe whose reader goes away ends by itself, without an error', async (t) => {
    const { emulator, env } = await setUpIncidents(t, 2_000);
    emulator.setPagingOddities({ largestPage: 10 });
    emulator.plan({ target: 'incidents', answer: { type: 'pass', delayMs: 20 }, times: 'forever' });
    const cli = startCli(t, ['incidents', 'export', '--format', 'ndjson'], env);
    await emulator.waitFor(() => listRequests(emulator).length > 2);
    cli.stopReading();
    const { exitCode, stderr } = await cli.ended;
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(stderr, /Error|EPIPE|exported/);
    assert.ok(listRequests(emulator).length < 200);
  });

  test('that is stopped keeps the part that it has, and says what is missing', async (t) => {
    const setup = await setUpIncidents(t, 300);
    const { emulator, env, file } = setup;
    emulator.setPagingOddities({ largestPage: 100 });
    emulator.plan(
      { target: 'incidents', answer: { type: 'pass' }, times: 2 },
      { target: 'incidents', answer: { type: 'hang' }, times: 'forever' },
    );
    const cli = startCli(t, ['incidents', 'export', '--format', 'json', '--out', file('all.json')], env);
    await emulator.waitFor(() => listRequests(emulator).length === 3);
    cli.kill('SIGTERM');
    const { exitCode, stderr } = await cli.ended;
    assert.equal(exitCode, 1);
    assert.match(stderr, /aborted: /);
    assert.match(
      stderr,
      /all\.json was not written\. .*all\.json\.partial holds 200 incidents, up to the one created 2026-01-01T03:19:00\.\d+Z; those created later are missing\./,
    );
    assert.deepEqual(readdirSync(setup.folder).sort(), ['all.json.partial', 'ca.pem']);
    assert.equal((JSON.parse(exported(setup, 'all.json.partial')) as unknown[]).length, 200);
  });
});

describe('incidents export', () => {
  test('writes JSON that is Resource Manager’s own, with the details that are asked for', async (t) => {
    const setup = await setUpIncidents(t, 30);
    const { source, env, file, emulator } = setup;
    const plain = await run(['incidents', 'export', '--format', 'json', '--quiet'], env);
    assert.deepEqual([plain.exitCode, plain.stderr], [0, '']);
    assert.deepEqual(
      JSON.parse(plain.stdout),
      Array.from({ length: 30 }, (_, index) => source.at(index)),
    );
    const args = [
      'export',
      '--format',
      'ndjson',
      '--with',
      'comments,alerts',
      '--with',
      'entities',
      '--out',
      file('x'),
    ];
    assert.equal((await run(['incidents', ...args], env)).exitCode, 0);
    const lines = linesOf(exported(setup, 'x'));
    assert.deepEqual(
      lines,
      Array.from({ length: 30 }, (_, index) => ({ ...source.at(index), ...sampleDetails(source)(sampleName(index)) })),
    );
    // Where the incident itself counts none, nothing is asked.
    const asked = emulator.requests.filter(({ path }) => path.endsWith('/comments'));
    assert.equal(
      asked.length,
      Array.from({ length: 30 }, (_, index) => index).filter((index) => index % 4 !== 0).length,
    );
  });

  test('writes null for what belongs to an incident that was deleted meanwhile', async (t) => {
    const { env, emulator } = await setUpIncidents(t, 2);
    const body = { error: { code: 'NotFound', message: 'gone' } };
    emulator.plan({ target: 'incident_detail', answer: { type: 'status', status: 404, body }, times: 'forever' });
    const { exitCode, stdout } = await run(['incidents', 'export', '--format', 'ndjson', '--with', 'alerts'], env);
    assert.equal(exitCode, 0);
    assert.deepEqual(
      linesOf(stdout).map(({ alerts }) => alerts),
      [[], null],
    );
  });

  test('of nothing is a head, an empty list, or nothing', async (t) => {
    const { env } = await setUpIncidents(t, 0);
    const outputs = await Promise.all(
      ['csv', 'json', 'ndjson'].map(
        async (format) => (await run(['incidents', 'export', '--format', format], env)).stdout,
      ),
    );
    assert.equal(readCsv(outputs[0] ?? '').length, 1);
    assert.deepEqual(outputs.slice(1), ['[\n]\n', '']);
  });

  test('replaces a file only when it is whole, through a link too, and keeps the other when it fails', async (t) => {
    const setup = await setUpIncidents(t, 250);
    const { emulator, env, file } = setup;
    emulator.setPagingOddities({ largestPage: 100 });
    writeFileSync(file('real.csv'), 'from before');
    symlinkSync(file('real.csv'), file('link.csv'));
    const body = { error: { code: 'AuthorizationFailed', message: 'gone' } };
    emulator.plan(
      { target: 'incidents', answer: { type: 'pass' } },
      { target: 'incidents', answer: { type: 'status', status: 403, body } },
    );
    const failed = await run(['incidents', 'export', '--out', file('link.csv')], env);
    assert.equal(failed.exitCode, 1);
    assert.match(
      failed.stderr,
      /role_missing: [\s\S]*link\.csv was not written\. .*real\.csv\.partial holds 100 incidents/,
    );
    assert.equal(exported(setup, 'real.csv'), 'from before');
    assert.equal(readCsv(exported(setup, 'real.csv.partial')).length, 101);
    assert.equal((await run(['incidents', 'export', '--out', file('link.csv')], env)).exitCode, 0);
    assert.equal(readCsv(exported(setup, 'real.csv')).length, 251);
  });

  test('leaves no file behind when nothing came, and says where it cannot write', async (t) => {
    const setup = await setUpIncidents(t, 3);
    const { emulator, env, file } = setup;
    emulator.setReaderRole(false);
    const failed = await run(['incidents', 'export', '--out', file('a.csv')], env);
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stderr, /role_missing: [\s\S]*a\.csv was not written: No incident had arrived\.\n$/);
    assert.deepEqual(readdirSync(setup.folder), ['ca.pem']);
    emulator.setReaderRole(true);
    mkdirSync(file('folder'));
    for (const out of [file('folder'), file('none/a.csv'), '/dev/null']) {
      const { exitCode, stderr } = await run(['incidents', 'export', '--out', out], env);
      assert.equal(exitCode, 1, out);
      assert.match(stderr, /^output_failed: /);
    }
    assert.ok(statSync('/dev/null').isCharacterDevice());
  });

  test('puts the time into the name of the file', async (t) => {
    const { env, folder, file } = await setUpIncidents(t, 1);
    assert.equal((await run(['incidents', 'export', '--out', file('i-{time}.csv')], env)).exitCode, 0);
    assert.ok(readdirSync(folder).some((name) => /^i-\d{4}-\d\d-\d\dT\d{6}Z\.csv$/.test(name)));
  });

  test('of --label has those with one of the labels, whatever else is asked for', async (t) => {
    const setup = await setUpIncidents(t, 200);
    setup.emulator.setPagingOddities({ largestPage: 30 });
    const labels = ['--label', "team's; prod", '--label', 'Redirected'];
    const args = ['export', '--format', 'ndjson', ...labels, '--status', 'Closed', '--since', '2026-01-01'];
    const { exitCode, stdout } = await run(['incidents', ...args], setup.env);
    assert.equal(exitCode, 0);
    const expected = Array.from({ length: 200 }, (_, index) => index).filter(
      (index) => Object(setup.source.at(index)['properties']).status === 'Closed' && (index % 6) * (index % 13) === 0,
    );
    assert.ok(expected.length > 10);
    assert.deepEqual(namesOf(linesOf(stdout)), expected.map(sampleName));
    const state = setup.file('state.json');
    const first = await run(['incidents', ...args, '--incremental', state], setup.env);
    assert.deepEqual(linesOf(first.stdout), linesOf(stdout));
    assert.equal((await run(['incidents', ...args, '--incremental', state], setup.env)).stdout, '');
  });

  test('of details that are refused for several reasons reports the first in order, not the first to come', async (t) => {
    const { env, emulator } = await setUpIncidents(t, 4);
    const refused = (status: number, code: string): FaultStep['answer'] => ({
      type: 'status',
      status,
      body: { error: { code, message: 'no' } },
    });
    const isComments = ({ path }: { readonly path: string }) => path.endsWith('/comments');
    const isAlerts = ({ path }: { readonly path: string }) => path.endsWith('/alerts');
    const target = 'incident_detail';
    emulator.plan(
      { target, matches: isAlerts, answer: refused(409, 'MissingSubscriptionRegistration'), times: 'forever' },
      { target, matches: isComments, answer: throttled(1) },
      { target, matches: isComments, answer: refused(403, 'AuthorizationFailed'), times: 'forever' },
    );
    const { exitCode, stderr } = await run(['incidents', 'export', '--with', 'comments,alerts'], env);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^role_missing: .*the comments of the incident/m);
    assert.doesNotMatch(stderr, /provider_not_registered/);
  });

  test('of --apono has those of our rules', async (t) => {
    const { env, emulator } = await setUpIncidents(t, 100);
    emulator.setAlertRules([{ name: sampleRuleName(2), properties: { query: 'AponoRequestLifecycle()' } }]);
    const { stdout } = await run(['incidents', 'export', '--apono', '--format', 'ndjson'], env);
    const expected = Array.from({ length: 100 }, (_, index) => index).filter(
      (index) => index % 4 === 2 && index % 19 !== 0,
    );
    assert.deepEqual(namesOf(linesOf(stdout)), expected.map(sampleName));
  });
});

describe('incidents export --incremental', () => {
  const args = (setup: Setup, out: string, ...more: readonly string[]): string[] => [
    ...[
      'incidents',
      'export',
      '--format',
      'ndjson',
      '--incremental',
      setup.file('state.json'),
      '--out',
      setup.file(out),
    ],
    ...more,
  ];
  /** Incident `index` as it is after a change at that time. */
  const changed = ({ source }: Setup, index: number, at: Date): JsonObject => {
    const resource = source.at(index);
    const properties = { ...Object(resource['properties']), lastModifiedTimeUtc: at.toISOString() };
    return { ...resource, etag: `"changed-${at.getTime()}"`, properties };
  };
  const listOf = ({ source }: Setup, count: number): JsonObject[] =>
    Array.from({ length: count }, (_, index) => source.at(index));

  test('has everything first, then what is new or changed, and nothing twice', async (t) => {
    const setup = await setUpIncidents(t, 50);
    const { emulator, env } = setup;
    assert.equal((await run(args(setup, '1'), env)).exitCode, 0);
    assert.deepEqual(namesOf(linesOf(exported(setup, '1'))), allNames(50));
    assert.equal(statSync(setup.file('state.json')).mode & 0o777, 0o600);
    assert.equal((await run(args(setup, '2'), env)).exitCode, 0);
    assert.equal(exported(setup, '2'), '');
    const list = listOf(setup, 50);
    list[7] = changed(setup, 7, new Date());
    const fresh = { ...changed(setup, 49, new Date()), name: sampleName(1_000) };
    emulator.setIncidents([...list, fresh]);
    assert.equal((await run(args(setup, '3'), env)).exitCode, 0);
    assert.deepEqual(namesOf(linesOf(exported(setup, '3'))).sort(), [sampleName(7), sampleName(1_000)]);
    assert.equal((await run(args(setup, '4'), env)).exitCode, 0);
    assert.equal(exported(setup, '4'), '');
  });

  test('has what changed while the one before ran, behind where that one was', async (t) => {
    const setup = await setUpIncidents(t, 50);
    const { emulator, env } = setup;
    emulator.setPagingOddities({ largestPage: 20 });
    const list = listOf(setup, 50);
    let isChanged = false;
    emulator.plan({
      target: 'incidents',
      times: 'forever',
      answer: { type: 'pass' },
      matches: () => {
        // At the second page the third incident changes, which was on the first.
        if (listRequests(emulator).length === 2 && !isChanged) {
          isChanged = true;
          list[2] = changed(setup, 2, new Date());
          emulator.setIncidents(list);
        }
        return false;
      },
    });
    assert.equal((await run(args(setup, '1'), env)).exitCode, 0);
    assert.ok(isChanged);
    assert.equal(linesOf(exported(setup, '1')).length, 50);
    assert.equal((await run(args(setup, '2'), env)).exitCode, 0);
    assert.deepEqual(linesOf(exported(setup, '2')), [list[2]]);
  });

  test('that fails leaves the state as it was, so that the next run misses nothing', async (t) => {
    const setup = await setUpIncidents(t, 50);
    const { emulator, env } = setup;
    emulator.setPagingOddities({ largestPage: 20 });
    const answer = { type: 'status', status: 403 } as const;
    emulator.plan({ target: 'incidents', answer: { type: 'pass' } }, { target: 'incidents', answer });
    const failed = await run(args(setup, '1'), env);
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stderr, /state\.json is as it was, so the next run begins at the same place\./);
    assert.ok(!existsSync(setup.file('state.json')) && existsSync(setup.file('1.partial')));
    assert.equal((await run(args(setup, '1'), env)).exitCode, 0);
    assert.equal(linesOf(exported(setup, '1')).length, 50);
    const before = exported(setup, 'state.json');
    emulator.plan({ target: 'incidents', answer });
    assert.equal((await run(args(setup, '2'), env)).exitCode, 1);
    assert.equal(exported(setup, 'state.json'), before);
  });

  test('refuses a file that is there, a state that is none, and one of other filters', async (t) => {
    const setup = await setUpIncidents(t, 3);
    const { env } = setup;
    writeFileSync(setup.file('there'), 'all of last month');
    const there = await run(args(setup, 'there'), env);
    assert.equal(there.exitCode, 2);
    assert.match(there.stderr, /there is there already, and an incremental export holds only what changed/);
    assert.equal(exported(setup, 'there'), 'all of last month');
    assert.equal((await run(args(setup, '1'), env)).exitCode, 0);
    const other = await run(args(setup, '2', '--severity', 'High'), env);
    assert.equal(other.exitCode, 1);
    assert.match(other.stderr, /^incremental_state_unusable: .*state\.json belongs to an export with other filters/);
    writeFileSync(setup.file('state.json'), '{"version":1');
    const damaged = await run(args(setup, '2'), env);
    assert.equal(damaged.exitCode, 1);
    assert.match(damaged.stderr, /state\.json is not the state of an export/);
    assert.ok(!existsSync(setup.file('2')));
  });

  test('whose state cannot be written says that the export itself is complete', async (t) => {
    const setup = await setUpIncidents(t, 3);
    const state = setup.file('folder/state.json');
    const command = ['incidents', 'export', '--incremental', state, '--out', setup.file('1')];
    const early = await run(command, setup.env);
    assert.equal(early.exitCode, 2);
    assert.match(early.stderr, /there is no folder for .*state\.json/);
    mkdirSync(setup.file('folder'));
    setup.emulator.plan({
      target: 'incidents',
      answer: { type: 'pass' },
      matches: () => {
        rmSync(setup.file('folder'), { recursive: true, force: true });
        return false;
      },
    });
    const { exitCode, stderr } = await run(command, setup.env);
    assert.equal(exitCode, 1);
    assert.match(stderr, /The export itself is complete, with 3 incidents; the next one repeats it\./);
    assert.match(stderr, /incremental_state_unusable: .*state\.json cannot be written: ENOENT/);
    assert.ok(existsSync(setup.file('1')));
  });

  test('into a pipe whose reader goes away writes no state', async (t) => {
    const setup = await setUpIncidents(t, 500);
    const { emulator, env, file } = setup;
    emulator.setPagingOddities({ largestPage: 10 });
    emulator.plan({ target: 'incidents', answer: { type: 'pass', delayMs: 20 }, times: 'forever' });
    const cli = startCli(t, ['incidents', 'export', '--format', 'ndjson', '--incremental', file('state.json')], env);
    await emulator.waitFor(() => listRequests(emulator).length > 2);
    cli.stopReading();
    const { exitCode, stderr } = await cli.ended;
    assert.equal(exitCode, 1);
    assert.match(stderr, /output_closed: the reader of stdout went away/);
    assert.ok(!existsSync(file('state.json')));
  });
});
