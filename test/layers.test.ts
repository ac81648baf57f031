import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, test } from 'node:test';

/** The rooms of src/, from the bottom up: what stands in one may import from its own room and from those before it. */
const LAYERS = [
  'ground',
  'sentinel',
  'apono',
  'kinds',
  'config',
  'intake',
  'outbox',
  'delivery',
  'azure',
  'heartbeat',
  'http',
  'metrics',
  'service.ts',
  'emulator',
  'commands',
  'main.ts',
];

const SOURCE = new URL('../src/', import.meta.url).pathname;

describe('the rooms of src/', () => {
  const files = globSync('**/*.ts', { cwd: SOURCE });

  test('are those of the list', () => {
    assert.deepEqual(new Set(files.map(roomOf)), new Set(LAYERS));
  });

  test('import downwards only, types included', () => {
    const upward = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => LAYERS.indexOf(roomOf(target)) > LAYERS.indexOf(roomOf(file)))
        .map((target) => `${file} imports ${target}`),
    );
    assert.deepEqual(upward, []);
  });

  test('are read from the files as they are', () => {
    assert.ok(importsOf('service.ts').includes(join('config', 'config.ts')));
  });
});

function roomOf(file: string): string {
  return file.split(/[\\/]/)[0] ?? '';
}

/** The files of src/ that a file imports, by their paths in src/. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SOURCE, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g)]
    .map(([, path = '']) => relative(SOURCE, normalize(join(SOURCE, dirname(file), path))))
    .filter((target) => !target.startsWith('..'));
}
