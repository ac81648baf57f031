import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kinds } from '../../src/kinds/registry.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsc = path.join(root, 'node_modules/.bin/tsc');

/** What the walk changes, and what the tests below read. */
const COPIED = [
  ...['src', 'schemas', 'deploy', 'docs', 'test', 'bench', '.ci'],
  ...['package.json', 'tsconfig.json', 'docker-compose.yml', '.env.example', 'Dockerfile', '.dockerignore'],
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
];

/** The cheap ones of those that know the kinds; test/sentinel-content/rows-docs.test.ts is about requests alone. */
const TESTS = [
  ...['test/docs.test.ts', 'test/layers.test.ts', 'test/config/document.test.ts'],
  ...['test/kinds/rows.test.ts', 'test/kinds/recognize.test.ts', 'test/kinds/never-lost.test.ts'],
  ...['test/kinds/fifth-kind.test.ts', 'test/commands/template.test.ts', 'test/commands/send-test.test.ts'],
  ...['test/deploy/helm.test.ts', 'test/deploy/compose.test.ts', 'test/deploy/container-app.test.ts'],
];

const text = { $ref: 'urn:apono-sentinel:schema:request-event#/$defs/text' };

/** Step 1. */
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:apono-sentinel:schema:session-event',
  title: 'Apono session event',
  description: 'The commands of a session.',
  type: 'object',
  required: ['event_type', 'event_time', 'data'],
  properties: {
    event_type: { description: 'The type of the event.', type: 'string', pattern: '\\S', maxLength: 1024 },
    event_time: { description: 'When it happened.', $ref: 'urn:apono-sentinel:schema:request-event#/$defs/time' },
    data: {
      description: 'The session.',
      type: 'object',
      properties: {
        session_id: { description: "Apono's id of the session.", ...text },
        commands: { description: 'What was run.', items: { description: 'One command.', ...text } },
      },
    },
  },
};

/** Step 2: the columns that every table has, and the two of sessions. */
function tableOf({ columns }: (typeof kinds)[number]['table']) {
  const shared = columns.filter(({ name }) =>
    kinds.every(({ table }) => table.columns.some((one) => one.name === name)),
  );
  const own = ['session_id', 'command'].map((name) => ({ name, type: 'string', description: `The ${name}.` }));
  return { name: 'AponoSessions_CL', description: 'Commands of sessions.', columns: [...shared, ...own] };
}

/** Step 3. */
const template = `{
  "data": { "session_id": "{{data.session_id}}", "commands": ["{{data.commands.[0]}}"] },
  "event_type": "{{event_type}}",
  "event_time": "{{event_time}}"
}
`;

/** Step 4. */
const testEvent = `{
  "event_type": "SessionEnded",
  "event_time": {{time}},
  "data": { "session_id": "apono-sentinel-test-{{random}}", "commands": ["test"] }
}
`;

/** Step 5. */
const kind = `import schema from '../../schemas/apono/session-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoSessions_CL.json' with { type: 'json' };
import type { TableSchema } from '../sentinel/table.ts';
import { EventField, objectAt } from './field.ts';
import { TEST_ID_PREFIX, type WebhookKind } from './kind.ts';

export const sessionKind = {
  name: 'session',
  description: 'session events',
  table: table as TableSchema,
  streamVariable: 'LOGS_INGESTION_STREAM_SESSION',
  defaultStream: \`Custom-\${table.name}\`,
  schema,
  dataFields: Object.keys(schema.properties.data.properties),
  signs: [{ evidence: 'own_fields', has: [['session_id'], ['commands']] }],
  whatIsMissing: () => 'it has no data.commands',
  columns(event) {
    const data = new EventField(objectAt(event.data), event);
    const id = data.at('session_id').text();
    return {
      shared: { session_id: id, is_test: id?.startsWith(TEST_ID_PREFIX) ?? false },
      rows: (data.at('commands').elements() ?? []).map((command) => (invalid) => ({
        command: command.within(invalid).text(),
      })),
    };
  },
  bodyTemplate: {
    webhook: 'Session webhook',
    path: '/apono/webhook/session',
    notes: ['It carries the first command.'],
  },
} satisfies WebhookKind;
`;

