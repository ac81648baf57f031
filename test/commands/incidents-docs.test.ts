import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCli } from '../../src/commands/cli.ts';
import { severities, statuses } from '../../src/sentinel/incidents/filter.ts';
import { type Column, detailColumns, formerColumns, furtherColumns } from '../../src/sentinel/incidents/formats.ts';

const fileOf = (name: string): string => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const page = fileOf('incidents.md');

/** Their names say what they hold; the page explains those that do not. */
function renderColumns(): string {
  const columns: readonly Column[] = [...formerColumns, ...furtherColumns, ...Object.values(detailColumns)];
  return `${columns.map(({ name }) => `\`${name}\``).join(', ')}\n`;
}

async function helpOf(command: string): Promise<string> {
  let help = '';
  const stdout = { write: (text: string) => (help += text) };
  const stderr = { write: () => true };
  const context = { env: {}, stdout, stderr, version: '0', onSignal: () => () => {}, exitNow: () => {} };
  assert.equal(await runCli(['incidents', command, '--help'], context), 0);
  return help;
}

describe('docs/incidents.md', () => {
  test('has the columns of the code (UPDATE_DOCS=1 makes it so)', () => {
    const block = /(<!-- generated: columns -->\n)[\s\S]*?(<!-- \/generated -->\n)/;
    const text = readFileSync(page, 'utf8');
    assert.match(text, block);
    const current = text.replace(block, (_whole, open: string, close: string) => open + renderColumns() + close);
    if (process.env['UPDATE_DOCS'] !== undefined) writeFileSync(page, current);
    assert.equal(readFileSync(page, 'utf8'), current);
  });

  test('names every option of list and export, and none that is not there', async () => {
    const text = readFileSync(page, 'utf8');
    const help = `${await helpOf('list')}${await helpOf('export')}${await helpOf('show')}`;
    const options = new Set([...help.matchAll(/^ {2,}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name ?? ''));
    options.delete('--help');
    assert.ok(options.size > 10);
    for (const option of options) assert.ok(text.includes(option), `${option} is not documented`);
    const documented = text
      .replaceAll(/az [^`\n]*|npm run[^`\n]*|docker compose run [^`\n]* sentinel/g, '')
      .matchAll(/(?<![\w-])(--[a-z]+)/g);
    for (const [, option = ''] of documented) assert.ok(options.has(option), `${option} is no option`);
    for (const word of [...statuses, ...severities]) assert.ok(text.includes(`\`${word}\``), word);
  });

  test('names codes of failures that docs/errors.md explains', () => {
    const errors = readFileSync(fileOf('errors.md'), 'utf8');
    const section = errors.split(/^## /m).find((part) => part.startsWith('Incidents commands\n')) ?? '';
    const entries = [...section.matchAll(/^- (`[^:]*`): /gm)].map(([, codes = '']) => codes);
    const explained = entries.flatMap((codes) => [...codes.matchAll(/`(\w+)`/g)].map(([, code]) => code));
    const source = readFileSync(new URL('../../src/azure/arm-error.ts', import.meta.url), 'utf8');
    const codes = [...source.matchAll(/^ {2}\| '([a-z_]+)'/gm)].map(([, code]) => code);
    assert.ok(codes.length > 10);
    for (const code of codes) assert.ok(explained.includes(code) || errors.includes(`\n- \`${code}\`: `), code);
  });
});
