import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { COUNT_SQL, LIST_SQL } from '../../src/outbox/reads.ts';
import { openDatabase } from '../../src/outbox/sqlite/database.ts';
import { isOutboxLocked } from '../../src/outbox/sqlite/lock.ts';
import { SCHEMA_VERSION } from '../../src/outbox/sqlite/schema.ts';
import { CANDIDATES_SQL } from '../../src/outbox/sqlite/writes.ts';
import { claimAll, claimOne, ids, isUnavailable } from './contract.ts';
import { delivered, event, quarantined, settlement } from './samples.ts';
import { openSqliteFixture, type SqliteFixture, tempFolder } from './sqlite-fixture.ts';

const mode = (path: string): number => statSync(path).mode & 0o777;

describe('SQLite outbox and its files', () => {
  let root = '';
  let dataDir = '';
  const opened: SqliteFixture[] = [];
  const file = () => join(dataDir, 'outbox.db');

  beforeEach(() => {
    root = tempFolder();
    dataDir = join(root, 'deep', 'data');
  });
  afterEach(async () => {
    for (const fixture of opened.splice(0)) await fixture.cleanup();
    rmSync(root, { recursive: true, force: true });
  });

  /** Closed after the test, also when it failed: an open outbox keeps the process running. */
  async function open(): Promise<SqliteFixture> {
    const fixture = await openSqliteFixture({ dataDir });
    opened.push(fixture);
    return fixture;
  }

  async function putAndClose(...idsToPut: readonly string[]): Promise<void> {
    const fixture = await open();
    await fixture.outbox.put(idsToPut.map((id) => event(id, { rowBytes: 20_000 })));
    await fixture.cleanup();
  }

  it('closes folder and files to everybody else, whatever the umask', async () => {
    const umask = process.umask(0);
    try {
      const fixture = await open();
      await fixture.outbox.put([event('a')]);
      assert.equal(mode(dataDir), 0o700);
      const files = readdirSync(dataDir).sort();
      assert.deepEqual(files, ['outbox.db', 'outbox.db-shm', 'outbox.db-wal', 'outbox.lock', 'outbox.reserve']);
      for (const name of files) assert.equal(mode(join(dataDir, name)), 0o600, name);
      await fixture.cleanup();
    } finally {
      process.umask(umask);
    }
  });

  it('closes what stood open before', async () => {
    await putAndClose('a');
    chmodSync(dataDir, 0o755);
    chmodSync(file(), 0o644);
    await putAndClose('b');
    assert.equal(mode(dataDir), 0o700);
    assert.equal(mode(file()), 0o600);
  });

  it('holds the settings that its promises rest on', () => {
    mkdirSync(dataDir, { recursive: true });
    const { db } = openDatabase(dataDir, 0, false);
    const read = (name: string) => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    assert.equal(read('journal_mode'), 'wal');
    assert.equal(read('synchronous'), 2, 'FULL');
    assert.equal(read('secure_delete'), 1);
    assert.equal(read('user_version'), SCHEMA_VERSION);
    const strict = db.prepare("SELECT name FROM pragma_table_list WHERE strict = 0 AND name NOT LIKE 'sqlite_%'").all();
    assert.deepEqual(strict, [], 'every table is STRICT');
    db.close();
  });

  it('finds claims and counts in an index alone, so that their cost does not grow with bodies and identities', () => {
    mkdirSync(dataDir, { recursive: true });
    const { db } = openDatabase(dataDir, 0, false);
    for (const [sql, plan] of [
      [CANDIDATES_SQL, 'SEARCH events USING INDEX events_waiting (kind=?)'],
      [COUNT_SQL.waiting, 'SCAN events USING INDEX events_waiting'],
      [COUNT_SQL.dead, 'SCAN events USING INDEX events_dead'],
    ] as const) {
      const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      assert.deepEqual(
        steps.map((step) => step['detail']),
        [plan],
        'one step, and nothing is sorted',
      );
      // For a partial index the plan never says COVERING. The program does: it seeks a row of the table only once a
      // column is read from there (https://www.sqlite.org/opcode.html, DeferredSeek).
      const program = db.prepare(`EXPLAIN ${sql}`).all();
      const index = program.find((step) => step['opcode'] === 'DeferredSeek')?.['p1'];
      assert(index !== undefined);
      const read = program.filter(({ opcode }) => opcode === 'Column' || opcode === 'IdxRowid');
      assert(read.length > 0 && read.every(({ p1 }) => p1 === index), `${sql} reads the table`);
    }
    db.close();
  });

  it('says that rows are lost, and goes on storing', async () => {
    await putAndClose('lost', 'there');
    const db = new DatabaseSync(file());
    db.exec("DELETE FROM bodies WHERE seq = (SELECT seq FROM events WHERE event_id = 'lost')");
    db.close();
    const fixture = await open();
    const { outbox, events } = fixture;
    await assert.rejects(outbox.claim({ kind: 'request', maxBytes: 1_000_000 }), isUnavailable);
    assert(
      events.some(
        (told) => told.type === 'trouble' && /rows of event lost are missing.*outbox purge/.test(told.reason),
      ),
    );
    assert.equal((await outbox.put([event('new')])).outcome, 'stored');
    assert.equal(String((await outbox.show('lost'))?.body), '91,93', 'an empty list');
    assert.deepEqual(await outbox.purge(['lost']), [true]);
    assert.deepEqual(ids(await claimAll(outbox)), ['there', 'new']);
  });

  it('finds the pages of every list by index, also behind a cursor', () => {
    mkdirSync(dataDir, { recursive: true });
    const { db } = openDatabase(dataDir, 0, false);
    for (const [state, sql] of Object.entries(LIST_SQL)) {
      const index = state === 'quarantined' ? 'quarantine_received' : `events_${state}`;
      const kind = state === 'quarantined' ? '' : 'kind=\\? AND ';
      const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      const [first] = plan.map((row) => String(row['detail']));
      assert.match(first ?? '', new RegExp(`USING INDEX ${index} \\(${kind}received_at>\\?\\)$`));
      assert(!plan.some((row) => String(row['detail']).includes('TEMP B-TREE')), 'nothing is sorted');
    }
    db.close();
  });

  it('keeps nothing of what is purged', async () => {
    const secret = 'the justification of somebody';
    const fixture = await open();
    const filesWithSecret = () => String(spawnSync('grep', ['-rl', secret, dataDir]).stdout);
    await fixture.outbox.put([
      event('a', { note: secret.repeat(500) }),
      quarantined('q', { body: Buffer.from(secret.repeat(500)), reason: secret }),
    ]);
    const dead = [{ rows: [[0, 1]] as const, code: 'refused', reason: secret }];
    await fixture.outbox.settle([settlement(await claimOne(fixture.outbox), { dead })]);
    assert.notEqual(filesWithSecret(), '');
    assert.deepEqual(await fixture.outbox.purge(['a', 'q']), [true, true]);
    assert.equal(filesWithSecret(), '');
  });

  it('keeps nothing of a body once it is delivered', async () => {
    const secret = 'the justification of somebody';
    const fixture = await open();
    // By another process: POSIX would drop our locks if this one opened and closed the files.
    const filesWithSecret = () => String(spawnSync('grep', ['-rl', secret, dataDir]).stdout);
    await fixture.outbox.put([event('a', { note: secret.repeat(500) })]);
    assert.notEqual(filesWithSecret(), '');
    await fixture.outbox.settle([delivered(await claimOne(fixture.outbox))]);
    await fixture.outbox.prune(0);
    assert.equal(filesWithSecret(), '');
    await fixture.cleanup();
    assert.equal(filesWithSecret(), '');
  });

  it('keeps dead letters with rows, code and a reason cut to 4,096 characters, and quarantined bytes', async () => {
    const fixture = await open();
    const body = Uint8Array.from({ length: 256 }, (_, n) => n);
    await fixture.outbox.put([
      event('a', { rowCount: 5 }),
      quarantined('q', { body, feed: 'f', kind: 'audit', charset: 'latin1', code: 'c', reason: 'r' }),
    ]);
    const reason = `${'x'.repeat(4_095)}\u{1F511} more`;
    const dead = [
      {
        rows: [
          [1, 2],
          [3, 5],
        ] as const,
        code: 'refused',
        reason,
      },
    ];
    await fixture.outbox.settle([settlement(await claimOne(fixture.outbox), { dead })]);
    const deadAt = fixture.clock.now();
    await fixture.cleanup();
    const db = new DatabaseSync(file(), { readOnly: true });
    const letter = db.prepare('SELECT rows, code, reason, dead_at FROM dead_letters').get();
    const kept = `${'x'.repeat(4_095)}\uFFFD`;
    assert.deepEqual({ ...letter }, { rows: '[[1,2],[3,5]]', code: 'refused', reason: kept, dead_at: deadAt });
    const { seq: _, stored_at: __, received_at: ___, ...row } = { ...db.prepare('SELECT * FROM quarantine').get() };
    assert.deepEqual(row, {
      quarantine_id: 'q',
      feed: 'f',
      kind: 'audit',
      charset: 'latin1',
      code: 'c',
      reason: 'r',
      body,
    });
    db.close();
  });

  it('takes an empty file for a fresh start', async () => {
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(file(), '');
    const fixture = await open();
    assert.equal(fixture.damagedFile, null);
    await fixture.cleanup();
  });

  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    'is not a database': () => Buffer.from('these are the notes of somebody, not a database. '.repeat(300)),
    'is all zeros': (bytes) => Buffer.alloc(bytes.length),
    'was cut in the middle': (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2 / 4096) * 4096),
    'has garbage in it': (bytes) => Buffer.from(bytes).fill(0xa5, 4096, 5 * 4096),
  };
  for (const [what, damage] of Object.entries(damages)) {
    it(`sets a file aside that ${what}, and starts fresh`, async () => {
      await putAndClose('a', 'b', 'c');
      const damaged = damage(readFileSync(file()));
      writeFileSync(file(), damaged);
      const fixture = await open();
      const { setAside: damagedFile } = fixture;
      assert.equal(damagedFile, `${file()}.damaged-2026-01-02T03-04-05.000Z`);
      assert.equal(fixture.damagedFile, damagedFile);
      assert.deepEqual(readFileSync(damagedFile), damaged, 'not a byte of it is changed');
      const put = await fixture.outbox.put([event('a')]);
      assert(put.outcome === 'stored' && put.entries[0]?.duplicate === false);
      await fixture.reopen();
      assert.equal(fixture.damagedFile, damagedFile, 'a restart does not end the alarm');
      rmSync(damagedFile);
      assert.equal(fixture.damagedFile, null);
      assert.deepEqual(ids(await claimAll(fixture.outbox)), ['a']);
      await fixture.cleanup();
    });
  }

  for (const [which, code, version] of [
    ['a later', 'outbox_newer_version', SCHEMA_VERSION + 1],
    ['an older', 'outbox_older_version', SCHEMA_VERSION - 1],
  ] as const) {
    it(`refuses a file of ${which} version and leaves it as it is`, async () => {
      await putAndClose('a');
      const db = new DatabaseSync(file());
      db.exec(`PRAGMA user_version = ${version}`);
      db.close();
      const before = readFileSync(file());
      const { mtimeMs } = statSync(file());
      await assert.rejects(open(), { name: 'OutboxStartError', code });
      assert.deepEqual(readFileSync(file()), before);
      assert.equal(statSync(file()).mtimeMs, mtimeMs);
      assert.equal(isOutboxLocked(dataDir), false, 'the lock is given back');
    });
  }

  it("refuses another program's database and leaves it as it is", async () => {
    mkdirSync(dataDir, { recursive: true });
    const db = new DatabaseSync(file());
    db.exec('CREATE TABLE photographs (id INTEGER PRIMARY KEY)');
    db.close();
    const before = readFileSync(file());
    await assert.rejects(open(), { code: 'outbox_foreign_database' });
    assert.deepEqual(readFileSync(file()), before);
  });

  it('refuses a folder that is a file, or a database that is a folder, and sets nothing aside', async () => {
    mkdirSync(join(root, 'deep'));
    writeFileSync(dataDir, '');
    await assert.rejects(open(), { name: 'OutboxStartError', message: /deep\/data/ });
    rmSync(dataDir);
    mkdirSync(file(), { recursive: true });
    await assert.rejects(open(), { name: 'OutboxStartError', message: /outbox\.db/ });
    assert.deepEqual(readdirSync(dataDir).sort(), ['outbox.db', 'outbox.lock']);
  });

  it('checks both ends of every table when the file is too large to be checked as a whole', async () => {
    await putAndClose('a');
    const db = new DatabaseSync(file());
    db.exec('CREATE TABLE filler (x BLOB); INSERT INTO filler VALUES (zeroblob(70000000)); DROP TABLE filler');
    db.close();
    assert(statSync(file()).size > 64 * 1024 * 1024);
    const sound = await open();
    assert.equal(sound.damagedFile, null);
    assert.equal((await claimAll(sound.outbox)).length, 1);
    await sound.cleanup();
    const bytes = readFileSync(file());
    writeFileSync(file(), bytes.fill(0xa5, 4096, 40 * 4096));
    const fresh = await open();
    assert.notEqual(fresh.setAside, null);
    await fresh.cleanup();
  });

  it('says of a folder without an outbox that nobody has it', () => {
    assert.equal(isOutboxLocked(join(root, 'nowhere')), false);
    assert.equal(existsSync(join(root, 'nowhere')), false);
  });
});
