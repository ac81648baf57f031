import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readHuntingQueries, readRules, withoutComments } from './detections.ts';
import { createKql } from './kql.ts';

const text = readFileSync(new URL('../../docs/detections.md', import.meta.url), 'utf8');

/** The cells of the rows under a heading row. */
function tableUnder(heading: string): readonly (readonly string[])[] {
  const [, body] = text.split(`${heading}\n`);
  assert.ok(body !== undefined, `docs/detections.md has no table "${heading}"`);
  const [, ...rows] = body.split('\n\n')[0]?.trim().split('\n') ?? [];
  return rows.map((row) => row.slice(2, -2).split(' | '));
}

const link = (name: string, folder: string, file: string): string =>
  `[${name.replace('Apono - ', '')}](../deploy/sentinel/${folder.replaceAll(' ', '%20')}/${file})`;

/** What the page says once of all of them. */
const ofAllRequestRules = ['ExcludedRequesters', 'ExcludedFlows'];

describe('docs/detections.md', () => {
  it('has every rule, with its severity and its own settings, and no other', () => {
    const kql = createKql();
    const settings = kql.result('AponoSettings()').columns.map(({ name }) => name);
    const rows = tableUnder('| rule | severity | needs | settings |');
    const expected = readRules().map(({ file, name, severity, query }) => {
      const read = [...withoutComments(query).matchAll(/AponoSettings\(\) \| project ([^\n;]*)\);/g)].map(
        ([, column]) => column,
      );
      const used = settings.filter((setting) =>
        read.some((column) => new RegExp(`\\b${setting}\\b`).test(column ?? '')),
      );
      return [
        link(name, 'Analytic Rules', file),
        severity,
        used
          .filter((setting) => !ofAllRequestRules.includes(setting))
          .map((setting) => `\`${setting}\``)
          .join(' ') || '–',
      ];
    });
    assert.deepEqual(
      rows.map(([name, severity, , used]) => [name, severity, used]),
      expected,
    );
    for (const row of rows) assert.ok(row.length === 4 && row.every((cell) => cell.trim() !== ''), row[0]);
  });

  it('has every hunting query, and no other', () => {
    const listed = [...text.matchAll(/^- (\[.*\))$/gm)].map(([, entry]) => entry);
    assert.deepEqual(
      listed,
      readHuntingQueries().map(({ file, name }) => link(name, 'Hunting Queries', file)),
    );
  });

  it('says the truth about which rules find nothing before AponoSettings was edited', () => {
    for (const name of ['Access granted without approval', 'Off-hours grant to a sensitive integration'])
      assert.match(text, new RegExp(`"${name}"`));
  });
});
