import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCli } from '../../src/commands/cli.ts';
import type { JsonObject } from '../../src/ground/json.ts';
import { severities, statuses } from '../../src/sentinel/incidents/filter.ts';
import { columnsWith } from '../../src/sentinel/incidents/formats.ts';
import { detailNames } from '../../src/sentinel/incidents/incident.ts';
import { listed } from '../support/azure/incidents.ts';
import { setUpIncidents } from './incidents-fixture.ts';
import { run } from './support.ts';

const fileOf = (name: string): string => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const page = fileOf('incidents.md');

/** Their names say what they hold; the page explains those that do not. */
function renderColumns(): string {
  return `${columnsWith(detailNames)
    .map(({ name }) => `\`${name}\``)
    .join(', ')}\n`;
}

const zoe = { name: 'e', kind: 'Account', properties: { accountName: 'zoe', upnSuffix: 'example.com' } };

/** The incident of docs/rows.md, and one of the feed. */
function incident(number: number, provider: string): JsonObject {
  const isOfFeed = number === 2337;
  const name = `73e01a99-5cd7-4139-a149-00000000${number}`;
  return {
    id: `${provider}/incidents/${name}`,
    name,
    type: 'Microsoft.SecurityInsights/incidents',
    properties: {
      incidentNumber: number,
      title: isOfFeed
        ? 'Apono feed needs attention: Quarantined'
        : 'Apono: zoe@example.com approved their own request AR-4411',
      severity: isOfFeed ? 'Medium' : 'High',
      status: isOfFeed ? 'Active' : 'New',
      createdTimeUtc: isOfFeed ? '2026-11-28T08:30:11Z' : '2026-11-28T10:25:09Z',
      lastModifiedTimeUtc: '2026-11-28T10:25:09Z',
      owner: isOfFeed ? { assignedTo: 'Jo Doe', email: 'jo@example.com' } : {},
      labels: [],
      providerName: 'Azure Sentinel',
      additionalData: { alertsCount: 1, commentsCount: 0, tactics: ['PrivilegeEscalation'] },
    },
  };
}

async function helpOf(command: string): Promise<string> {
  let help = '';
  const stdout = { write: (text: string) => (help += text) };
  const stderr = { write: () => true };
  const context = { env: {}, stdout, stderr, version: '0', onSignal: () => {}, exitNow: () => {} };
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

  test('shows what list and show print of two of our incidents (UPDATE_DOCS=1 makes it so)', async (t) => {
    const { emulator, env } = await setUpIncidents(t, 0);
    const provider = `${emulator.workspaceResourceId}/providers/Microsoft.SecurityInsights`;
    emulator.setIncidents(listed([incident(2337, provider), incident(2338, provider)]));
    emulator.setIncidentDetails(() => ({ comments: [], alerts: [], entities: [zoe] }));
    const list = (await run(['incidents', 'list'], env)).stdout;
    const show = (await run(['incidents', 'show', '2338'], env)).stdout;
    // The link is as long as the resource id of the workspace.
    const content = `\`\`\`text\n${list}\n${show.replaceAll(/^(?:Link|Name): .*\n/gm, '')}\`\`\`\n`;
    const block = /(<!-- generated: output -->\n)[\s\S]*?(<!-- \/generated -->\n)/;
    const text = readFileSync(page, 'utf8');
    assert.match(text, block);
    const current = text.replace(block, (_whole, open: string, close: string) => open + content + close);
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
