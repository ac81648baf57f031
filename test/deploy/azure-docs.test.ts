import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { variableNames } from '../../src/config/variables.ts';
import { createKql, describeDiagnostic } from '../sentinel-content/kql.ts';
import { ownTables } from '../sentinel-content/workspace-tables.ts';
import { type AzStandIn, startAzStandIn } from '../support/az-stand-in.ts';
import { azCalls, azReference, block, blocks, globalOptions } from '../support/documented-commands.ts';

/*
 * The commands of docs/azure.md, as far as they run without Azure: a stand-in for `az` notes what
 * it is called with and answers what a subscription would. That the real one does what its reference says is not tested.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = ['docs/azure.md'] as const;
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

interface Template {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
}
const template = JSON.parse(read('deploy/azuredeploy.json')) as Template;

let az: AzStandIn;
before(() => {
  az = startAzStandIn(process.env['PATH'] ?? '');
});
after(() => az.remove());

/** What Resource Manager makes of the name of an output: its leading capitals become small ones, all but the last. */
function casedByResourceManager(name: string): string {
  return name.replace(/^[A-Z]+(?=[A-Z](?:[^A-Z]|$))/, (capitals) => capitals.toLowerCase());
}

const recipeColumns = [
  { name: 'TimeGenerated', type: 'dateTime' },
  ...['event_type', 'requester_id', 'requester_name', 'requester_email', 'justification'].map(text),
  ...['resource_id', 'resource_name', 'permission'].map(text),
];
function text(name: string): { readonly name: string; readonly type: string } {
  return { name, type: 'string' };
}
const requestTable = ownTables().find(({ name }) => name === 'AponoAccessRequests_CL');

describe('the shell commands', () => {
  for (const page of pages) {
    it(`of ${page} are what bash takes`, () => {
      const scripts = blocks(page, 'sh');
      assert.ok(scripts.length >= 5, 'the blocks are not found any more');
      for (const script of scripts) {
        const { status, stderr } = spawnSync('bash', ['-n', '-c', script.replaceAll(/<[a-z][^<>\n]*>/g, 'word')], {
          encoding: 'utf8',
        });
        assert.equal(status, 0, `${stderr}\n${script}`);
      }
    });

    it(`of ${page} call az with commands and options of its reference`, () => {
      const calls = blocks(page, 'sh').flatMap(azCalls);
      assert.notEqual(calls.length, 0);
      for (const call of calls) {
        const [, options] = Object.entries(azReference).find(([command]) => call.startsWith(`${command} `)) ?? [];
        assert.ok(options !== undefined, `az ${call}`);
        for (const [option] of call.matchAll(/(?<= )--[a-z-]+/g)) {
          assert.ok([...options.split(' '), ...globalOptions].includes(option), `az ${call}: ${option}`);
        }
      }
    });
  }
});

describe('docs/azure.md', () => {
  it('names parameters that the template has', () => {
    const page = read('docs/azure.md');
    const named = [
      ...page.matchAll(/^\| (`[^|]*`) \| (?:`|empty)/gm),
      ...page.matchAll(/(`(?:create|deploy|data)[A-Z]\w*(?:=[^`]*)?`)/g),
    ].flatMap(([, cell = '']) => [...cell.matchAll(/`([a-z]\w*[a-zA-Z])(?:=[^`]*)?`/g)].map(([, name = '']) => name));
    const inCommands = [...page.matchAll(/[ (]([a-z]\w+)="?[$a-z]/g)].map(([, name = '']) => name);
    assert.ok(named.length > 10 && inCommands.length > 3);
    for (const name of [...named, ...inCommands]) assert.ok(Object.hasOwn(template.parameters, name), name);
  });

  it('turns the outputs of the deployment into variables of the service, whatever case they come in', () => {
    const values = Object.keys(template.outputs).map((name) => [
      name,
      name === 'AZURE_TENANT_ID' ? '' : `value of ${name}`,
    ]);
    const outputs = Object.fromEntries(
      values.map(([name = '', value]) => [casedByResourceManager(name), { type: 'String', value }]),
    );
    assert.ok(Object.hasOwn(outputs, 'logS_INGESTION_ENDPOINT'));
    const { status, stderr } = az.run(
      block('docs/azure.md', 'sh', 'properties.outputs'),
      'properties.outputs',
      outputs,
    );
    assert.equal(status, 0, stderr);
    const expected = Object.fromEntries([...values.filter(([, value]) => value !== ''), ['AZURE_CLIENT_ID', 'client']]);
    const known: readonly string[] = variableNames;
    for (const name of Object.keys(expected)) assert.ok(known.includes(name), name);
    assertSet(expected);
    // What follows in README must not undo it.
    const script = block('README.md', 'sh', 'PUBLIC_HOSTNAME=').match(/^.*\.env\b.*$/gm) ?? [];
    const made = az.run(script.join('\n'), 'nothing', '');
    assert.equal(made.status, 0, made.stderr);
    assertSet({ ...expected, PUBLIC_HOSTNAME: 'apono-webhook.example.com' });
  });

  /** The last line with a name is the one that counts. */
  function assertSet(expected: Readonly<Record<string, string>>): void {
    const set = parseEnv(az.read('.env'));
    for (const [name, value] of Object.entries(expected)) assert.equal(set[name], value, name);
  }

  it('adds our columns to a table and keeps those that are there', () => {
    const there = [...recipeColumns, text('ticket')];
    const { status, stderr, calls } = az.run(
      block('docs/azure.md', 'sh', 'columns-before.json'),
      'schema.columns --output',
      there,
    );
    assert.equal(status, 0, stderr);
    const [update = ''] = calls.filter((call) => call.includes(' table update '));
    const columns = update.split(' --columns ')[1]?.split(' ') ?? [];
    const ours = (requestTable?.columns ?? []).map(
      ({ name, type }) => `${name}=${type === 'datetime' ? 'dateTime' : type}`,
    );
    assert.ok(ours.length > 40);
    assert.deepEqual([...columns].sort(), [...ours, 'ticket=string'].sort());
    assert.equal(columns[0], 'TimeGenerated=dateTime');
  });

  it('changes nothing where a column has another type', () => {
    const there = [...recipeColumns, { name: 'is_test', type: 'string' }];
    const { stderr, calls } = az.run(
      block('docs/azure.md', 'sh', 'columns-before.json'),
      'schema.columns --output',
      there,
    );
    assert.match(stderr, /is_test is string in the table, and should be boolean/);
    assert.deepEqual(
      calls.filter((call) => call.includes(' table update ')),
      [],
    );
  });

  it('makes a link to the portal from the address of the folder', () => {
    const script = block('docs/azure.md', 'sh', 'createUIDefinitionUri').replaceAll(/<(\w+)>/g, '$1');
    const { stdout } = az.run(script, 'nothing', '');
    const [link = '', ...parts] = stdout.trim().split(/\/(?:uri|createUIDefinitionUri)\//);
    assert.equal(link, 'https://portal.azure.com/#create/Microsoft.Template');
    const base = 'https://raw.githubusercontent.com/owner/repository/branch/deploy';
    assert.deepEqual(parts.map(decodeURIComponent), [`${base}/azuredeploy.json`, `${base}/createUiDefinition.json`]);
    assert.ok(existsSync(path.join(root, 'deploy/createUiDefinition.json')));
  });

  it('has queries that Kusto takes', () => {
    const kql = createKql();
    const queries = blocks('docs/azure.md', 'kusto');
    assert.notEqual(queries.length, 0);
    for (const query of queries) assert.deepEqual(kql.diagnose(query).map(describeDiagnostic), [], query);
  });
});
