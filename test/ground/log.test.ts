import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';

/** More than a pipe holds. */
const LINES = 5_000;

/** As serve.ts does it. */
const program = (end: string): string => `
  import { createLogger } from '${new URL('../../src/ground/log.ts', import.meta.url)}';
  const log = createLogger('info', process.stderr);
  process.stdout.write('begins');
  for (let index = 0; index < ${LINES}; index += 1) log.info({ index }, 'line');
  ${end}
`;

for (const [name, end] of [
  ['SIGKILL', `process.kill(process.pid, 'SIGKILL');`],
  ['process.exit', 'process.exit(3);'],
  ['an error that nobody catches', `throw new TypeError('a defect');`],
  ['a rejection that nobody handles', `await Promise.reject(new TypeError('a defect'));`],
  ['having nothing left to do', ''],
] as const) {
  test(`a process that ends in the same turn by ${name} has written all its lines, also to a slow reader`, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program(end)]);
    // Nobody reads stderr until the process is at its lines.
    await once(child.stdout, 'data');
    const written = await text(child.stderr);
    const indexes = written.split('\n').flatMap((line) => /^\{.*"index":(\d+)/.exec(line)?.[1] ?? []);
    assert.deepEqual(
      indexes.map(Number),
      Array.from({ length: LINES }, (_, index) => index),
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
