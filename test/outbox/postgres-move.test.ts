import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/ground/clock.ts';
import { DEFAULT_SCHEMA } from '../../src/outbox/postgres/database.ts';
import { run } from '../commands/support.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { claimAll, ids, type TestStore } from './contract.ts';
import { openOutbox, query } from './postgres-fixture.ts';
import { delivered, event, quarantined, receivedAt, settlement } from './samples.ts';
import { openSqliteFixture, tempFolder } from './sqlite-fixture.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let started: PostgresServer | null = null;
const server = (): PostgresServer => started ?? assert.fail('the server was not started');

before(async () => {
  started = await startPostgres();
});
after(() => started?.cleanup());

interface Both {
  readonly dataDir: string;
  readonly env: Record<string, string>;
  /** Opens one of them, does something, and closes it. */
  sqlite<T>(act: (outbox: TestStore) => Promise<T>): Promise<T>;
  postgres<T>(act: (outbox: TestStore) => Promise<T>): Promise<T>;
}

async function emptyBoth(t: TestContext): Promise<Both> {
  const dataDir = tempFolder();
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  await query(server(), `DROP SCHEMA IF EXISTS ${DEFAULT_SCHEMA} CASCADE`);
  const using = async <T>(outbox: TestStore, act: (outbox: TestStore) => Promise<T>): Promise<T> => {
    try {
      return await act(outbox);
    } finally {
      await outbox.close();
    }
  };
  return {
    dataDir,
    env: { DATA_DIR: dataDir, OUTBOX_URL: server().url() },
    sqlite: async (act) => using((await openSqliteFixture({ dataDir })).outbox, act),
    postgres: async (act) => using(await openOutbox(server(), { schema: DEFAULT_SCHEMA }), act),
  };
}

const T = Date.UTC(2026, 0, 2);

/** One of each state, with every field set. */
async function fill(outbox: TestStore): Promise<void> {
  await outbox.put([receivedAt('done', T), receivedAt('half', T + 1, { rowCount: 9 })]);
  const [done, half] = await claimAll(outbox);
  assert(done !== undefined && half !== undefined);
  await outbox.settle([
    delivered(done),
    settlement(half, { delivered: [[0, 2]], dead: [{ rows: [[4, 6]], code: 'refused', reason: 'no' }] }),
  ]);
  await outbox.put([event('whole', { receivedAt: T + 7, feed: 'prod', note: '日本 \0', rowCount: 3, kind: 'audit' })]);
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
  await outbox.put([
    quarantined('q', { body: bytes, receivedAt: T + 3, feed: 'f', charset: 'latin1', code: 'c', reason: 'r' }),
  ]);
}

/** All that can be seen of an outbox. */
async function contentOf(outbox: TestStore) {
  const shown = await Promise.all(['half', 'whole', 'q', 'done'].map((id) => outbox.show(id)));
  const { usedBytes: _, logBytes: __, maxBytes: ___, ...stats } = await outbox.stats();
  const again = await outbox.put([event('done'), event('half'), event('whole')]);
  return {
    shown: shown.map((record) => record && { ...record, body: Buffer.from(record.body).toString('hex') }),
    stats,
    again: again.outcome === 'stored' ? again.entries : again,
  };
}

