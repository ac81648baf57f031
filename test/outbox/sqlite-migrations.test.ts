import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { migrate, SCHEMA_VERSION } from '../../src/outbox/sqlite/migrations.ts';
import { salvage } from '../../src/outbox/sqlite/salvage.ts';
import { claimAll, ids } from './contract.ts';
import { delivered, event, settlement } from './samples.ts';
import { openSqliteFixture, tempFolder } from './sqlite-fixture.ts';

/** Every state that version 3 knew, its triggers counting along. */
const OF_VERSION_3 = `
  INSERT INTO identities VALUES ('untouched', 1, NULL), ('partly', 2, NULL), ('dead', 3, NULL), ('dead-and-waiting', 4, NULL),
    ('delivered', 5, 500), ('delivered-later', 6, 600);
  INSERT INTO events VALUES (3, 'untouched', 'request', 10, 'json', NULL, 2, 200, '[[0,2]]', 2, 0, 6);
  INSERT INTO events VALUES (4, 'partly', 'request', 20, 'template', 'f', 3, 300, '[[0,1],[2,3]]', 2, 0, 2);
  INSERT INTO events VALUES (7, 'dead', 'audit', 30, 'json', NULL, 2, 200, '[]', 0, 1, 2);
  INSERT INTO events VALUES (9, 'dead-and-waiting', 'audit', 40, 'json', NULL, 2, 200, '[[0,1]]', 1, 1, 2);
  INSERT INTO event_bodies VALUES (3, '"ä é"'), (4, '{}'), (7, '[]'), (9, '""');
  INSERT INTO dead_letters VALUES (1, 7, '[[1,2]]', 'refused', 'no', 70), (2, 9, '[[1,2]]', 'refused', 'no', 90);
  INSERT INTO quarantine VALUES (1, 'q', 7, 50, NULL, 'body_not_json', 'no', x'00ff00', 'audit');
`;

describe('SQLite outbox and databases of version 3', { timeout: 300_000 }, () => {
  let root = '';
  let dataDir = '';
  const file = () => join(dataDir, 'outbox.db');

  beforeEach(() => {
    root = tempFolder();
    dataDir = join(root, 'data');
    mkdirSync(dataDir, { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function fillVersion3(path = file()): void {
    const db = new DatabaseSync(path);
    migrate(db, 0, 3);
    db.exec(OF_VERSION_3);
    db.close();
  }

  it('are brought up to date with all that they hold, and go on from there', async () => {
    fillVersion3();
    const fixture = await openSqliteFixture({ dataDir });
    try {
      const { outbox } = fixture;
      assert.equal(outbox.damagedFile, null);
      const before = await outbox.stats();
      assert.deepEqual(before.waiting, {
        request: { count: 2, oldestReceivedAt: 10 },
        audit: { count: 1, oldestReceivedAt: 40 },
      });
      assert.deepEqual(before.dead, { count: 2, oldestReceivedAt: 30 });
      assert.deepEqual(before.bytes, { waiting: 10, dead: 4, quarantined: 3 });
      assert.deepEqual((await outbox.show('dead'))?.deadLetters, [
        { rows: [[1, 2]], code: 'refused', reason: 'no', buriedAt: 70 },
      ]);

      const put = await outbox.put(
        ['untouched', 'partly', 'dead', 'delivered', 'delivered-later', 'new'].map((id) => event(id)),
      );
      assert(put.outcome === 'stored');
      assert.deepEqual(
        put.entries.map(({ duplicate, firstStoredAt }) => duplicate && firstStoredAt),
        [1, 2, 3, 5, 6, false],
      );
      const claimed = await claimAll(outbox);
      assert.deepEqual(ids(claimed), ['untouched', 'partly', 'new']);
      const [untouched, partly] = claimed;
      assert(untouched !== undefined && partly !== undefined);
      assert.deepEqual([await outbox.bodies([untouched]), untouched.meta.feed], [['"ä é"'], null]);
      assert.deepEqual(
        [partly.pending, partly.meta],
        [
          [
            [0, 1],
            [2, 3],
          ],
          { receivedAt: 20, bodyForm: 'template', feed: 'f' },
        ],
      );
      const settled = await outbox.settle([delivered(untouched), settlement(partly, { delivered: [[2, 3]] })]);
      assert.deepEqual(settled, ['applied', 'applied']);
      assert.equal(await outbox.show('untouched'), null);
      assert.deepEqual((await outbox.show('partly'))?.pending, [[0, 1]]);
      assert.deepEqual(await outbox.revive(['dead', 'dead-and-waiting', 'delivered']), [1, 1, 0]);
      assert.deepEqual(await outbox.purge(['dead', 'partly', 'delivered', 'q']), [true, true, false, true]);

      assert.deepEqual(await Promise.all([outbox.prune(500), outbox.prune(501)]), [0, 1], 'by their own times');
      const again = await outbox.put([event('delivered'), event('delivered-later')]);
      assert(again.outcome === 'stored');
      assert.deepEqual(
        again.entries.map(({ duplicate }) => duplicate),
        [false, true],
      );
      await fixture.reopen();
      const { waiting, bytes } = await fixture.outbox.stats();
      assert.deepEqual([waiting['request']?.count, waiting['audit']?.count, bytes.quarantined], [2, 1, 0]);
    } finally {
      await fixture.cleanup();
    }
    const db = new DatabaseSync(file(), { readOnly: true });
    const read = (sql: string) => db.prepare(sql).all();
    assert.deepEqual({ ...read('PRAGMA user_version')[0] }, { user_version: SCHEMA_VERSION });
    assert.deepEqual(
      [read('PRAGMA foreign_key_check'), read("SELECT 1 FROM sqlite_schema WHERE type = 'trigger'")],
      [[], []],
    );
    assert.deepEqual({ ...read('PRAGMA integrity_check')[0] }, { integrity_check: 'ok' });
    db.close();
  });

  it('are salvaged as they are', async () => {
    const path = join(root, 'of-version-3.db');
    fillVersion3(path);
    const { outbox, clock, cleanup } = await openSqliteFixture();
    try {
      const counts = await salvage(path, outbox, { nowMs: clock.now() });
      assert.deepEqual(counts, { recovered: 5, duplicate: 0, unreadable: 0, identities: 2 });
      assert.deepEqual(ids(await claimAll(outbox)), ['untouched', 'partly']);
      const put = await outbox.put([event('delivered'), event('dead')]);
      assert(put.outcome === 'stored');
      assert.deepEqual(
        put.entries.map(({ duplicate, firstStoredAt }) => duplicate && firstStoredAt),
        [5, 3],
      );
    } finally {
      await cleanup();
    }
  });
});
