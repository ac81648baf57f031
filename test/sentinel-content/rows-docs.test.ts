import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kindNamed } from '../../src/kinds/registry.ts';
import { mapRows } from '../../src/kinds/rows.ts';
import { decode } from '../kinds/support.ts';
import { block, blocks } from '../support/documented-commands.ts';
import { mapToRows, textsOf } from '../support/mapped-rows.ts';
import { readRules } from './detections.ts';
import { createKql, describeDiagnostic } from './kql.ts';
import { runQuery } from './run/run.ts';
import { textOf } from './run/values.ts';
import { definitions } from './samples/script.ts';

/* The example of docs/rows.md: what the mapper makes of its event, and the analytics rule of those rows. */

const page = fileURLToPath(new URL('../../docs/rows.md', import.meta.url));
const request = kindNamed('request');
assert.ok(request !== undefined);
const text = block('docs/rows.md', 'json', 'event_type');
const event = decode(request, text);
// As if it had been received a fifth of a second after it happened.
const received = { ...event, meta: { ...event.meta, receivedAt: 1_795_860_912_300 } };
const rows = mapToRows(request, received);
const mapped = mapRows(request, received);
assert.ok(mapped !== null);
const bytesOfRow = Math.round(
  textsOf(mapped).reduce((sum, json) => sum + Buffer.byteLength(json), 0) / textsOf(mapped).length,
);

const cell = (value: unknown): string => {
  const plain = typeof value === 'string' ? value : JSON.stringify(value);
  return `\`${plain.replaceAll('|', '\\|')}\``;
};

function rowBlock(): string {
  const [row = {}] = rows;
  const present = Object.entries(row).filter(([, value]) => value !== null);
  const lines = present.map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
  return `\`\`\`json\n{\n${lines.join(',\n')}\n}\n\`\`\`\n`;
}

function incidentTable(): string {
  const { parsers } = createKql();
  const [like] = parsers;
  const rule = readRules().find(({ file }) => file === 'AponoSelfApproval.yaml');
  assert.ok(like !== undefined && rule !== undefined);
  const asFunction = { ...like, FunctionAlias: 'Rule', FunctionQuery: rule.query, FunctionParams: [] };
  const arrivedAt = '2026-11-28T10:16:00.0000000Z';
  const stored = rows.map((row) => ({ kind: 'request', row, arrivedAt }));
  const script = definitions(asFunction, parsers, { AponoAccessRequests_CL: stored as never });
  const [alert, ...others] = runQuery(`set query_now = datetime(2026-11-28T10:20:00Z);\n${script}\nRule()`).rows;
  assert.ok(alert !== undefined);
  assert.deepEqual(others, []);
  const shownOf = (column: string): string => textOf(alert[column] ?? null);
  const filled = (format: string): string =>
    format.replaceAll(/\{\{(\w+)\}\}/g, (_, column: string) => shownOf(column));
  const { alertDisplayNameFormat = '', alertDescriptionFormat = '' } = rule.alertDetailsOverride ?? {};
  const entities = (rule.entityMappings ?? []).map(({ entityType, fieldMappings }) => {
    const parts = fieldMappings.map(({ identifier, columnName }) => `${identifier} ${cell(shownOf(columnName))}`);
    return `${entityType}: ${parts.join(', ')}`;
  });
  const details = Object.entries(rule.customDetails).map(([name, column]) => `${name} ${cell(shownOf(column))}`);
  const lines = [
    ['title', cell(filled(alertDisplayNameFormat))],
    ['description', cell(filled(alertDescriptionFormat).trim())],
    ['severity, tactics', `${rule.severity}; ${rule.tactics.join(', ')} (${rule.relevantTechniques.join(', ')})`],
    ['entities', [...new Set(entities)].join('; ')],
    ['custom details', details.join(', ')],
  ];
  return `| | |\n|---|---|\n${lines.map(([name = '', value = '']) => `| ${name} | ${value} |\n`).join('')}`;
}

const STEPS = 4;
const UNITS = 2;
const PRICE = 5;

function costTable(): string {
  const bytesOfRequest = STEPS * UNITS * bytesOfRow;
  const lines = [100, 1_000, 10_000].map((perDay) => {
    const gigabytes = (perDay * bytesOfRequest * 30) / 1e9;
    const shown = (value: number): string => value.toPrecision(2).replace(/\.0$/, '');
    return `| ${perDay.toLocaleString('en')} | ${shown(gigabytes)} GB | ${shown(gigabytes * PRICE)} USD |\n`;
  });
  const size = `${bytesOfRow.toLocaleString('en')} bytes a row`;
  const head = `The rows above have ${size}, so this request, with ${STEPS} steps of ${UNITS} units, has ${(bytesOfRequest / 1000).toFixed(1)} KB.\n\n`;
  return `${head}| requests a day | a month | costs |\n|---|---|---|\n${lines.join('')}`;
}

describe('docs/rows.md', () => {
  for (const [name, content] of Object.entries({ row: rowBlock(), incident: incidentTable(), cost: costTable() })) {
    it(`has the ${name} that the code makes of its event (UPDATE_DOCS=1 makes it so)`, () => {
      const pattern = new RegExp(`(<!-- generated: ${name} -->\n)[\\s\\S]*?(<!-- /generated -->\n)`);
      const before = readFileSync(page, 'utf8');
      assert.match(before, pattern);
      const current = before.replace(pattern, (_whole, open: string, close: string) => open + content + close);
      if (process.env['UPDATE_DOCS'] !== undefined) writeFileSync(page, current);
      assert.equal(readFileSync(page, 'utf8'), current);
    });
  }

  it('says in which columns the rows differ', () => {
    const [first = {}, second = {}] = rows;
    const differ = Object.keys(first).filter((name) => first[name] !== second[name] && typeof first[name] !== 'object');
    assert.deepEqual(differ.sort(), ['access_unit_index', 'permission', 'permission_id', 'row_id']);
    for (const name of differ) assert.ok(readFileSync(page, 'utf8').includes(`\`${name}\``), name);
  });

  it('has queries that Kusto takes', () => {
    const kql = createKql();
    for (const query of [...blocks('docs/rows.md', 'kusto'), ...blocks('docs/operations.md', 'kusto')]) {
      assert.deepEqual(kql.diagnose(query).map(describeDiagnostic), [], query);
    }
  });
});
