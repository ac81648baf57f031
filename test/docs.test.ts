import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { renderVariablesTable } from '../deploy/generate/variables.ts';
import { runCli } from '../src/commands/cli.ts';
import { variableNames } from '../src/config/variables.ts';
import { holdCodes } from '../src/delivery/outcome.ts';
import { complaints } from '../src/http/complaints.ts';
import { deadLetterCodes, degradedCodes, failingCodes, replayHelps } from '../src/http/health-problems.ts';
import { adminCodes, type EdgeCodeInfo, problemCodes } from '../src/http/problem-codes.ts';
import { type ProblemCodeInfo, quarantineCodes } from '../src/intake/quarantine-codes.ts';
import { kinds } from '../src/kinds/registry.ts';
import { outboxStartFixes } from '../src/outbox/engine.ts';
import { renderMetrics } from './metrics/document.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map((file) => file.replaceAll('\\', '/'));

type Codes = Readonly<Record<string, ProblemCodeInfo>>;
const answered: Codes = { ...problemCodes, ...quarantineCodes };

/** What is made from the code, by file and name of its `<!-- generated: name -->`. */
const generated: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'docs/configuration.md': { variables: renderVariablesTable() },
  'docs/metrics.md': { metrics: renderMetrics() },
  // The admin port's answers say the remedies themselves.
  'docs/errors.md': {
    answers: codesList(problemCodes, ({ meaning, remedy }) => `${meaning} ${remedy}`),
    admin: codesList(adminCodes, ({ meaning }) => meaning),
  },
};

function codesList(codes: Readonly<Record<string, EdgeCodeInfo>>, textOf: (info: EdgeCodeInfo) => string): string {
  const lines = Object.entries(codes).map(
    ([code, info]) => `- \`${code}\` (${info.status}): ${asText(textOf(info))}\n`,
  );
  return lines.join('');
}

