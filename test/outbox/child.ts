/**
 * A store in a process of its own, for what only another process can show: locks, kill -9, limits of the system.
 * argv: folder, then one of the modes below. It says on stdout, one line each, what it did; what the store tells goes to
 * stdout as well, as `trouble <operation> <reason>`.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import { OutboxStartError } from '../../src/outbox/engine.ts';
import { openStore } from '../../src/outbox/open-store.ts';
import { lockFolder } from '../../src/outbox/sqlite/open.ts';
import type { Store } from '../../src/outbox/store.ts';
import { delivered, event } from './samples.ts';
import { openThreadFixture, webhook } from './thread-fixture.ts';

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
async function putForEver(store: Store, prefix: string): Promise<never> {
  for (let n = 0; ; n += 8) {
    const puts = Array.from({ length: 8 }, async (_, i) => {
      const id = `${prefix}-${n + i}`;
      const { outcome } = await store.put([event(id, { note: 'x'.repeat(i * 3_000) })]);
      if (outcome === 'stored') say('stored', id);
    });
    await Promise.all(puts);
  }
}

/** Does what it is told on stdin, a line each. */
async function obey(store: Store): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument = '', bytes = '20000'] = line.split(' ');
    if (command === 'put') {
      const put = await store.put([event(argument, { rowBytes: Number(bytes) })]);
      say(put.outcome, put.outcome === 'unavailable' ? put.reason : '');
    } else if (command === 'stats') {
      const { writable, problem } = await store.stats();
      say(JSON.stringify({ writable, problem }));
    } else if (command === 'deliver') {
      const { events } = await store.claim({ kind: 'request', maxBytes: 100_000_000 });
      say((await store.settle(events.map(delivered))).length);
    } else {
      break;
    }
  }
}

/** The whole outbox of a service, with its thread; its bodies are webhooks, and an event's name is that of its request. */
async function serve(dataDir: string): Promise<void> {
  const { outbox, cleanup } = await openThreadFixture({ dataDir });
  say('open');
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument = ''] = line.split(' ');
    if (command === 'put') {
      const received = await outbox.receive(webhook(argument));
      const isDuplicate = received.outcome === 'accepted' && received.events[0]?.duplicate;
      say(isDuplicate ? 'duplicate' : received.outcome);
    } else if (command === 'stats') {
      const { writable, problem } = await outbox.stats();
      say(JSON.stringify({ writable, problem }));
    } else {
      break;
    }
  }
  await cleanup();
}

async function runStore(dataDir: string, mode: string, prefix: string): Promise<void> {
  const log = createLogger('silent', { write: () => undefined });
  const lock = lockFolder(dataDir, log);
  const { store } = await openStore({
    outbox: { dataDir, database: null, maxBytes: 2 ** 30 },
    databaseToken: () => Promise.reject(new Error('there is no server')),
    clock: systemClock,
    log,
    onEvent(told) {
      if (told.type === 'trouble') say('trouble', told.operation, told.reason);
    },
  });
  say('open');
  if (mode === 'put') await putForEver(store, prefix);
  else await obey(store);
  await store.close();
  lock.release();
}

const [, , dataDir = '', mode = '', prefix = ''] = process.argv;
try {
  if (mode === 'serve') await serve(dataDir);
  else await runStore(dataDir, mode, prefix);
} catch (error) {
  if (!(error instanceof OutboxStartError)) throw error;
  say(error.code, error.message);
  process.exitCode = 1;
}
