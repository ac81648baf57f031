import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { StoreTrouble } from '../../src/outbox/open.ts';
import type { Received } from '../../src/outbox/port.ts';
import { salvage } from '../../src/outbox/sqlite/salvage.ts';
import type { StoreEvent } from '../../src/outbox/store.ts';
import { eventually } from '../support/eventually.ts';
import { claimOne, isUnavailable } from './contract.ts';
import { breakIndexPage, fillLargeDatabase } from './damaged-page.ts';
import { delivered, event, quarantined, RECEIVED_AT } from './samples.ts';
import { openSqliteFixture, type SqliteFixture, tempFolder } from './sqlite-fixture.ts';
import { claimCalls, openThreadFixture, webhook } from './thread-fixture.ts';

const PAGE = 4096;
const MIB = 2 ** 20;

type Trouble = StoreEvent & { readonly type: 'trouble' };

describe('a database that is damaged', { timeout: 300_000 }, () => {
  let dataDir = '';
  beforeEach(() => {
    dataDir = tempFolder();
  });
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));
  const file = () => join(dataDir, 'outbox.db');

  it('in one page, fails the puts that touch it and no other; the store says so, sets the file aside and goes on', async () => {
    await fillLargeDatabase(dataDir);
    breakIndexPage(dataDir);
    const fixture = await openThreadFixture({ dataDir });
    const { outbox, logged } = fixture;
    try {
      assert.equal(outbox.damagedFile, null, 'the start does not see it');
      let troubleAtOnce: StoreTrouble | null = null;
      const receive = async (n: number): Promise<Received> => {
        const received = await outbox.receive(webhook(`e${n}`));
        if (received.outcome === 'unavailable') troubleAtOnce ??= outbox.trouble;
        return received;
      };
      // As many as share a commit: what comes after it finds the thread gone.
      const received = await Promise.all(Array.from({ length: 32 }, (_, n) => receive(n)));
      const accepted = received.flatMap((each) => (each.outcome === 'accepted' ? each.events : []));
      const outcomes = received.map(({ outcome }) => outcome);
      assert(outcomes.includes('unavailable'), 'some puts touch the page');
      assert(accepted.length > 16, `${accepted.length} of 32 were stored`);
      assert.partialDeepStrictEqual(troubleAtOnce, { operation: 'commit', isDamage: true }, '/healthz says so at once');
      await eventually(async () => outbox.damagedFile !== null && (await outbox.stats()).writable);
      const codes = logged.map(({ code }) => code);
      for (const code of ['outbox_page_damaged', 'outbox_worker_died', 'outbox_damaged', 'outbox_worker_restarted']) {
        assert(codes.includes(code), `${code} is not among ${codes.join()}`);
      }
      for (const n of Array(100).keys())
        assert.equal((await outbox.receive(webhook(`later-${n}`))).outcome, 'accepted');
      assert.equal(outbox.trouble, null, 'the file that was set aside takes its place');
      assert.deepEqual(fixture.fatal, []);
      const { damagedFile } = outbox;
      await fixture.cleanup();
      const fresh = await openSqliteFixture({ dataDir });
      await salvage(damagedFile ?? '', fresh.outbox, { nowMs: Date.now() }).finally(async () => {
        const shown = await Promise.all(accepted.map(({ eventId }) => fresh.outbox.show(eventId)));
        await fresh.cleanup();
        assert(!shown.includes(null), 'every acknowledged event is salvaged');
      });
    } finally {
      await fixture.cleanup();
    }
  });

  it('in an index that its table contradicts, is set aside as well', async () => {
    const { outbox, cleanup } = await openSqliteFixture({ dataDir });
    await outbox.put([event('a'), event('b')]);
    await cleanup();
    flipBitOfIndex();
    const fixture = await openThreadFixture({ dataDir });
    try {
      assert.equal(fixture.outbox.damagedFile, null, 'the start does not see it');
      const { events } = await claimCalls(fixture.outbox);
      await assert.rejects(fixture.outbox.settle(events.map(delivered)), isUnavailable);
      await eventually(async () => fixture.outbox.damagedFile !== null && (await fixture.outbox.stats()).writable);
      assert.deepEqual(fixture.fatal, []);
      const { damagedFile } = fixture.outbox;
      await fixture.cleanup();
      const fresh = await openSqliteFixture({ dataDir });
      const counts = await salvage(damagedFile ?? '', fresh.outbox, { nowMs: Date.now() }).finally(fresh.cleanup);
      assert.deepEqual([counts.recovered, counts.unreadable], [2, 0]);
    } finally {
      await fixture.cleanup();
    }
  });

  /** Of the time of the first event in the index of those that wait, where only its removal looks for it. */
  function flipBitOfIndex(): void {
    const db = new DatabaseSync(file(), { readOnly: true });
    const page = Number(db.prepare("SELECT pageno FROM dbstat WHERE name = 'events_waiting'").get()?.['pageno']);
    db.close();
    const bytes = readFileSync(file());
    const time = Buffer.alloc(6);
    time.writeUIntBE(RECEIVED_AT, 0, 6);
    const at = bytes.indexOf(time, (page - 1) * PAGE);
    assert(at > 0 && at < page * PAGE);
    bytes.writeUInt8(bytes.readUInt8(at + 5) ^ 1, at + 5);
    writeFileSync(file(), bytes);
  }
});