/** `<secret>` would be an element of HTML, and `&quot;` a quote. Code is code already. */
function asText(text: string): string {
  return text.replaceAll(/`[^`]*`|<(?=\w)|&(?=\w+;)/g, (part) => (part.length === 1 ? `\\${part}` : part));
}

function withBlock(text: string, name: string, content: string): string {
  const block = new RegExp(`(<!-- generated: ${name} -->\n)[\\s\\S]*?(<!-- /generated -->\n)`);
  assert.match(text, block);
  return text.replace(block, (_whole, open: string, close: string) => open + content + close);
}

/** Sources as they are but for their comments: a code that only a comment names is none. */
function sources(...patterns: readonly string[]): string {
  const files = globSync([...patterns], { cwd: root, exclude: ['src/emulator/**'] });
  assert.ok(files.length >= patterns.length);
  return files.map((file) => read(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')).join('\n');
}

/** The first groups of all matches, each once, sorted. None at all means that the pattern fits the text no more. */
function found(text: string, pattern: RegExp): string[] {
  const names = [...text.matchAll(pattern)].map(([, name]) => name ?? '');
  assert.notEqual(names.length, 0, `nothing matches ${pattern}`);
  return [...new Set(names)].sort();
}

/** The part of a page under one of its `##` headings. */
function section(file: string, heading: string): string {
  const part = read(file)
    .split(/^## /m)
    .find((candidate) => candidate.startsWith(`${heading}\n`));
  assert.ok(part !== undefined, `${file} has no section "${heading}"`);
  return part;
}

/** The codes that its lists explain, one or several an entry. */
const documentedCodes = (heading: string): string[] => codesIn(section('docs/errors.md', heading));

function codesIn(text: string): string[] {
  const entries = [...text.matchAll(/^- ((?:`\w+`(?:, )?)+)(?: \([^)]*\))?: /gm)].map(([, codes = '']) => codes);
  return found(entries.join('\n'), /`(\w+)`/g);
}

describe('what is generated', () => {
  for (const [file, blocks] of Object.entries(generated)) {
    it(`is up to date in ${file} (UPDATE_DOCS=1 makes it so)`, () => {
      const text = read(file);
      const current = Object.entries(blocks).reduce((all, [name, content]) => withBlock(all, name, content), text);
      if (process.env['UPDATE_DOCS'] !== undefined) writeFileSync(path.join(root, file), current);
      assert.equal(read(file), current);
    });
  }
});

/** The entries `- `code` (status): text` of a section, in its order. */
function entriesOf(part: string): { code: string; status: string; text: string }[] {
  const entries = [...part.matchAll(/^- `(\w+)` \((\w+)\): (.+)$/gm)];
  return entries.map(([, code = '', status = '', text = '']) => ({ code, status, text }));
}

describe('docs/errors.md', () => {
  it('says when a replay helps, as the page does', () => {
    const part = section('docs/errors.md', 'Bodies in quarantine');
    const under = (when: string) => found(part.match(new RegExp(`^- ${when}: .*$`, 'm'))?.[0] ?? '', /`([a-z_]+)`/g);
    const saying = (text: RegExp) => Object.keys(replayHelps).filter((code) => text.test(replayHelps[code] ?? ''));
    assert.deepEqual(under('at once'), saying(/at once/).sort());
    assert.deepEqual(under('once the variable is right'), saying(/variable|APONO_TEMPLATE_ESCAPING/).sort());
    assert.deepEqual(under('after an update'), saying(/after an update/).sort());
  });

  it('explains each code of quarantine once, with its status and what to do', () => {
    const entries = entriesOf(section('docs/errors.md', 'Bodies in quarantine'));
    const codes: Codes = quarantineCodes;
    assert.deepEqual(
      entries.map(({ code, status }) => [code, Number(status)]),
      Object.entries(codes).map(([code, { status }]) => [code, status]),
    );
    for (const { code, text } of entries) {
      const remedy = asText(codes[code]?.remedy ?? '');
      assert.ok(text.endsWith(`. ${remedy}`), `${code} ends with: ${remedy}`);
    }
  });

  it('has what anybody on the network can cause in the log', () => {
    const documented = [...documentedCodes('Log while it runs'), ...documentedCodes('Answers to a webhook')];
    assert.deepEqual(
      Object.keys(complaints).filter((code) => !documented.includes(code)),
      [],
    );
  });

  it('has the codes of dead letters', () => {
    const used = found(sources('src/delivery/courier.ts'), /'([a-z]+(?:_[a-z]+)+)'/g);
    const salvaged = found(sources('src/outbox/sqlite/move.ts'), /\bcode: '(\w+)'/g);
    const ofHolds: readonly string[] = holdCodes;
    const all = [...used.filter((code) => !ofHolds.includes(code)), ...salvaged].sort();
    assert.deepEqual(documentedCodes('Dead letters'), all);
    assert.deepEqual(Object.keys(deadLetterCodes).sort(), all);
  });

  it('has the codes of holds', () => {
    assert.deepEqual(documentedCodes('Delivery: retries and holds'), [...holdCodes].sort());
  });

  it('has the codes with which an outbox does not start', () => {
    assert.deepEqual(documentedCodes('Start'), Object.keys(outboxStartFixes).sort());
  });

  it('has the codes of failed sign-ins, and the numbers of Entra that are explained', () => {
    const tokenErrors = found(sources('src/azure/token-error.ts'), /'(token_[a-z]+)'/g);
    const numbers = found(sources('src/azure/token-fixes.ts'), /^\s*(AADSTS\d+):/gm);
    assert.deepEqual(documentedCodes('Sign-in to Azure'), [...tokenErrors, ...numbers].sort());
  });

  it('has every code of a log line or an error, and none that is not there', () => {
    const all = sources('src/**/*.ts');
    const documented = codesIn(read('docs/errors.md'));
    const used = found(all, /\bcode(?::| =) '([a-z]+(?:_[a-z]+)+)'/g);
    assert.deepEqual(
      used.filter((code) => !documented.includes(code)),
      [],
    );
    assert.deepEqual(
      documented.filter((code) => !new RegExp(`'${code}'|\\b${code}:`).test(all)),
      [],
    );
  });
});

async function outputOf(args: readonly string[]): Promise<string> {
  let output = '';
  const stdout = { write: (text: string) => (output += text) };
  const stderr = { write: () => true };
  const context = { env: {}, stdout, stderr, version: '0', onSignal: () => {}, exitNow: () => {} };
  assert.equal(await runCli(args, context), 0);
  return output;
}

describe('docs/apono.md', () => {
  const page = read('docs/apono.md');

  it('names codes that are answered, with their status', () => {
    const rows = [...section('docs/apono.md', 'What each mistake shows').matchAll(/^\| ([\d, ]+) \| (`[^|]*`) \|/gm)];
    assert.ok(rows.length > 5);
    for (const [, statuses = '', codes = ''] of rows) {
      for (const code of found(codes, /`(\w+)`/g)) {
        assert.ok(statuses.includes(String(answered[code]?.status)), `${code} is not answered with ${statuses}`);
      }
    }
  });

  it('names every code that a webhook may be answered with', () => {
    const ofHealth = ['not_ready'];
    const known = Object.keys(answered).filter((code) => !ofHealth.includes(code));
    const shown = section('docs/apono.md', 'What each mistake shows');
    assert.deepEqual(
      known.filter((code) => !shown.includes(`\`${code}\``)),
      [],
    );
  });

  it('has the URL and the table of the webhook of every kind, and links its templates', () => {
    for (const { name, bodyTemplate, table } of kinds) {
      assert.ok(page.includes(`https://<host>${bodyTemplate.path}\``), bodyTemplate.path);
      assert.ok(page.includes(`\`${table.name}\``), table.name);
      assert.ok(page.includes(`](../schemas/templates/${name}.handlebars)`), name);
      assert.equal(
        page.includes(`](../schemas/templates/${name}-each.handlebars)`),
        bodyTemplate.eachNotes !== undefined,
        name,
      );
    }
  });

  it('names every trigger of the request webhook', () => {
    for (const trigger of kinds.flatMap(({ bodyTemplate }) => bodyTemplate.triggers ?? [])) {
      assert.ok(page.includes(trigger), trigger);
    }
  });
});

describe('docs/operations.md', () => {
  it('explains each problem of /healthz once, with its status', () => {
    assert.deepEqual(
      entriesOf(section('docs/operations.md', 'Watching it')).map(({ code, status }) => [code, status]),
      Object.entries({ failing: failingCodes, degraded: degradedCodes }).flatMap(([status, codes]) =>
        Object.keys(codes).map((code) => [code, status]),
      ),
    );
  });

  it('has the commands that there are', async () => {
    const help = await outputOf(['--help']);
    const commands = found(help, /^ {2}([a-z][\w-]*)(?: \[[a-z]+\])? {2,}/gm).filter((name) => name !== 'help');
    assert.deepEqual(found(section('docs/operations.md', 'Commands'), /^- `([\w-]+)[^`]*`: /gm), commands);
  });
});

describe('the Markdown files', () => {
  it('name variables that there are', () => {
    const known: readonly string[] = variableNames;
    for (const file of documents) {
      const names = read(file).matchAll(/\b((?:APONO|OUTBOX|LOGS_INGESTION|DATA_COLLECTION|ADMIN)_[A-Z_]*[A-Z])\b/g);
      for (const [, name = ''] of names) {
        assert.ok(known.includes(name) || known.includes(name.replace(/_FILE$/, '')), `${file} names ${name}`);
      }
    }
  });

  it('count the columns of each table rightly, in docs/rows.md alone', () => {
    const counts = new Map(kinds.map(({ table }) => [table.name, table.columns.length]));
    const named = [...read('docs/rows.md').matchAll(/`(\w+_CL)`[^`\d]*(\d+) columns/g)];
    assert.deepEqual(new Map(named.map(([, name = '', count]) => [name, Number(count)])), counts);
    const elsewhere = documents.filter((file) => /_CL\b[^.|]*\d columns/.test(read(file)));
    assert.deepEqual(
      elsewhere.filter((file) => file !== 'docs/rows.md' && file !== 'CHANGELOG.md'),
      [],
    );
    const shown = /length\(schema\.columns\)'\s+# (\d+)/.exec(read('docs/azure.md'))?.[1];
    assert.equal(
      Number(shown),
      counts.get('AponoAccessRequests_CL'),
      'docs/azure.md shows how many columns requests have',
    );
  });

  it('give a reason for each package in ADR 6, for those that run with the version', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Readonly<
      Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
    >;
    const record = read('docs/adr/0006-run-time-dependencies.md');
    const rows = [...record.matchAll(/^\| (\S+) \| (\d\S+) \|/gm)].map(([, name = '', version]) => [
      name,
      `^${version}`,
    ]);
    assert.deepEqual(Object.fromEntries(rows), dependencies);
    const [, development = ''] = record.split('\nDevelopment: ');
    const named = (name: string): boolean => development.includes(name) || name.startsWith('@types/');
    assert.deepEqual(
      Object.keys(devDependencies).filter((name) => !named(name)),
      [],
    );
  });

  it('name npm scripts that there are', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> };
    for (const file of documents) {
      for (const [, script = ''] of read(file).matchAll(/npm run (?:--silent )?([a-z:]+)/g)) {
        assert.ok(Object.hasOwn(scripts, script), `${file}: npm run ${script}`);
      }
    }
  });
});