/** Step 7. */
const bodies = `const event = (data: object) => JSON.stringify({ event_type: 'SessionEnded', event_time: 1763719200, data });

export const sessionBodies: Readonly<Record<string, string>> = {
  json: event({ session_id: 's-1', commands: ['ls', 'rm -rf "x"'] }),
  'odd-fields': event({ session_id: ['s', {}], commands: ['ls'] }),
  'long-text': event({ session_id: 's-1', commands: ['x'.repeat(70_000)] }),
};
`;

test('the walk-through of CONTRIBUTING.md, to the letter, adds a fifth kind with which everything passes', (t) => {
  const copy = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-fifth-kind-'));
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  for (const part of COPIED) cpSync(path.join(root, part), path.join(copy, part), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  const write = (file: string, content: string) => writeFileSync(path.join(copy, file), content);
  const extend = (file: string, place: RegExp, more: string) => {
    const before = readFileSync(path.join(copy, file), 'utf8');
    assert.match(before, place, file);
    write(
      file,
      before.replace(place, (found) => found + more),
    );
  };
  const run = (args: readonly string[], env = {}) => {
    // Without NODE_TEST_CONTEXT, under which a test runner in a test reports to that one.
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
    const [command = '', ...given] = args;
    const options = { cwd: copy, encoding: 'utf8', env: { PATH, HOME, NODE_COMPILE_CACHE, ...env } } as const;
    const { status, stdout, stderr } = spawnSync(command, given, options);
    return { status, output: stdout + stderr };
  };
  const node = process.execPath;

  const [{ table } = assert.fail('there is no kind')] = kinds;
  write('schemas/apono/session-event.schema.json', `${JSON.stringify(schema, null, 2)}\n`);
  write('schemas/tables/AponoSessions_CL.json', `${JSON.stringify(tableOf(table), null, 2)}\n`);
  write('schemas/templates/session.handlebars', template);
  write('schemas/samples/test-session.handlebars', testEvent);
  write('src/kinds/session.ts', kind);
  write('test/kinds/session-bodies.ts', bodies);
  extend('src/kinds/registry.ts', /import \{ requestKind \}.*\n/, "import { sessionKind } from './session.ts';\n");
  extend('src/kinds/registry.ts', /integrationKind(?=\])/, ', sessionKind');
  const shown = "{ title: 'the commands of a session', body: body('test-session'), rows: 1 },";
  extend('src/commands/demo.ts', / *\{ title: 'an integration .*\n/, `    ${shown}\n`);
  const columns = tableOf(table).columns.length;
  const link = '[session.handlebars](../schemas/templates/session.handlebars)';
  const url = '`https://<host>/apono/webhook/session`';
  extend(
    'docs/apono.md',
    /\| \*Integration\* .*\n/,
    `| *Session Webhook* | ${url} | ${link} | \`AponoSessions_CL\` |\n`,
  );
  const counted = `[${columns} columns](../schemas/tables/AponoSessions_CL.json)`;
  extend('docs/rows.md', /- `AponoIntegrationStatus_CL` .*\n/, `- \`AponoSessions_CL\` (${counted}): a command\n`);
  const written = ['test/docs.test.ts', 'test/kinds/rows.test.ts'];
  run([node, '--test', '--test-isolation=none', ...written], { UPDATE_DOCS: '1', UPDATE_GOLDEN: '1' });
  const generated = run([node, 'deploy/generate/main.ts']);
  assert.equal(generated.status, 0, generated.output);
  assert.match(generated.output, /^written: deploy\/azuredeploy\.json$/m);
  assert.match(readFileSync(path.join(copy, 'docker-compose.yml'), 'utf8'), /LOGS_INGESTION_STREAM_SESSION:/);

  const types = run([tsc, '--noEmit', '--singleThreaded']);
  assert.equal(types.status, 0, types.output);
  const demo = run([node, 'src/main.ts', 'demo', '--once']);
  assert.equal(demo.status, 0, demo.output);
  assert.match(demo.output, /^AponoSessions_CL$/m);
  const tests = run([node, '--test', '--test-isolation=none', '--test-reporter=spec', ...TESTS]);
  assert.equal(tests.status, 0, tests.output.slice(tests.output.indexOf('failing tests')));
});