describe('a reader with an open transaction', { timeout: 300_000 }, () => {
  const MAX_BYTES = 4 * MIB;
  let fixture: SqliteFixture;
  let reader: DatabaseSync | null = null;

  beforeEach(async () => {
    fixture = await openSqliteFixture({ maxBytes: MAX_BYTES });
    await fixture.outbox.put([event('first')]);
    beginReader();
  });
  afterEach(async () => {
    endReader();
    await fixture.cleanup();
  });

  function beginReader(): void {
    reader = new DatabaseSync(join(fixture.dataDir, 'outbox.db'), { readOnly: true });
    reader.exec('BEGIN; SELECT count(*) FROM events');
  }

  function endReader(): void {
    reader?.close();
    reader = null;
  }

  const checkpointTrouble = () =>
    fixture.events.find((told): told is Trouble => told.type === 'trouble' && told.operation === 'checkpoint');

  /** Puts a body and purges it, so that the log grows and the database does not. */
  async function churn(n: number, bytes: number): Promise<string> {
    const put = await fixture.outbox.put([quarantined(`q${n}`, { body: new Uint8Array(bytes) })]);
    await fixture.outbox.purge([`q${n}`]);
    return put.outcome;
  }

  it('is told, with the size of the log, and holds up neither a purge nor a prune', async () => {
    const { outbox } = fixture;
    for (let n = 0; checkpointTrouble() === undefined && n < 100; n++) assert.equal(await churn(n, MIB), 'stored');
    assert.match(checkpointTrouble()?.reason ?? '', /another program has the database open in a read transaction/);
    const startedAt = performance.now();
    for (let n = 0; n < 4; n++) {
      // Of a reader that sees the last commit, nothing but the end of the log is in the way: SQLite waits 5 seconds for it.
      endReader();
      beginReader();
      await outbox.prune(0);
      await churn(n, 1_000);
    }
    assert(performance.now() - startedAt < 4 * 5_000, 'nothing waited for the reader');
    const { logBytes, usedBytes, writable } = await outbox.stats();
    assert(logBytes > 8 * MIB && usedBytes > logBytes);
    assert.equal(writable, true, 'there is room yet');
  });

  it('makes the outbox full before the log takes the disk, until the reader ends', async () => {
    const { outbox } = fixture;
    let stored = 0;
    for (; stored < 200; stored++) if ((await churn(stored, 3 * MIB)) !== 'stored') break;
    assert(stored > 5 && stored < 40, `${stored} times 3 MiB and their removal were written`);
    for (let n = 0; n < 100; n++) if ((await churn(1_000 + n, 60_000)) !== 'stored') break;
    const full = await outbox.stats();
    assert.deepEqual([full.writable, full.logBytes > 60 * MIB], [false, true]);
    assert.match(full.problem ?? '', /write-ahead log.*read transaction/);
    const [again] = await Promise.all([
      outbox.put([event('first')]),
      outbox.settle([delivered(await claimOne(outbox))]),
    ]);
    assert.equal(again.outcome, 'stored', 'a duplicate is answered, and what is delivered is recorded');

    endReader();
    // Nothing but health checks and puts, as while Azure is away.
    await eventually(async () => (await outbox.stats()).logBytes < MIB);
    assert.equal((await outbox.put([event('later')])).outcome, 'stored');
    assert.equal((await outbox.stats()).writable, true);
  });

  it('lets the log be emptied by the next commit after it has ended', async () => {
    const { outbox } = fixture;
    for (let n = 0; checkpointTrouble() === undefined && n < 100; n++) await churn(n, MIB);
    const { logBytes } = await outbox.stats();
    assert(logBytes > 8 * MIB);
    endReader();
    let n = 0;
    await eventually(async () => {
      await outbox.put([quarantined(`small${n++}`)]);
      return (await outbox.stats()).logBytes < logBytes / 4;
    });
  });
});
