import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { runGenerator } from '../../deploy/generate/command.ts';
import { ContentError, readContent } from '../../deploy/generate/content/read.ts';
import { driftedFiles } from '../../deploy/generate/files.ts';
import { generate } from '../../deploy/generate/generate.ts';
import { filesOfKinds } from '../../deploy/generate/kind-streams.ts';
import { currentSources, deployFolder, repository } from './support.ts';

const created = 'Analytic Rules/AponoAccessRequestCreated.yaml';

it('the generated files are what the generator makes (node deploy/generate/main.ts makes them so)', () => {
  assert.deepEqual(driftedFiles(deployFolder, generate(currentSources())), []);
  assert.deepEqual(driftedFiles(deployFolder, filesOfKinds(deployFolder)), []);
});

describe('a change of a column list alone is drift', () => {
  const { streams, content } = currentSources();
  type Columns = (typeof streams)[number]['table']['columns'];
  const column = { name: 'one_more', type: 'string', description: 'One more.' } as const;
  const changes: readonly ((columns: Columns) => Columns)[] = [
    (columns) => [...columns, column],
    (columns) => columns.slice(0, -1),
    (columns) => columns.map((old) => ({ ...old, type: 'int' })),
  ];
  // Each run has the functions analysed anew, which takes seconds; so all tables are changed at once, each in its way.
  it('a column more, a column less, another type', () => {
    const changed = streams.map((stream, index) => ({
      ...stream,
      table: { ...stream.table, columns: changes[index % changes.length]?.(stream.table.columns) ?? [] },
    }));
    const drifted = driftedFiles(deployFolder, generate({ content, streams: changed }));
    // A function passes the columns of its table on, so that its columns can change with them.
    assert.deepEqual(
      drifted.filter((file) => !file.startsWith('sentinel/CustomFunctions/')).toSorted(),
      ['azuredeploy.json', ...streams.map(({ table }) => `sentinel/CustomTables/${table.name}.json`)].toSorted(),
    );
  });
});

describe('node deploy/generate/main.ts', () => {
  let copy: string;

  before(() => {
    copy = mkdtempSync(path.join(tmpdir(), 'deploy-generate-'));
    for (const part of ['deploy', 'schemas', 'src', 'package.json', 'docker-compose.yml', '.env.example']) {
      cpSync(repository + part, path.join(copy, part), { recursive: true });
    }
    symlinkSync(`${repository}node_modules`, path.join(copy, 'node_modules'), 'junction');
  });

  after(() => rmSync(copy, { recursive: true, force: true }));

  function edit(file: string, change: (text: string) => string): void {
    const place = path.join(copy, file);
    const text = readFileSync(place, 'utf8');
    assert.notEqual(change(text), text, `the edit of ${file} changes nothing`);
    writeFileSync(place, change(text));
  }

  function run(...args: readonly string[]) {
    const main = path.join(copy, 'deploy/generate/main.ts');
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
    return { status, lines: stdout.split('\n').filter((line) => line !== ''), stderr };
  }

  it('--check names what has drifted and writes nothing; without it all is mended', () => {
    const more = { name: 'one_more', type: 'long', description: 'One more.' } as const;
    const streams = currentSources().streams.map((stream) =>
      stream.table.name === 'AponoAccessRequests_CL'
        ? { ...stream, table: { ...stream.table, columns: [more, ...stream.table.columns] } }
        : stream,
    );
    edit('deploy/createUiDefinition.json', (text) => text.replace('Identity', 'Who'));
    // In this process, where the Kusto service has warmed up, which takes seconds. That main.ts itself takes the service's
    // streams and writes what has drifted: test/kinds/fifth-kind-walk.test.ts.
    const runHere = (...argv: readonly string[]) => runGenerator(argv, path.join(copy, 'deploy/'), streams);
    const checked = runHere('--check');
    const drifted = [
      'deploy/azuredeploy.json',
      'deploy/createUiDefinition.json',
      'deploy/sentinel/CustomTables/AponoAccessRequests_CL.json',
    ];
    const lines = (word: string) => drifted.map((file) => `${word}: ${file}\n`).join('');
    assert.deepEqual([checked.exitCode, checked.stdout], [1, lines('drifted')]);
    assert.match(checked.stderr, /node deploy\/generate\/main\.ts/);
    assert.deepEqual(runHere('--check'), checked, 'nothing was written');
    assert.deepEqual(runHere(), { exitCode: 0, stdout: lines('written'), stderr: '' });
    assert.match(readFileSync(path.join(copy, 'deploy/azuredeploy.json'), 'utf8'), /"one_more", "type": "long"/);
    assert.deepEqual(runHere('--check'), { exitCode: 0, stdout: '', stderr: '' });
  });

  it('exits with 2 for content that is malformed, and for an option that it does not know', () => {
    edit(`deploy/sentinel/${created}`, (text) => text.replace('queryPeriod:', 'queryperiod:'));
    const { status, lines, stderr } = run();
    assert.deepEqual([status, lines], [2, []]);
    assert.match(stderr, /Analytic Rules\/AponoAccessRequestCreated\.yaml is malformed.*queryperiod/s);
    const misspelt = run('--chekc');
    assert.equal(misspelt.status, 2);
    assert.match(misspelt.stderr, /usage/);
  });
});

