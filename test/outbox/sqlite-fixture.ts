import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/ground/log.ts';
import type { Commit } from '../../src/outbox/commit.ts';
import { openSqliteOutbox, type SqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import type { FixtureOptions, OutboxFixture } from './contract.ts';

export interface SqliteFixture extends OutboxFixture {
  readonly outbox: SqliteOutbox;
  readonly dataDir: string;
  readonly clock: ManualClock;
  /** Every line that was logged, as it was written. */
  readonly logLines: readonly string[];
  /** What onFatal was called with. */
  readonly fatal: readonly Error[];
}

export function tempFolder(): string {
  return mkdtempSync(join(tmpdir(), 'outbox-test-'));
}

export interface SqliteFixtureOptions extends FixtureOptions {
  /** Without it, a new one, which cleanup removes. */
  readonly dataDir?: string;
  readonly onCommit?: (commit: Commit) => void;
}

export async function openSqliteFixture(options: SqliteFixtureOptions = {}): Promise<SqliteFixture> {
  const root = options.dataDir === undefined ? tempFolder() : null;
  const dataDir = options.dataDir ?? join(root ?? '', 'data');
  const clock = manualClock();
  const logLines: string[] = [];
  const fatal: Error[] = [];
  const log = createLogger('debug', { write: (line: string) => void logLines.push(line) });
  const open = () =>
    openSqliteOutbox({
      dataDir,
      maxBytes: options.maxBytes ?? 2 ** 30,
      clock,
      log,
      onFatal: (error) => void fatal.push(error),
      ...(options.onCommit !== undefined && { onCommit: options.onCommit }),
    });
  let outbox = await open();
  return {
    get outbox() {
      return outbox;
    },
    dataDir,
    clock,
    logLines,
    fatal,
    async reopen() {
      await outbox.close();
      outbox = await open();
    },
    async cleanup() {
      await outbox.close();
      if (root !== null) rmSync(root, { recursive: true, force: true });
    },
  };
}
