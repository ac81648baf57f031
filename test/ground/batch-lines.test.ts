import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { batchLines } from '../../src/ground/batch-lines.ts';
import { createLogger } from '../../src/ground/log.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function collector(): { texts: string[]; write(text: string): void } {
  const texts: string[] = [];
  return { texts, write: (text) => void texts.push(text) };
}

describe('lines', () => {
  test('of one turn are one write, in their order', async () => {
    const output = collector();
    const lines = batchLines(output);
    for (const line of ['a\n', 'b\n', 'c\n']) lines.write(line);
    assert.deepEqual(output.texts, []);
    await turn();
    lines.write('d\n');
    await turn();
    await turn();
    assert.deepEqual(output.texts, ['a\nb\nc\n', 'd\n']);
  });

  test('of a long turn are written before it is over', async () => {
    const output = collector();
    const lines = batchLines(output);
    const line = `${'x'.repeat(999)}\n`;
    for (let count = 0; count < 1_000; count += 1) lines.write(line);
    assert.ok(output.texts.join('').length > 900_000);
    await turn();
    assert.equal(output.texts.join(''), line.repeat(1_000));
  });

  test('that wait are written by flush, once', async () => {
    const output = collector();
    const lines = batchLines(output);
    lines.flush();
    lines.write('a\n');
    lines.flush();
    lines.flush();
    await turn();
    assert.deepEqual(output.texts, ['a\n']);
  });
});

/** As serve.ts puts them together. */
const program = (end: string): string => `
  import { batchLines } from '${new URL('../../src/ground/batch-lines.ts', import.meta.url)}';
  import { createLogger } from '${new URL('../../src/ground/log.ts', import.meta.url)}';
  const lines = batchLines(process.stderr);
  process.on('exit', lines.flush);
  const log = createLogger('info', lines);
  for (let index = 0; index < 500; index += 1) log.info({ index }, 'line');
  ${end}
`;

for (const [name, end] of [
  ['process.exit', 'process.exit(3);'],
  ['an error that nobody catches', `throw new TypeError('a defect');`],
  ['a rejection that nobody handles', `await Promise.reject(new TypeError('a defect'));`],
  ['having nothing left to do', ''],
] as const) {
  test(`a process that ends in the same turn by ${name} has written all its lines`, () => {
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program(end)], {
      encoding: 'utf8',
    });
    const indexes = stderr.split('\n').flatMap((line) => /^\{.*"index":(\d+)/.exec(line)?.[1] ?? []);
    assert.deepEqual(
      indexes.map(Number),
      Array.from({ length: 500 }, (_, index) => index),
    );
  });
}

test('the time of a line is that of Date, to the millisecond', async (t) => {
  const output = collector();
  const log = createLogger('info', output);
  t.mock.timers.enable({ apis: ['Date'] });
  const times = [
    0, 1, 999, 1_000, 61_007, 1_700_000_000_050, 1_699_999_999_999, 1_700_000_000_050, 253_402_300_799_999,
  ];
  for (const time of times) {
    t.mock.timers.setTime(time);
    log.info('line');
  }
  assert.deepEqual(
    output.texts.map((text) => (JSON.parse(text) as { time: string }).time),
    times.map((time) => new Date(time).toISOString()),
  );
});
