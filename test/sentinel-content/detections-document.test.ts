import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { block } from '../support/documented-commands.ts';
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
  it('has every rule, with its severity, its times and its own settings, and no other', () => {
    const kql = createKql();
    const settings = kql.result('AponoSettings()').columns.map(({ name }) => name);
    const rows = tableUnder('| rule | severity | every/over | needs | settings |');
    const expected = readRules().map(({ file, name, severity, query, queryFrequency, queryPeriod }) => {
      const read = [...withoutComments(query).matchAll(/AponoSettings\(\) \| project ([^\n;]*)\);/g)].map(
        ([, column]) => column,
      );
      const used = settings.filter((setting) =>
        read.some((column) => new RegExp(`\\b${setting}\\b`).test(column ?? '')),
      );
      return [
        link(name, 'Analytic Rules', file),
        severity,
        `${queryFrequency}/${queryPeriod}`,
        used
          .filter((setting) => !ofAllRequestRules.includes(setting))
          .map((setting) => `\`${setting}\``)
          .join(' ') || '–',
      ];
    });
    assert.deepEqual(
      rows.map(([name, severity, runs, , used]) => [name, severity, runs, used]),
      expected,
    );
    for (const row of rows) assert.ok(row.length === 5 && row.every((cell) => cell.trim() !== ''), row[0]);
  });

  it('has every hunting query, and no other', () => {
    const listed = [...text.matchAll(/^- (\[.*\))$/gm)].map(([, entry]) => entry);
    assert.deepEqual(
      listed,
      readHuntingQueries().map(({ file, name }) => link(name, 'Hunting Queries', file)),
    );
  });

  it('posts the event of docs/rows.md as a request of its own, as of now', () => {
    const script = block('docs/detections.md', 'sh', 'event.json').replace(/\|\s*curl[\s\S]*$/, '');
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-event-'));
    const before = Math.floor(Date.now() / 1000);
    try {
      writeFileSync(path.join(folder, 'event.json'), block('docs/rows.md', 'json', 'event_type'));
      const { event_time: time, data } = JSON.parse(
        execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' }),
      );
      for (const one of [time, data.creation_date, data.revocation_date])
        assert.ok(one >= before && one <= Date.now() / 1000, String(one));
      assert.equal(data.id, `${time}-93d1-4c1f-8a55-2f6f6f0b6a41`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('says the truth about which rules find nothing before AponoSettings was edited', () => {
    for (const name of ['Access granted without approval', 'Off-hours grant to a sensitive integration'])
      assert.match(text, new RegExp(`"${name}"`));
  });
});
