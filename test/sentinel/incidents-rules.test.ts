import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { aponoRuleNames } from '../../src/sentinel/incidents/filter.ts';

const folder = fileURLToPath(new URL('../../deploy/sentinel/Analytic Rules/', import.meta.url));

test('every analytics rule that this product ships is known as one by its query', () => {
  const files = globSync('*.yaml', { cwd: folder });
  assert.ok(files.length > 0);
  for (const file of files) {
    const { id, query } = parse(readFileSync(path.join(folder, file), 'utf8')) as { id: string; query: string };
    assert.deepEqual([...aponoRuleNames([{ name: id, properties: { query } }])], [id.toLowerCase()], file);
  }
});
