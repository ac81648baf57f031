import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';

/** As serve.ts does it. */
const program = (end: string): string => `
  import { createLogger } from '${new URL('../../src/ground/log.ts', import.meta.url)}';
  const log = createLogger('info', process.stderr);
  for (let index = 0; index < 500; index += 1) log.info({ index }, 'line');
  ${end}
`;

for (const [name, end] of [
  ['SIGKILL', `process.kill(process.pid, 'SIGKILL');`],
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
  const lines: string[] = [];
  const log = createLogger('info', { write: (line) => void lines.push(line) });
  t.mock.timers.enable({ apis: ['Date'] });
  const times = [
    0, 1, 999, 1_000, 61_007, 1_700_000_000_050, 1_699_999_999_999, 1_700_000_000_050, 253_402_300_799_999,
  ];
  for (const time of times) {
    t.mock.timers.setTime(time);
    log.info('line');
  }
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { time: string }).time),
    times.map((time) => new Date(time).toISOString()),
  );
});
