/**
 * An outbox in a process of its own, for what only another process can show: locks, kill -9, limits of the system.
 * argv: folder, then one of the modes below. It says on stdout, one line each, what it did.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import { openSqliteOutbox, type SqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { OutboxStartError } from '../../src/outbox/start-error.ts';
import { delivered, event } from './samples.ts';

/** Unbuffered: what was said before a kill -9 has been said. Waits for a reader that is slower than the outbox. */
function say(...words: readonly unknown[]): void {
  for (let rest = Buffer.from(`${words.join(' ')}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}

/** Says each id after it was answered as stored, as the edge would answer 200. */
async function putForEver(outbox: SqliteOutbox, prefix: string): Promise<never> {
  for (let n = 0; ; n += 8) {
    const puts = Array.from({ length: 8 }, async (_, i) => {
      const id = `${prefix}-${n + i}`;
      const { outcome } = await outbox.put([event(id, { body: JSON.stringify({ id, text: 'x'.repeat(i * 3_000) }) })]);
      if (outcome === 'stored') say('stored', id);
    });
    await Promise.all(puts);
  }
}

/** Does what it is told on stdin, a line each. */
async function obey(outbox: SqliteOutbox): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument = ''] = line.split(' ');
    if (command === 'put') {
      const put = await outbox.put([event(argument, { body: `"${'x'.repeat(20_000)}"` })]);
      say(put.outcome, put.outcome === 'unavailable' ? put.reason : '');
    } else if (command === 'stats') {
      const { writable, problem } = await outbox.stats();
      say(JSON.stringify({ writable, problem }));
    } else if (command === 'deliver') {
      const claimed = await outbox.claim({ kind: 'request', maxEvents: 1_000, maxMappedBytes: 10 ** 9 });
      say((await outbox.settle(claimed.map(delivered))).length);
    } else {
      break;
    }
  }
  await outbox.close();
}

const [, , dataDir = '', mode = '', prefix = ''] = process.argv;
try {
  const outbox = await openSqliteOutbox({
    dataDir,
    maxBytes: 2 ** 30,
    clock: systemClock,
    log: createLogger('silent', { write: () => undefined }),
    onFatal: (error) => say('fatal', error.message),
  });
  say('open');
  if (mode === 'put') await putForEver(outbox, prefix);
  else await obey(outbox);
} catch (error) {
  if (!(error instanceof OutboxStartError)) throw error;
  say(error.code, error.message);
  process.exitCode = 1;
}
