import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { deployFolder, readJson } from './support.ts';

const folder = `${deployFolder}sentinel/`;

interface Solution {
  readonly Name: string;
  readonly Version: string;
  readonly Metadata: string;
  readonly 'Analytic Rules': readonly string[];
  readonly 'Hunting Queries': readonly string[];
  readonly Parsers: readonly string[];
  readonly Workbooks: readonly string[];
}

const solution = readJson<Solution>('sentinel/Data/Solution_Apono.json');
const parts = ['Analytic Rules', 'Hunting Queries', 'Parsers', 'Workbooks'] as const;

describe('the solution', () => {
  it('lists every file of its folders, and none that is not there', () => {
    for (const part of parts) {
      const files = readdirSync(folder + part).map((file) => `${part}/${file}`);
      assert.deepEqual([...solution[part]].sort(), files.sort());
      assert.ok(files.length > 0, part);
    }
    assert.ok(existsSync(folder + solution.Metadata));
  });

  it('has the metadata that Azure-Sentinel asks for', () => {
    const metadata = readJson<Readonly<Record<string, unknown>>>('sentinel/SolutionMetadata.json');
    for (const key of ['publisherId', 'offerId', 'firstPublishDate', 'providers', 'categories', 'support']) {
      assert.ok(metadata[key] !== undefined, key);
    }
    assert.match(String(metadata['firstPublishDate']), /^\d{4}-\d\d-\d\d$/);
  });

  it('has release notes that begin with its version', () => {
    const [, , newest = ''] = readFileSync(`${folder}ReleaseNotes.md`, 'utf8').split('\n');
    assert.match(newest, new RegExp(`^\\| ${solution.Version.replaceAll('.', '\\.')} \\| \\d\\d-\\d\\d-\\d{4} \\| `));
    assert.match(solution.Version, /^3\.\d+\.\d+$/);
  });
});
