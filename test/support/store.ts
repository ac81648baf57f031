import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '../../src/ground/clock.ts';
import { createLogger, type Logger } from '../../src/ground/log.ts';
import type { ReceivedBody } from '../../src/intake/understand.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { kinds as allKinds } from '../../src/kinds/registry.ts';
import { type OpenedOutbox, openOutbox } from '../../src/outbox/open.ts';
import { openStore } from '../../src/outbox/open-store.ts';
import type { Received } from '../../src/outbox/port.ts';
import { createReceiver } from '../../src/outbox/receive.ts';
import type { OutboxRecords } from '../../src/outbox/records.ts';
import { lockFolder } from '../../src/outbox/sqlite/open.ts';
import type { Store, StoreEvent } from '../../src/outbox/store.ts';
import { configOf } from '../config/support.ts';

export interface TestStore {
  readonly dataDir: string;
  /** The store of SQLite as its thread has it, in this one: for tests of what stands around it. */
  readonly store: Store & Pick<OutboxRecords, 'readAgain'>;
  receive(body: ReceivedBody): Promise<Received>;
}

export interface TestStoreOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly kinds?: readonly WebhookKind[];
  readonly streams?: Readonly<Record<string, string | null>>;
  readonly onEvent?: (event: StoreEvent) => void;
}

/** A store with what reads bodies for it, in a folder of its own. It is closed after the test. */
export async function openTestStore(t: TestContext, options: TestStoreOptions = {}): Promise<TestStore> {
  const { clock = systemClock, kinds = allKinds, onEvent = () => undefined } = options;
  const { log = createLogger('silent', { write: () => undefined }) } = options;
  const streams = options.streams ?? Object.fromEntries(kinds.map((kind) => [kind.name, kind.defaultStream]));
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-store-'));
  const dataDir = path.join(folder, 'data');
  const lock = lockFolder(dataDir, log);
  const { store } = await openStore({
    outbox: { database: null, dataDir, maxBytes: 2 ** 30 },
    databaseToken: () => Promise.reject(new Error('no token is needed')),
    clock,
    log,
    onEvent,
  });
  const close = () => store.close().finally(() => lock.release());
  t.after(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { receive, readAgain } = createReceiver(store, { kinds, streams, escaping: 'auto', log });
  return { dataDir, store: { ...store, readAgain, close }, receive: (body) => receive(body, clock.now()) };
}

/** The outbox of a service with its thread, in a folder of its own. It is closed after the test. */
export async function openTestOutbox(t: TestContext): Promise<{ outbox: OpenedOutbox; dataDir: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-outbox-'));
  const dataDir = path.join(folder, 'data');
  const outbox = await openOutbox({
    config: configOf({ DATA_DIR: dataDir }),
    databaseToken: () => Promise.reject(new Error('no token is needed')),
    clock: systemClock,
    log: createLogger('silent', { write: () => undefined }),
    onFatal: assert.fail,
    onEvent: () => undefined,
  });
  t.after(async () => {
    await outbox.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { outbox, dataDir };
}