describe('content that is edited', () => {
  let copy: string;

  beforeEach(() => {
    copy = mkdtempSync(path.join(tmpdir(), 'deploy-content-'));
    cpSync(`${deployFolder}sentinel`, copy, { recursive: true });
  });

  afterEach(() => rmSync(copy, { recursive: true, force: true }));

  const { streams } = currentSources();
  const drifted = () => driftedFiles(deployFolder, generate({ streams, content: readContent(copy) }));
  const edit = (file: string, change: (text: string) => string) => {
    const text = readFileSync(path.join(copy, file), 'utf8');
    assert.notEqual(change(text), text, `the edit of ${file} changes nothing`);
    writeFileSync(path.join(copy, file), change(text));
  };

  it('is drift of both templates', () => {
    assert.deepEqual(drifted(), []);
    edit(created, (text) => text.replace('AponoAccessEvents()', 'AponoAccessEvents() | take 1'));
    assert.deepEqual(drifted(), ['azuredeploy.json', 'sentinel.json']);
  });

  it('is drift of everything where a rule is added', () => {
    const twin = readFileSync(path.join(copy, created), 'utf8').replace(/^id: .*$/m, `id: ${randomUUID()}`);
    writeFileSync(path.join(copy, 'Analytic Rules/Another.yaml'), twin);
    const all = ['azuredeploy.json', 'sentinel.json', 'createUiDefinition.json', 'sentinel/Data/Solution_Apono.json'];
    assert.deepEqual(drifted(), all);
  });

  const malformed: Readonly<Record<string, readonly [(text: string) => string, RegExp]>> = {
    'a misspelt key': [(text) => text.replace('queryPeriod:', 'queryperiod:'), /queryperiod/],
    'no YAML': [(text) => `${text}\n  - [`, /AccessRequestCreated/],
    'an unknown severity': [(text) => text.replace('severity: Informational', 'severity: Info'), /\/severity/],
    'an unknown grouping': [(text) => text.replace('matchingMethod: Selected', 'matchingMethod: Some'), /none of/],
  };
  for (const [what, [change, message]] of Object.entries(malformed)) {
    it(`is refused with ${what}, and the file is named`, () => {
      edit(created, change);
      assert.throws(drifted, (error) => {
        assert.ok(error instanceof ContentError);
        assert.equal(error.code, 'content_malformed');
        assert.match(error.message, /^Analytic Rules\/AponoAccessRequestCreated\.yaml is malformed/);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it('is refused as a twin of another file, as a file of another sort, as a workbook that is none', () => {
    const rule = readFileSync(path.join(copy, created), 'utf8');
    for (const [file, text, message] of [
      ['Analytic Rules/Twin.yaml', rule, /has the id of AponoAccessRequestCreated\.yaml/],
      ['Parsers/AponoSettings.yml', rule, /is no \.yaml file/],
      ['Workbooks/Empty.json', '{}', /so it is no workbook/],
    ] as const) {
      writeFileSync(path.join(copy, file), text);
      assert.throws(drifted, message);
      rmSync(path.join(copy, file));
    }
    rmSync(path.join(copy, created));
    assert.throws(drifted, /has no AponoAccessRequestCreated\.yaml/);
  });
});
