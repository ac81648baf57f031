import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Worker } from 'node:worker_threads';
import { systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import type { ReceivedBody } from '../../src/intake/understand.ts';
import { type OpenedOutbox, openOutbox } from '../../src/outbox/open.ts';
import type { Claimed } from '../../src/outbox/port.ts';
import type { StoreEvent } from '../../src/outbox/store.ts';
import { configOf } from '../config/support.ts';
import { tempFolder } from './sqlite-fixture.ts';

export interface ThreadFixture {
  readonly outbox: OpenedOutbox;
  readonly dataDir: string;
  /** Every line that was logged. */
  readonly logged: readonly { readonly code?: string; readonly level: string; readonly [field: string]: unknown }[];
  readonly events: readonly StoreEvent[];
  readonly fatal: readonly Error[];
  /** Ends the store thread as a crash would, wherever it is. */
  killThread(): Promise<void>;
  reopen(): Promise<void>;
  cleanup(): Promise<void>;
}

export interface ThreadFixtureOptions {
  readonly maxBytes?: number;
  /** Without it, a new one, which cleanup removes. */
  readonly dataDir?: string;
}

/** An outbox as a service has it: the store in its thread, on SQLite. */
export async function openThreadFixture({ maxBytes = 2 ** 30, ...options }: ThreadFixtureOptions = {}) {
  const root = options.dataDir === undefined ? tempFolder() : null;
  const dataDir = options.dataDir ?? join(root ?? '', 'data');
  const logged: ThreadFixture['logged'][number][] = [];
  const events: StoreEvent[] = [];
  const fatal: Error[] = [];
  const { outbox, ...config } = configOf({ DATA_DIR: dataDir });

  const open = (): Promise<OpenedOutbox> =>
    openOutbox({
      config: { ...config, outbox: { ...outbox, maxBytes } },
      databaseToken: () => Promise.reject(new Error('there is no server')),
      clock: systemClock,
      log: createLogger('debug', { write: (line: string) => void logged.push(JSON.parse(line)) }),
      onFatal: (error) => void fatal.push(error),
      onEvent: (event) => void events.push(event),
    });

  // The newest one is that of this outbox: no other is opened meanwhile.
  let thread: Worker | undefined;
  const onWorker = (worker: Worker) => {
    thread = worker;
  };
  process.on('worker', onWorker);
  let opened = await open();
  const fixture: ThreadFixture = {
    get outbox() {
      return opened;
    },
    dataDir,
    logged,
    events,
    fatal,
    async killThread() {
      await thread?.terminate();
    },
    async reopen() {
      await opened.close();
      opened = await open();
    },
    async cleanup() {
      process.off('worker', onWorker);
      await opened.close();
      if (root !== null) rmSync(root, { recursive: true, force: true });
    },
  };
  return fixture;
}

/** A webhook of an access request, whose justification makes it as large as it is wanted. */
export function webhook(id: string, justification = ''): ReceivedBody {
  const event = {
    event_type: 'AccessRequestCreated',
    event_time: 1763719200,
    data: { id, requester: { email: 'zoe@example.com' }, justification },
  };
  return { bytes: Buffer.from(JSON.stringify(event)), feed: null, kind: null };
}

/** A body that goes into quarantine. */
export function notJson(bytes: number, fill = 'x'): ReceivedBody {
  return { bytes: Buffer.alloc(bytes, fill), feed: null, kind: null };
}

export function claimCalls({ claim }: Pick<OpenedOutbox, 'claim'>): Promise<Claimed> {
  return claim({ kind: 'request', maxBytes: 1_000_000_000 });
}
