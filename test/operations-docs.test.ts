import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SCHEMA_VERSION } from '../src/outbox/sqlite/schema.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** The first groups of all matches; none at all means that the pattern fits the text no more. */
function found(text: string, pattern: RegExp): string[] {
  const names = [...text.matchAll(pattern)].map(([, name]) => name ?? '');
  assert.notEqual(names.length, 0, `nothing matches ${pattern}`);
  return [...new Set(names)].sort();
}

/** The part of a page from one heading to the next of its level. */
function section(text: string, heading: string): string {
  const level = /^#+ /.exec(heading)?.[0] ?? '';
  const part = text.split(new RegExp(`^(?=${level})`, 'm')).find((candidate) => candidate.startsWith(`${heading}\n`));
  assert.ok(part !== undefined, `there is no section "${heading}"`);
  return part;
}

const handbook = read('docs/operations.md');

describe('docs/operations.md', () => {
  it('has a section for every alarm, and none for one that is not there', () => {
    const alerts = read('docs/alerts.yml');
    const names = found(alerts, /^\s*- alert: (\w+)$/gm);
    assert.deepEqual(found(section(handbook, '## The alarms'), /^### (\w+)$/gm), names);
    const runbooks = found(alerts, /^\s*runbook_url: https:\/\/\S+\/operations\.md#(\S+)$/gm);
    assert.deepEqual(runbooks, names.map((name) => name.toLowerCase()).sort());
  });

  it('says of every alarm what it means and what to do', () => {
    for (const [alarm = '', ...parts] of section(handbook, '## The alarms').split(/^### /m).slice(1).map(paragraphs)) {
      const text = parts.join('\n');
      assert.match(text, /^\*\*Means\*\*: /m, alarm);
      assert.match(text, /^\*\*(?:Do|Look)\*\*: /m, alarm);
    }
  });

  it('has every message of the log that has no code, and none that is not logged', () => {
    const documented = [...section(handbook, '## The log').matchAll(/^- ((?:`[^`]+`(?:, )?)+) \([a-z ,;]+\): /gm)]
      .flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)])
      .map(([, message = '']) => message);
    const logged = logCalls().filter(({ hasCode }) => !hasCode);
    assert.ok(logged.length > 20, 'the calls of the log are not found any more');
    const patterns = logged.flatMap(({ messages, where }) => {
      assert.notEqual(messages.length, 0, `${where} logs no message that this test can read`);
      return messages.map(patternOf);
    });
    assert.deepEqual(
      patterns.filter((pattern) => !documented.some((message) => pattern.test(message))).map(String),
      [],
      'logged, and not in docs/operations.md',
    );
    const all = logCalls().flatMap(({ messages }) => messages.map(patternOf));
    assert.deepEqual(
      documented.filter((message) => !all.some((pattern) => pattern.test(message))),
      [],
      'in docs/operations.md, and not logged',
    );
  });

  it('names the version of the database that this version writes', () => {
    assert.match(
      section(handbook, '## Upgrade and downgrade'),
      new RegExp(`this\\s+version\\s+writes\\s+${SCHEMA_VERSION}\\.`),
    );
  });
});

describe('docs/security.md', () => {
  const page = read('docs/security.md');

  it('names files that are there', () => {
    for (const file of found(page, /`((?:src|test|deploy|docs|schemas)\/[^`\s]*)`/g)) {
      assert.ok(existsSync(path.join(root, file)), file);
    }
  });

  it('has a test for every threat', () => {
    const rows = section(page, '## Threats, controls, tests')
      .split('\n')
      .filter((line) => line.startsWith('| '));
    assert.ok(rows.length > 20);
    for (const row of rows.slice(1)) assert.match(row.split(' | ').at(-1) ?? '', /`test\/[\w/.-]+\.ts`/, row);
  });

  it('names requirements of ASVS in the form of its version 5, each once', () => {
    const ids: readonly string[] = page.match(/\bV\d+(?:\.\d+)*/g) ?? [];
    assert.ok(ids.length > 60);
    for (const id of ids) assert.match(id, /^V\d+\.\d+\.\d+$/);
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    );
  });
});

describe('SECURITY.md', () => {
  it('gives no address of anybody, which would be made up', () => {
    assert.doesNotMatch(read('SECURITY.md'), /[\w.+-]+@[\w-]+\.\w+/);
  });
});

function paragraphs(text: string): string[] {
  return text.split('\n\n');
}

interface LogCall {
  /** `file: the call`. */
  readonly where: string;
  /** Empty when the message is a variable. */
  readonly messages: readonly string[];
  /** Its code is in docs/errors.md, which test/docs.test.ts holds. */
  readonly hasCode: boolean;
}

/** Calls of a logger in src/, the emulator's left out: what is logged is the last argument. */
function logCalls(): LogCall[] {
  // The store thread's lines are written where they are made, and only passed on by the link.
  const exclude = ['src/emulator/**', 'src/outbox/thread/link.ts'];
  const files = globSync('src/**/*.ts', { cwd: root, exclude });
  return files.flatMap((file) => {
    const text = read(file);
    return [...text.matchAll(/\blog(?:\.(?:debug|info|warn|error|fatal)|\[[^\]]+\]+)\(/g)].map(
      ({ index, 0: start }) => {
        const args = argumentsOf(text.slice(index + start.length));
        return {
          where: `${file}: ${start}${args.join(', ').slice(0, 80)}`,
          messages: messagesOf(args.at(-1) ?? ''),
          // `{ code, …`: from a table of codes, such as that of complaints.ts.
          hasCode: /\bcode: '|^\{ code, /.test(args[0] ?? ''),
        };
      },
    );
  });
}

/** The arguments of a call, as text, of what follows its opening bracket. */
function argumentsOf(text: string): string[] {
  const args = [''];
  let depth = 0;
  for (const [token] of text.matchAll(/'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|./gs)) {
    if (/^[([{]$/.test(token)) depth++;
    if (/^[)\]}]$/.test(token) && --depth < 0) break;
    if (token === ',' && depth === 0) args.push('');
    else args[args.length - 1] += token;
  }
  return args.map((arg) => arg.trim()).filter((arg) => arg !== '');
}

/** The texts of an expression: one, or both of a choice; those that `+` joins are one. */
function messagesOf(expression: string): string[] {
  const choices = expression.includes(' ? ')
    ? expression.slice(expression.indexOf(' ? ') + 3).split(' : ')
    : [expression];
  return choices
    .map((choice) =>
      [...choice.matchAll(/'((?:\\.|[^'\\])*)'|`((?:\\.|[^`\\])*)`/g)].map((match) => match[1] ?? match[2]),
    )
    .map((parts) => parts.join(''))
    .filter((message) => message !== '');
}

/** A template's values may be anything. */
function patternOf(message: string): RegExp {
  const literal = message.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.+')}$`);
}
