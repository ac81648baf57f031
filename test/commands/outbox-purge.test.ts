import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { describe, it } from 'node:test';
import { runCli } from '../../src/commands/cli.ts';
import { quarantined } from '../outbox/samples.ts';
import { eventually } from '../support/eventually.ts';
import { openTestStore } from '../support/store.ts';
import {
  healthOf,
  idOf,
  type Json,
  recordsOf,
  refuseSomeRows,
  settled,
  startRunning,
  units,
} from './outbox-fixture.ts';
import { mainFile, run } from './support.ts';

describe('outbox purge', () => {
  it('deletes for good what is named, and an event that comes again is not taken anew', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    refuseSomeRows(emulator);
    const eventId = await idOf(await service.post(units('r1')));
    await service.post('broken');
    await settled(service, 1);
    const asked = await run(['outbox', 'purge', eventId], env);
    assert.equal(asked.exitCode, 2, 'without a terminal and without --yes');
    assert.match(asked.stderr, /--yes/);
    assert.equal((await healthOf(service))['dead'], 1);
    const purged = await run(['outbox', 'purge', eventId, 'no-such-record', '--yes'], env);
    assert.equal(purged.exitCode, 1, 'one was not there');
    assert.match(purged.stdout, new RegExp(`^${eventId} +purged\nno-such-record +no such record$`, 'm'));
    assert.equal((await healthOf(service))['dead'], 0);
    assert.equal(((await (await service.post(units('r1'))).json()) as Json)['duplicate'], true);
    const all = await run(['outbox', 'purge', '--all', '--state', 'quarantined', '--yes'], env);
    assert.deepEqual([all.exitCode, all.stderr], [0, '1 record deleted.\n']);
    assert.equal((await healthOf(service))['quarantined'], 0);
    const audit = () => service.logs.filter(({ message }) => message === 'purged').map(({ records }) => records);
    await eventually(() => audit().length >= 2, audit);
    assert.deepEqual(audit(), [1, 1], 'what an operator deletes is in the log');
  });

  it('asks at a terminal, and deletes only when the word is typed', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    await outbox.put([quarantined('a'), quarantined('b')]);
    await outbox.close();
    const questions: string[] = [];
    for (const [answer, exitCode] of [
      ['', 1],
      ['y', 1],
      ['purge', 0],
    ] as const) {
      const stdout: string[] = [];
      const context = {
        env: { DATA_DIR: dataDir },
        stdout: { write: (text: string) => stdout.push(text) },
        stderr: { write: () => true },
        ask: async (question: string) => {
          questions.push(question);
          return answer;
        },
        version: '1.2.3',
        onSignal: () => {},
        exitNow: () => assert.fail(),
      };
      assert.equal(await runCli(['outbox', 'purge', '--all', '--state', 'quarantined'], context), exitCode);
      assert.equal(stdout.join('').includes('purged'), exitCode === 0);
    }
    assert.deepEqual(questions, Array(3).fill('Type purge to delete 2 records for good: '));
    assert.deepEqual(recordsOf(await run(['outbox', 'list', '--json'], { DATA_DIR: dataDir })), []);
  });
});

it('outbox purge asks at a real terminal, where Ctrl-D is no', async (t) => {
  if (spawnSync('script', ['--version']).status !== 0) return t.skip('there is no script(1) to make a terminal with');
  const { dataDir, store: outbox } = await openTestStore(t);
  await outbox.put([quarantined('a')]);
  await outbox.close();
  const command = `'${process.execPath}' '${mainFile}' outbox purge a`;
  for (const [input, status, left] of [
    ['\u0004', 1, 1],
    ['no\n', 1, 1],
    ['purge\n', 0, 0],
  ] as const) {
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { PATH: process.env['PATH'], DATA_DIR: dataDir, TERM: 'dumb' },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: 300_000,
    });
    let shown = '';
    child.stdout.on('data', (chunk) => {
      const asked = shown.includes('for good: ');
      shown += String(chunk);
      if (!asked && shown.includes('for good: ')) child.stdin.write(input);
    });
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, status, shown);
    assert.match(shown, /Type purge to delete 1 record for good: /);
    assert.equal(recordsOf(await run(['outbox', 'list', '--json'], { DATA_DIR: dataDir })).length, left);
  }
});
