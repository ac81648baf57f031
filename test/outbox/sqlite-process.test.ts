import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isOutboxLocked } from '../../src/outbox/sqlite/lock.ts';
import { eventually } from '../support/eventually.ts';
import { claimAll } from './contract.ts';
import { event } from './samples.ts';
import { openSqliteFixture, tempFolder } from './sqlite-fixture.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const TIME_LIMIT = { timeout: 300_000 };

class Child {
  readonly process: ChildProcess;
  /** What the store told of itself. */
  readonly troubles: string[] = [];
  readonly #lines: AsyncIterator<string>;

  constructor(command: readonly string[], options: SpawnOptions = {}) {
    const [file = '', ...args] = command;
    this.process = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
    const { stdout } = this.process;
    assert(stdout !== null);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** The next line that it says, troubles left out; null when it has ended. */
  async line(): Promise<string | null> {
    for (;;) {
      const next = await this.#lines.next();
      if (next.done === true) return null;
      if (!next.value.startsWith('trouble ')) return next.value;
      this.troubles.push(next.value);
    }
  }

  tell(line: string): Promise<string | null> {
    this.process.stdin?.write(`${line}\n`);
    return this.line();
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}

describe('SQLite outbox and processes', TIME_LIMIT, () => {
  let root = '';
  let dataDir = '';
  const children: Child[] = [];
  const start = (command: readonly string[], options?: SpawnOptions): Child => {
    const child = new Child(command, options);
    children.push(child);
    return child;
  };
  const startChild = (...args: readonly string[]): Child => start([process.execPath, CHILD, dataDir, ...args]);

  beforeEach(() => {
    root = tempFolder();
    dataDir = join(root, 'data');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await child.kill();
    rmSync(root, { recursive: true, force: true });
  });

  it('lets one process have a folder, and tells the others what to do', async () => {
    const holder = startChild('obey');
    assert.equal(await holder.line(), 'open');
    assert.equal(isOutboxLocked(dataDir), true);
    const second = startChild('obey');
    const refusal = (await second.line()) ?? '';
    assert.match(refusal, /^outbox_locked /);
    assert(refusal.includes(dataDir));
    assert.match(refusal, /Stop the service, .*a second service needs a DATA_DIR of its own/);
    await assert.rejects(openSqliteFixture({ dataDir }), { code: 'outbox_locked' });
    assert.equal(await holder.tell('put a'), 'stored ', 'the holder is not disturbed');
    await holder.kill();
    assert.equal(isOutboxLocked(dataDir), false, 'kill -9 leaves no lock behind');
    const fixture = await openSqliteFixture({ dataDir });
    assert.equal((await claimAll(fixture.outbox)).length, 1);
    await fixture.cleanup();
  });

  it('locks the folder again when outbox.lock is removed, so that a second process still cannot write', async () => {
    const holder = startChild('serve');
    assert.equal(await holder.line(), 'open');
    assert.equal(await holder.tell('put a'), 'accepted');
    rmSync(join(dataDir, 'outbox.lock'));
    await eventually(() => isOutboxLocked(dataDir));
    assert.match((await startChild('serve').line()) ?? '', /^outbox_locked /);
    assert.equal(await holder.tell('put b'), 'accepted', 'the holder is not disturbed');
  });

  it('writes nothing any more when another process was faster to lock the folder again', async () => {
    const holder = startChild('serve');
    assert.equal(await holder.line(), 'open');
    assert.equal(await holder.tell('put a'), 'accepted');
    // The other's lock takes the place of the file in one step.
    const other = new DatabaseSync(join(dataDir, 'other.lock'));
    other.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    renameSync(join(dataDir, 'other.lock'), join(dataDir, 'outbox.lock'));
    assert.equal(await holder.tell('put b'), 'unavailable');
    const lost = /^\{"writable":false,"problem":"outbox\.lock was removed, and another process/;
    assert.match((await holder.tell('stats')) ?? '', lost);
    other.close();
    assert.equal(await holder.tell('put b'), 'unavailable', 'nor later: it does not know what the other wrote');
    await holder.kill();
    const next = startChild('serve');
    assert.equal(await next.line(), 'open');
    assert.deepEqual([await next.tell('put a'), await next.tell('put b')], ['duplicate', 'accepted']);
  });

  it('exits by itself after close, and gives the lock back', async () => {
    const child = startChild('obey');
    assert.equal(await child.line(), 'open');
    const exited = once(child.process, 'exit');
    child.process.stdin?.end('quit\n');
    assert.deepEqual(await exited, [0, null]);
    assert.equal(isOutboxLocked(dataDir), false);
  });

  it('has every acknowledged event after kill -9 in the middle of puts', async () => {
    const acknowledged = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const child = startChild('put', `round${round}`);
      assert.equal(await child.line(), 'open');
      const until = acknowledged.size + 1 + Math.floor(Math.random() * 400);
      while (acknowledged.size < until) {
        acknowledged.add(((await child.line()) ?? assert.fail('it ended by itself')).replace('stored ', ''));
      }
      await child.kill();
      for (let line = await child.line(); line !== null; line = await child.line()) {
        if (line.startsWith('stored ')) acknowledged.add(line.replace('stored ', ''));
      }
    }
    const fixture = await openSqliteFixture({ dataDir });
    try {
      assert.equal(fixture.damagedFile, null);
      const claimed = await claimAll(fixture.outbox, { maxEvents: 100_000 });
      const rows = new Map(claimed.map((each) => [each.eventId, each.rows[0]]));
      assert.equal(rows.size, claimed.length);
      for (const id of acknowledged) assert.equal(JSON.parse(rows.get(id) ?? '{}').event_id, id);
      const again = await fixture.outbox.put([...acknowledged].map((id) => event(id)));
      assert(again.outcome === 'stored' && again.entries.every((entry) => entry.duplicate));
    } finally {
      await fixture.cleanup();
    }
  });

  it('answers unavailable while the disk gives I/O errors, and stores again afterwards', async (t) => {
    if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('prlimit (util-linux) is missing');
    // Writes past RLIMIT_FSIZE fail with EFBIG, which SQLite takes for an I/O error; node ignores SIGXFSZ.
    const child = start(['sh', '-c', `ulimit -S -f 800; exec '${process.execPath}' '${CHILD}' '${dataDir}' obey`]);
    assert.equal(await child.line(), 'open');
    const stored: string[] = [];
    let answer: string | null = '';
    for (let n = 0; n < 500 && !answer?.startsWith('unavailable'); n++) {
      answer = await child.tell(`put e${n}`);
      if (answer === 'stored ') stored.push(`e${n}`);
    }
    assert.match(answer ?? '', /^unavailable .*I\/O/);
    assert.match(child.troubles[0] ?? '', /^trouble commit disk I\/O error/, 'the reason is told at once');
    assert(stored.length > 3);
    assert.match((await child.tell('stats')) ?? '', /"writable":false,"problem":"disk I\/O error/);
    const { status } = spawnSync('prlimit', ['--pid', String(child.process.pid), '--fsize=unlimited:']);
    assert.equal(status, 0);
    assert.equal(await child.tell('stats'), '{"writable":true,"problem":null}');
    assert.equal(await child.tell('put afterwards'), 'stored ');
    assert.equal(await child.tell('deliver'), String(stored.length + 1), 'the failed put stored nothing');
  });

  it('tells why the write-ahead log cannot be written into the database, and goes on', async (t) => {
    if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('prlimit (util-linux) is missing');
    // The database grows past the limit first, at a checkpoint; the log can be written on.
    const limit = 12 * 1024 * 1024;
    const child = start([
      'sh',
      '-c',
      `ulimit -S -f ${limit / 512}; exec '${process.execPath}' '${CHILD}' '${dataDir}' obey`,
    ]);
    assert.equal(await child.line(), 'open');
    let stored = 0;
    for (; stored < 200 && child.troubles.length === 0; stored++) {
      assert.equal(await child.tell(`put e${stored} 200000`), 'stored ');
    }
    assert.match(child.troubles[0] ?? '', /^trouble checkpoint .*disk I\/O error/);
    assert.equal(spawnSync('prlimit', ['--pid', String(child.process.pid), '--fsize=unlimited:']).status, 0);
    assert.equal(await child.tell('put afterwards'), 'stored ');
    assert.equal(await child.tell('deliver'), String(stored + 1));
  });

  it('is full while the disk is, and stores again when there is room', async (t) => {
    mkdirSync(dataDir);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', dataDir]);
    if (mounted.status !== 0)
      return t.skip(`a tmpfs cannot be mounted here: ${String(mounted.stderr ?? mounted.error)}`);
    try {
      const child = startChild('obey');
      assert.equal(await child.line(), 'open');
      let stored = 0;
      let answer: string | null = '';
      for (let n = 0; n < 500 && answer !== 'full '; n++) {
        answer = await child.tell(`put e${n}`);
        if (answer === 'stored ') stored++;
      }
      assert.equal(answer, 'full ');
      assert.match((await child.tell('stats')) ?? '', /"writable":false,"problem":"database or disk is full/);
      assert.equal(spawnSync('mount', ['-o', 'remount,size=8m', dataDir]).status, 0);
      assert.equal(await child.tell('stats'), '{"writable":true,"problem":null}');
      assert.equal(await child.tell('put afterwards'), 'stored ');
      assert.equal(await child.tell('deliver'), String(stored + 1));
      await child.kill();
    } finally {
      for (const child of children) await child.kill();
      spawnSync('umount', [dataDir]);
    }
  });

  it('says what to do when the folder is not its own', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root, to run a process as somebody else');
    mkdirSync(dataDir, { mode: 0o755 });
    chmodSync(root, 0o755);
    const child = start([process.execPath, CHILD, dataDir, 'obey'], { uid: 65_534, gid: 65_534 });
    const refusal = (await child.line()) ?? '';
    assert.match(refusal, /^outbox_permission /);
    assert.match(refusal, /must own DATA_DIR/);
  });
});
