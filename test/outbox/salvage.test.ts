import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { CopyError } from '../../src/outbox/engine.ts';
import { readSound } from '../../src/outbox/sqlite/move.ts';
import { salvage } from '../../src/outbox/sqlite/salvage.ts';
import { claimAll, claimOne } from './contract.ts';
import { delivered, event, quarantined, receivedAt, rowsOf, settlement } from './samples.ts';
import { openSqliteFixture, type SqliteFixture, tempFolder } from './sqlite-fixture.ts';

const T = Date.UTC(2026, 0, 2);
const PAGE = 4096;
/** Nothing that is salvaged hangs on it. */
const UNNEEDED = 'write_probe';

describe('salvage', { timeout: 300_000 }, () => {
  let root = '';
  let dataDir = '';
  const opened: SqliteFixture[] = [];
  const file = () => join(dataDir, 'outbox.db');

  beforeEach(() => {
    root = tempFolder();
    dataDir = join(root, 'data');
  });
  afterEach(async () => {
    for (const fixture of opened.splice(0)) await fixture.cleanup();
    rmSync(root, { recursive: true, force: true });
  });

  async function open(maxBytes?: number): Promise<SqliteFixture> {
    const fixture = await openSqliteFixture({ dataDir, ...(maxBytes !== undefined && { maxBytes }) });
    opened.push(fixture);
    return fixture;
  }

  const entry = (n: number) => receivedAt(`e${n}`, T + n, { rowCount: 5, note: `${'x'.repeat(700)} 日本語` });

  /** `count` events `e0`…, of five rows each, a quarantined body for every tenth of them, and one delivered event. */
  async function fill(count: number): Promise<void> {
    const { outbox, cleanup } = await open();
    await outbox.put([event('done')]);
    await outbox.settle([delivered(await claimOne(outbox))]);
    const entries = Array.from({ length: count }, (_, n) => entry(n));
    await outbox.put(entries);
    await outbox.put(
      entries.filter((_, n) => n % 10 === 0).map((_, n) => quarantined(`q${n}`, { body: new Uint8Array(900).fill(n) })),
    );
    const [first, second] = await claimAll(outbox, { maxEvents: 2 });
    assert(first !== undefined && second !== undefined);
    const dead = [{ rows: [[2, 3]] as const, code: 'refused', reason: 'Azure said no' }];
    await outbox.settle([
      settlement(first, { delivered: [[0, 2]], dead }),
      settlement(second, { dead: [{ rows: [[0, 5]], code: 'refused', reason: 'no' }] }),
    ]);
    await cleanup();
  }

  /** What is in the way of SQLite's eyes: the file with some pages, counted from 1, made unreadable. */
  function breakPages(pages: readonly number[]): void {
    const bytes = readFileSync(file());
    for (const page of pages) bytes.fill(0xa5, (page - 1) * PAGE, page * PAGE);
    writeFileSync(file(), bytes);
  }

  function pagesOf(...names: readonly string[]): number[] {
    const db = new DatabaseSync(file(), { readOnly: true });
    const select = db.prepare('SELECT pageno FROM dbstat WHERE name = ? ORDER BY pageno');
    const pages = names.flatMap((name) => select.all(name).map((row) => Number(row['pageno'])));
    db.close();
    return pages;
  }

  function leavesOf(name: string): number[] {
    const db = new DatabaseSync(file(), { readOnly: true });
    const leaves = db.prepare("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path").all(name);
    db.close();
    return leaves.map((row) => Number(row['pageno']));
  }

  async function openDamaged(): Promise<{ fixture: SqliteFixture; damagedFile: string }> {
    const fixture = await open();
    const { damagedFile } = fixture;
    assert(damagedFile !== null);
    return { fixture, damagedFile };
  }

  const expectedRows = (eventId: string) => rowsOf(entry(Number(eventId.slice(1))));

  const salvageInto = ({ outbox, clock }: SqliteFixture, damagedFile: string) =>
    salvage(damagedFile, outbox, { nowMs: clock.now() });

  it('brings back events with the rows that still wait, dead letters, quarantined bodies and identities', async () => {
    await fill(40);
    breakPages(pagesOf(UNNEEDED));
    const { fixture, damagedFile } = await openDamaged();
    const { outbox } = fixture;
    const progress: number[] = [];
    const counts = await salvage(damagedFile, outbox, {
      nowMs: fixture.clock.now(),
      onProgress: ({ recovered }) => progress.push(recovered),
    });
    assert.deepEqual(counts, { recovered: 44, duplicate: 0, unreadable: 0, identities: 1 });
    assert.equal(progress.at(-1), 44);
    const partly = await outbox.show('e0');
    assert.deepEqual(
      [partly?.pending, partly?.deadLetters],
      [
        [[3, 5]],
        [{ rows: [[2, 3]], code: 'refused', reason: 'Azure said no', buriedAt: Date.UTC(2026, 0, 2, 3, 4, 5) }],
      ],
    );
    assert.deepEqual((await outbox.show('e1'))?.pending, []);
    const { waiting, dead, quarantined: kept, bytes } = await outbox.stats();
    assert.deepEqual(waiting, { request: { count: 39, oldestReceivedAt: T } });
    assert.deepEqual([dead.count, kept.count, bytes.quarantined], [2, 4, 4 * 900]);
    const claimed = await claimAll(outbox);
    assert.equal(claimed.length, 39);
    for (const { eventId, rows } of claimed) assert.deepEqual(rows, expectedRows(eventId).slice(-rows.length));
    const again = await outbox.put([event('done'), event('e7')]);
    assert(again.outcome === 'stored' && again.entries.every((entry) => entry.duplicate));
  });

  it('ends the alarm and keeps the file under another name', async () => {
    await fill(3);
    breakPages(pagesOf(UNNEEDED));
    const { fixture, damagedFile } = await openDamaged();
    await salvageInto(fixture, damagedFile);
    assert.equal(fixture.damagedFile, null);
    assert.equal(existsSync(damagedFile), false);
    const salvaged = damagedFile.replace('.damaged-', '.salvaged-');
    assert.equal(existsSync(salvaged), true);
    assert.deepEqual(await salvageInto(fixture, salvaged), {
      recovered: 0,
      duplicate: 4,
      unreadable: 0,
      identities: 0,
    });
    assert.equal(existsSync(salvaged), true);
  });

  it('takes nothing anew that was sent again meanwhile', async () => {
    await fill(10);
    breakPages(pagesOf(UNNEEDED));
    const { fixture, damagedFile } = await openDamaged();
    const { outbox } = fixture;
    await outbox.put([event('e3', { rowCount: 5 }), event('e4')]);
    await outbox.settle((await claimAll(outbox)).map(delivered));
    assert.deepEqual(await salvageInto(fixture, damagedFile), {
      recovered: 9,
      duplicate: 2,
      unreadable: 0,
      identities: 1,
    });
    assert.equal(await outbox.show('e3'), null);
  });

  it('walks around broken pages, and makes rows dead letters whose event is lost', async () => {
    await fill(400);
    const leaves = leavesOf('events');
    const broken = leaves[Math.floor(leaves.length / 2)] ?? assert.fail();
    breakPages([broken]);
    const { fixture, damagedFile } = await openDamaged();
    const { outbox } = fixture;
    const counts = await salvageInto(fixture, damagedFile);
    assert.deepEqual([counts.recovered, counts.unreadable], [440, 0]);
    const { waiting, dead, quarantined: kept } = await outbox.stats();
    const alone = dead.count - 2;
    assert(alone > 5 && alone < 100, `${alone} events were on the page`);
    assert.deepEqual([waiting['request']?.count, kept.count], [399 - alone, 40]);
    const { records } = await outbox.list({ state: 'dead', limit: 1_000 });
    const salvaged = records.filter(({ code }) => code === 'salvaged');
    assert.equal(salvaged.length, alone);
    for (const { id, kind, receivedAt: time, pendingRows, deadRows } of salvaged) {
      assert.deepEqual([kind, time, pendingRows, deadRows], ['request', T + Number(id.slice(1)), 0, 5]);
    }
    assert.deepEqual(await outbox.revive(salvaged.map(({ id }) => id)), Array(alone).fill(5));
    const claimed = await claimAll(outbox);
    for (const { eventId, rows } of claimed) assert.deepEqual(rows, expectedRows(eventId).slice(-rows.length));
  });

  it('brings back what is there of a file whose end was cut off', async () => {
    await fill(200);
    const bytes = readFileSync(file());
    writeFileSync(file(), bytes.subarray(0, Math.floor(bytes.length * 0.6) + 100));
    const { fixture, damagedFile } = await openDamaged();
    const { recovered, unreadable } = await salvageInto(fixture, damagedFile);
    assert(recovered > 20 && unreadable > 0, `${recovered} were read, ${unreadable} not`);
    for (const { eventId, rows } of await claimAll(fixture.outbox)) {
      assert.deepEqual(rows, expectedRows(eventId).slice(-rows.length));
    }
    assert.deepEqual(
      readdirSync(dataDir).filter((name) => name.includes('.mended')),
      [],
    );
  });

  it('counts what has lost its body', async () => {
    await fill(200);
    breakPages(leavesOf('bodies').slice(2, 4));
    const { fixture, damagedFile } = await openDamaged();
    const { recovered, unreadable } = await salvageInto(fixture, damagedFile);
    assert(unreadable > 1 && unreadable < 20, `${unreadable} were on the pages`);
    assert.equal(recovered + unreadable, 220);
  });

  it('counts the traces that an index has on both sides of its own broken page', async () => {
    await fill(400);
    const index = leavesOf('events_waiting');
    assert(index.length > 2);
    breakPages([...leavesOf('events'), ...leavesOf('bodies'), ...leavesOf('dead_letters'), ...index.slice(1, 2)]);
    const { fixture, damagedFile } = await openDamaged();
    const { recovered, unreadable } = await salvageInto(fixture, damagedFile);
    assert.equal(recovered, 40, 'the quarantined bodies');
    assert(unreadable > 200 && unreadable < 400, `${unreadable} were in the index`);
  });

  it('leaves rows to an operator when nothing tells dead ones from delivered ones', async () => {
    await fill(3);
    breakPages(pagesOf('dead_letters', 'dead_letters_event'));
    const { fixture, damagedFile } = await openDamaged();
    await salvageInto(fixture, damagedFile);
    const partly = await fixture.outbox.show('e0');
    assert.deepEqual(partly?.pending, [[3, 5]]);
    assert.deepEqual(
      partly?.deadLetters.map(({ rows, code }) => [rows, code]),
      [[[[0, 3]], 'salvaged']],
    );
  });

  it('invents nothing and ends, whatever is broken', async () => {
    await fill(150);
    const sound = readFileSync(file());
    const pages = sound.length / PAGE;
    const rest = readdirSync(dataDir).filter((name) => name !== 'outbox.db');
    assert.deepEqual(rest, ['outbox.lock', 'outbox.reserve']);
    const damage = fc.array(
      fc.record({
        page: fc.integer({ min: 2, max: pages }),
        at: fc.nat(PAGE - 1),
        length: fc.nat(PAGE),
        byte: fc.nat(255),
      }),
      { minLength: 1, maxLength: 6 },
    );
    const property = fc.asyncProperty(damage, async (cuts) => {
      const bytes = Buffer.from(sound);
      for (const { page, at, length, byte } of cuts) {
        const from = (page - 1) * PAGE + at;
        bytes.fill(byte, from, Math.min(page * PAGE, from + length));
      }
      const damagedFile = join(root, 'damaged.db');
      writeFileSync(damagedFile, bytes);
      const fixture = await openSqliteFixture();
      try {
        await salvageInto(fixture, damagedFile);
        const claimed = await claimAll(fixture.outbox);
        for (const { rows } of claimed) {
          for (const row of rows) assert.doesNotThrow(() => JSON.parse(row));
        }
        assert.equal((await fixture.outbox.stats()).writable, true);
      } finally {
        await fixture.cleanup();
        rmSync(damagedFile);
      }
    });
    await fc.assert(property, { numRuns: 15 });
  });

  for (const tree of ['events_delivered', 'quarantine', 'dead_letters', 'bodies']) {
    it(`is needed first where a move meets a broken page of ${tree}: it takes nothing from there`, async () => {
      await fill(40);
      breakPages(leavesOf(tree));
      const db = new DatabaseSync(file(), { readOnly: true });
      await assert.rejects(Array.fromAsync(readSound(db)), { name: 'CopyError', code: 'migrate_unreadable' });
      db.close();
    });
  }

  it('says when the outbox is full, and goes on where it was when there is room', async () => {
    await fill(800);
    breakPages(pagesOf(UNNEEDED));
    const small = await open(700_000);
    const damagedFile = small.damagedFile ?? '';
    await assert.rejects(salvageInto(small, damagedFile), {
      name: 'CopyError',
      code: 'salvage_not_stored',
      message: /OUTBOX_MAX_BYTES.*again/,
    });
    assert.equal(small.damagedFile, damagedFile, 'the alarm stays');
    await small.cleanup();
    const large = await open();
    const { recovered, duplicate } = await salvageInto(large, damagedFile);
    assert(duplicate > 0 && recovered > 0);
    assert.equal(recovered + duplicate, 880);
  });

  it('refuses what is no database of this service', async () => {
    const fixture = await open();
    const notes = join(root, 'notes.txt');
    writeFileSync(notes, 'these are the notes of somebody '.repeat(200));
    const other = join(root, 'other.db');
    const db = new DatabaseSync(other);
    db.exec('CREATE TABLE photographs (id INTEGER PRIMARY KEY)');
    db.close();
    for (const path of [notes, other, join(root, 'missing.db'), root]) {
      await assert.rejects(salvageInto(fixture, path), (error) => {
        assert(error instanceof CopyError);
        assert.equal(error.code, 'salvage_unreadable');
        assert(error.message.includes(path));
        return true;
      });
    }
    assert.equal(existsSync(join(root, 'missing.db')), false);
  });
});
