import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/ground/log.ts';
import { openSqlite } from '../../src/outbox/sqlite/engine.ts';
import { lockFolder } from '../../src/outbox/sqlite/open.ts';
import { findDamaged } from '../../src/outbox/sqlite/set-aside.ts';
import { createStore, type StoreEvent } from '../../src/outbox/store.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import type { FixtureOptions, OutboxFixture, TestStore } from './contract.ts';

export interface SqliteFixture extends OutboxFixture {
  readonly dataDir: string;
  readonly clock: ManualClock;
  /** Every line that was logged, as it was written. */
  readonly logLines: readonly string[];
  readonly events: readonly StoreEvent[];
  /** Of the last time that it was opened: where the database is that was damaged. */
  readonly setAside: string | null;
  /** The newest database of the folder that is damaged and not salvaged. */
  readonly damagedFile: string | null;
}

export function tempFolder(): string {
  return mkdtempSync(join(tmpdir(), 'outbox-test-'));
}

export interface SqliteFixtureOptions extends FixtureOptions {
  /** Without it, a new one, which cleanup removes. */
  readonly dataDir?: string;
}

/** A store on a SQLite database, in this thread. */
export async function openSqliteFixture(options: SqliteFixtureOptions = {}): Promise<SqliteFixture> {
  const root = options.dataDir === undefined ? tempFolder() : null;
  const dataDir = options.dataDir ?? join(root ?? '', 'data');
  const { maxBytes = 2 ** 30 } = options;
  const clock = manualClock();
  const logLines: string[] = [];
  const events: StoreEvent[] = [];
  const log = createLogger('debug', { write: (line: string) => void logLines.push(line) });

  let setAside: string | null = null;

  function open(): TestStore {
    const lock = lockFolder(dataDir, log);
    const { engine, damagedFile } = openEngine(lock);
    setAside = damagedFile;
    const store = createStore({ engine, clock, maxBytes, onEvent: (event) => void events.push(event) });
    return { ...store, engine, close: () => store.close().finally(() => lock.release()) };
  }

  function openEngine(lock: ReturnType<typeof lockFolder>) {
    try {
      return openSqlite({
        dataDir,
        maxBytes,
        nowMs: clock.now(),
        isSuspect: false,
        onCheckpointTrouble: (reason) =>
          void events.push({ type: 'trouble', operation: 'checkpoint', reason, isDamage: false }),
      });
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  let outbox = open();
  return {
    get outbox() {
      return outbox;
    },
    dataDir,
    clock,
    logLines,
    events,
    get setAside() {
      return setAside;
    },
    get damagedFile() {
      return findDamaged(dataDir);
    },
    async reopen() {
      await outbox.close();
      outbox = open();
    },
    async cleanup() {
      await outbox.close();
      if (root !== null) rmSync(root, { recursive: true, force: true });
    },
  };
}
