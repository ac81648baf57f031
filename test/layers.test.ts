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

/** A file as a comment names it, by the end of its path. What begins with a dot is of another repository. */
const FILE_NAME = /(?<![\w/.*{}<>-])(?:[\w-]+\/)*[\w-][\w.-]*\.(?:ts|md|mjs|sql)(?![\w(])/g;

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

  test('load the Azure SDK only for commands that sign in', () => {
    const signingIn = /[\\/](incidents[\\/].*|check-live|demo|serve|tokens)\.ts$/;
    const others = files.filter((file) => roomOf(file) === 'commands' && !signingIn.test(file));
    const loading = others.filter((file) => [...loadedWith(file)].some((loaded) => roomOf(loaded) === 'azure'));
    assert.ok([...loadedWith(join('commands', 'tokens.ts'))].some((loaded) => roomOf(loaded) === 'azure'));
    assert.deepEqual(loading, []);
  });

  test('are read from the files as they are', () => {
    assert.ok(importsOf('service.ts').includes(join('config', 'config.ts')));
  });
});

describe('the comments of src/, deploy/ and test/', () => {
  const root = join(SOURCE, '..');
  const files = globSync(['{src,deploy,test,bench,.ci,schemas,docs}/**/*.{ts,md,mjs,sql}', '*.md'], { cwd: root });

  test('name files that there are', () => {
    const missing = files
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => {
        const text = readFileSync(join(root, file), 'utf8');
        const comments = [...text.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/ .*$/gm)].join('\n');
        return [...comments.matchAll(FILE_NAME)].map(([name]) => ({ file, name }));
      })
      .filter(({ name }) => !files.some((file) => `/${file}`.endsWith(`/${name}`)));
    assert.deepEqual(missing, []);
  });
});

function roomOf(file: string): string {
  return file.split(/[\\/]/)[0] ?? '';
}

/** The files that Node loads together with this one: not those that it imports types from, or later. */
function loadedWith(file: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const text = readFileSync(join(SOURCE, file), 'utf8');
  const withoutTypes = text
    .replaceAll(/^import type .*?;$/gms, '')
    .replaceAll(/\btype \w+( as \w+)?,?/g, '')
    .replaceAll(/^import \{\s*\} from .*$/gm, '')
    .replaceAll(/\bimport\(/g, '');
  for (const target of importsIn(withoutTypes, file)) loadedWith(target, loaded);
  return loaded;
}

/** The files of src/ that a file imports, by their paths in src/. */
function importsOf(file: string): string[] {
  return importsIn(readFileSync(join(SOURCE, file), 'utf8'), file);
}

function importsIn(text: string, file: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g)]
    .map(([, path = '']) => relative(SOURCE, normalize(join(SOURCE, dirname(file), path))))
    .filter((target) => !target.startsWith('..'));
}