describe('outbox migrate', () => {
  it('moves every state to PostgreSQL and back, to the byte', async (t) => {
    const both = await emptyBoth(t);
    await both.sqlite(fill);
    const before = await both.sqlite(contentOf);
    const there = await run(['outbox', 'migrate', '--to', 'postgres', '--json'], both.env);
    assert.equal(there.exitCode, 0, there.stderr);
    assert.deepEqual(JSON.parse(there.stdout), { moved: 3, known: 0, identities: 1 });
    assert.deepEqual(await both.postgres(contentOf), before);
    const empty = await both.sqlite((outbox) => outbox.stats());
    assert.deepEqual([empty.waiting, empty.dead.count, empty.quarantined.count], [{}, 0, 0]);
    const back = await run(['outbox', 'migrate', '--to', 'sqlite', '--json'], {
      ...both.env,
      DATA_DIR: `${both.dataDir}/new`,
    });
    assert.equal(back.exitCode, 0, back.stderr);
    const returned = await openSqliteFixture({ dataDir: `${both.dataDir}/new` });
    t.after(() => returned.cleanup());
    assert.deepEqual(await contentOf(returned.outbox), before);
    const left = await both.postgres((outbox) => outbox.stats());
    assert.deepEqual([left.waiting, left.dead.count, left.quarantined.count], [{}, 0, 0]);
  });

  it('moves there and back again and again, with the same DATA_DIR, and loses nothing', async (t) => {
    const both = await emptyBoth(t);
    await both.sqlite(fill);
    const before = await both.sqlite(contentOf);
    for (const to of ['postgres', 'sqlite', 'postgres', 'sqlite'] as const) {
      const { exitCode, stdout, stderr } = await run(['outbox', 'migrate', '--to', to, '--json'], both.env);
      assert.equal(exitCode, 0, stderr);
      const { moved, known } = JSON.parse(stdout) as Record<string, number>;
      assert.deepEqual([moved, known], [3, 0], `to ${to}`);
      assert.deepEqual(await both[to](contentOf), before, `in ${to}`);
    }
  });

  it('goes on after it was killed, and loses and doubles nothing', async (t) => {
    const both = await emptyBoth(t);
    const all = Array.from({ length: 1_200 }, (_, n) => `e${n}`);
    await both.sqlite(async (outbox) => {
      await outbox.put(all.map((id) => event(id, { note: 'x'.repeat(500) })));
    });
    const child = spawn(process.execPath, [main, 'outbox', 'migrate', '--to', 'postgres'], {
      env: { PATH: process.env['PATH'], ...both.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await once(child.stderr, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const copied = await both.postgres((outbox) => outbox.stats());
    const kept = await both.sqlite((outbox) => outbox.stats());
    assert((copied.waiting['request']?.count ?? 0) > 0);
    assert.equal(kept.waiting['request']?.count, 1_200, 'nothing was taken away before all was copied');
    const again = await run(['outbox', 'migrate', '--to', 'postgres', '--json'], both.env);
    assert.equal(again.exitCode, 0, again.stderr);
    const { moved, known } = JSON.parse(again.stdout) as Record<string, number>;
    assert.equal((moved ?? 0) + (known ?? 0), 1_200);
    const claimed = await both.postgres((outbox) => claimAll(outbox));
    assert.deepEqual(ids(claimed).toSorted(), all.toSorted());
    assert.deepEqual((await both.sqlite((outbox) => outbox.stats())).waiting, {});
    const once_more = await run(['outbox', 'migrate', '--to', 'postgres'], both.env);
    assert.match(once_more.stdout, /^moved +0$/m);
  });

  it('does not move out of a database that services use, nor into one that is full', async (t) => {
    const both = await emptyBoth(t);
    await both.sqlite(fill);
    const full = await run(['outbox', 'migrate', '--to', 'postgres'], { ...both.env, OUTBOX_MAX_BYTES: '65536' });
    assert.equal(full.exitCode, 0, 'there is room for it');
    const service = await openOutbox(server(), { schema: DEFAULT_SCHEMA, clock: systemClock });
    t.after(() => service.close());
    await service.put([event('large', { note: 'x'.repeat(100_000) })]);
    await claimAll(service);
    const used = await run(['outbox', 'migrate', '--to', 'sqlite'], both.env);
    assert.deepEqual([used.exitCode, /migrate_in_use: 1 service uses/.test(used.stderr)], [1, true], used.stderr);
    await service.close();
    const small = { ...both.env, DATA_DIR: `${both.dataDir}/small`, OUTBOX_MAX_BYTES: '98304' };
    const tooSmall = await run(['outbox', 'migrate', '--to', 'sqlite'], small);
    assert.deepEqual([tooSmall.exitCode, /migrate_not_stored/.test(tooSmall.stderr)], [1, true], tooSmall.stderr);
    assert.equal((await both.postgres((outbox) => outbox.stats())).waiting['request']?.count, 2);
  });

  it('says what it needs', async (t) => {
    const both = await emptyBoth(t);
    const nowhere = await run(['outbox', 'migrate', '--to', 'postgres'], { DATA_DIR: both.dataDir });
    assert.deepEqual([nowhere.exitCode, /OUTBOX_URL/.test(nowhere.stderr)], [2, true]);
    const nothing = await run(['outbox', 'migrate', '--to', 'postgres'], both.env);
    assert.deepEqual([nothing.exitCode, /outbox_missing/.test(nothing.stderr)], [1, true]);
    assert.equal((await run(['outbox', 'migrate'], both.env)).exitCode, 2);
    const salvage = await run(['outbox', 'salvage', 'x'], both.env);
    assert.deepEqual([salvage.exitCode, /OUTBOX_URL is set/.test(salvage.stderr)], [2, true]);
  });
});

describe('the outbox commands on PostgreSQL', () => {
  it('list, show, replay and purge there, also while services use it, and never print the password', async (t) => {
    const both = await emptyBoth(t);
    const service = await openOutbox(server(), { schema: DEFAULT_SCHEMA, clock: systemClock });
    t.after(() => service.close());
    await fill(service);
    const env = { OUTBOX_URL: server().url() };
    const outputs = [
      await run(['outbox', 'stats'], env),
      await run(['outbox', 'list', '--json'], env),
      await run(['outbox', 'show', 'half', '--body'], env),
      await run(['outbox', 'replay', 'half'], env),
      await run(['outbox', 'purge', 'whole', '--yes'], env),
    ];
    for (const { exitCode, stderr, stdout } of outputs) {
      assert.equal(exitCode, 0, stderr);
      assert(!`${stdout}${stderr}`.includes(server().password));
    }
    assert.match(outputs[0]?.stderr ?? '', /Read from PostgreSQL/);
    assert.deepEqual(ids(await claimAll(service)), ['half']);
    const away = await run(['outbox', 'stats'], { OUTBOX_URL: 'postgres://me:hunter2@127.0.0.1:1/none' });
    assert.equal(away.exitCode, 1);
    assert.match(away.stderr, /outbox_cannot_open/);
    assert(!away.stderr.includes('hunter2'));
    assert.equal(both.env['OUTBOX_URL'], server().url());
  });
});
