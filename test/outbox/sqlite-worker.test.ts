import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Commit } from '../../src/outbox/commit.ts';
import type { PutOutcome } from '../../src/outbox/port.ts';
import { isOutboxLocked } from '../../src/outbox/sqlite/lock.ts';
import { eventually } from '../support/eventually.ts';
import { claimAll, claimOne, ids, isUnavailable } from './contract.ts';
import { delivered, event, quarantined } from './samples.ts';
import { openSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts';

const TIME_LIMIT = { timeout: 300_000 };

describe('SQLite outbox and its worker', TIME_LIMIT, () => {
  let fixture: SqliteFixture;
  beforeEach(async () => {
    fixture = await openSqliteFixture();
  });
  afterEach(() => fixture.cleanup());

  const isWritable = async () => (await fixture.outbox.stats()).writable;
  const waitForWorker = () => eventually(isWritable);

  it('answers waiting puts with unavailable when it dies, and keeps what it had answered as stored', async () => {
    const { outbox } = fixture;
    await outbox.put([event('before')]);
    const stored = new Set(['before']);
    let killed: Promise<void> | null = null;
    const outcomes: PutOutcome['outcome'][] = [];
    // More than one commit takes, so that some wait while others are answered.
    const puts = Array.from({ length: 1_000 }, async (_, n) => {
      const { outcome } = await outbox.put([event(`e${n}`, { body: `"${'x'.repeat(50_000)}"` })]);
      if (outcome === 'stored') stored.add(`e${n}`);
      outcomes.push(outcome);
      killed ??= outbox.killWorkerForTests();
    });
    await Promise.all(puts);
    await killed;
    assert.equal(outcomes.length, 1_000);
    assert(outcomes.includes('unavailable'), 'some must have been waiting');
    await waitForWorker();
    const known = new Set(ids(await claimAll(outbox)));
    for (const id of stored) assert(known.has(id), `${id} was answered as stored`);
  });

  it('is not writable while it is down, and frees the claims of the dead worker', async () => {
    const { outbox } = fixture;
    await outbox.put([event('a')]);
    const former = await claimOne(outbox);
    await outbox.stats();
    await outbox.killWorkerForTests();
    const down = await outbox.stats();
    assert.deepEqual([down.writable, down.waiting['request']?.count], [false, 1]);
    assert.match(down.problem ?? '', /restarted/);
    assert.deepEqual(await outbox.put([event('b')]), { outcome: 'unavailable', reason: down.problem ?? '' });
    await assert.rejects(claimAll(outbox), isUnavailable);
    await assert.rejects(outbox.settle([delivered(former)]), isUnavailable);
    await waitForWorker();
    const again = await claimOne(outbox);
    assert.notEqual(again.token, former.token);
    assert.deepEqual(await outbox.settle([delivered(former)]), ['stale']);
    assert.deepEqual(await outbox.settle([delivered(again)]), ['applied']);
    assert.deepEqual(fixture.fatal, []);
    const codes = fixture.logLines.map((line) => JSON.parse(line).code);
    assert.deepEqual(codes, ['outbox_worker_died', 'outbox_worker_restarted']);
  });

  it('is given up after the second death', async () => {
    const { outbox, dataDir } = fixture;
    await outbox.put([event('a')]);
    await outbox.stats();
    await outbox.killWorkerForTests();
    await waitForWorker();
    const waiting = [outbox.put([event('b')]), outbox.put([event('c')])];
    await outbox.killWorkerForTests();
    for (const put of waiting) assert.notEqual((await put).outcome, 'full');
    assert.equal(fixture.fatal.length, 1);
    assert.equal((await outbox.put([event('d')])).outcome, 'unavailable');
    await assert.rejects(outbox.stats(), isUnavailable);
    await assert.rejects(claimAll(outbox), isUnavailable);
    assert.equal(isOutboxLocked(dataDir), true, 'the folder stays ours until it is closed');
    await outbox.close();
    assert.equal(isOutboxLocked(dataDir), false);
  });

  it('leaves no worker behind when it is closed during a restart', async () => {
    const { outbox, dataDir } = fixture;
    await outbox.killWorkerForTests();
    await outbox.close();
    assert.equal(isOutboxLocked(dataDir), false);
    assert.deepEqual(fixture.fatal, []);
    await fixture.reopen();
    assert.equal(await isWritable(), true);
  });

  it('serves new events before claims that came earlier', async () => {
    const { outbox } = fixture;
    await outbox.put(Array.from({ length: 1_000 }, (_, n) => event(`e${n}`)));
    let rounds = 0;
    async function placeOfPut(): Promise<number> {
      const order: string[] = [];
      const claims = Array.from({ length: 300 }, async () => {
        await claimAll(outbox, { maxEvents: 3 });
        order.push('claim');
      });
      const put = outbox.put([event(`new-${rounds++}`)]).then(() => order.push('put'));
      await Promise.all([...claims, put]);
      return order.indexOf('put');
    }
    // The worker may have served the claims before the put was even posted, where this thread had to stand still. In the
    // order of their coming the put would be the last in every round.
    await eventually(async () => (await placeOfPut()) < 200);
  });

  it('keeps its share of the turns for claims while new events keep coming', async () => {
    const { outbox } = fixture;
    await outbox.put([event('old')]);
    let claimed = false;
    let n = 0;
    const senders = Array.from({ length: 4 }, async () => {
      while (!claimed && n < 20_000) await outbox.put([event(`e${n++}`)]);
    });
    const found = await claimAll(outbox, { maxEvents: 1 });
    claimed = true;
    await Promise.all(senders);
    assert.deepEqual(ids(found), ['old']);
    assert(n < 20_000, 'it was claimed while events were coming');
  });

  it('bounds what waits for the worker, but takes a single put of any size', async () => {
    const { outbox } = fixture;
    const mebibytes = (n: number) => new Uint8Array(n * 2 ** 20);
    const first = outbox.put([quarantined('q1', { body: mebibytes(70) })]);
    const second = outbox.put([quarantined('q2', { body: mebibytes(1) })]);
    assert.deepEqual(await second, { outcome: 'unavailable', reason: 'busy' });
    assert.equal((await first).outcome, 'stored');
    assert.equal((await outbox.put([quarantined('q2', { body: mebibytes(1) })])).outcome, 'stored');
    assert.equal((await outbox.stats()).quarantined.count, 2);
  });
});

describe('SQLite outbox and the calls of one turn', TIME_LIMIT, () => {
  it('commits their puts together, and answers each of all calls by itself', async () => {
    const commits: Commit[] = [];
    const fixture = await openSqliteFixture({ onCommit: (commit) => commits.push(commit) });
    try {
      const { outbox } = fixture;
      const [first, again, none, stats, shown, purged] = await Promise.all([
        outbox.put([event('a')]),
        outbox.put([event('a'), event('b')]),
        outbox.put([]),
        outbox.stats(),
        outbox.show('b'),
        outbox.purge(['nobody']),
      ]);
      assert(first.outcome === 'stored' && again.outcome === 'stored' && none.outcome === 'stored');
      assert.deepEqual(
        [first, again, none].map(({ entries }) => entries.map(({ id, duplicate }) => [id, duplicate])),
        [
          [['a', false]],
          [
            ['a', true],
            ['b', false],
          ],
          [],
        ],
      );
      assert.deepEqual([stats.waiting['request']?.count, shown?.id, purged], [2, 'b', [false]]);
      assert.deepEqual(
        commits.map(({ puts, events }) => [puts, events]),
        [[3, 3]],
      );
    } finally {
      await fixture.cleanup();
    }
  });

  it('refuses the one that cannot be posted, and does the others', async () => {
    const fixture = await openSqliteFixture();
    try {
      const { outbox } = fixture;
      const feed = (() => 'a function') as unknown as string;
      const [first, refused, last] = await Promise.allSettled([
        outbox.put([event('first'), quarantined('q')]),
        outbox.put([event('refused', { meta: { receivedAt: 0, bodyForm: 'json', feed } })]),
        outbox.put([event('last')]),
      ]);
      assert.equal(refused.status, 'rejected');
      assert(first.status === 'fulfilled' && first.value.outcome === 'stored');
      assert(last.status === 'fulfilled' && last.value.outcome === 'stored');
      assert.deepEqual(ids(await claimAll(outbox)), ['first', 'last']);
      assert.deepEqual(Buffer.from((await outbox.show('q'))?.body ?? '').toString(), 'not JSON: q');
    } finally {
      await fixture.cleanup();
    }
  });

  it('answers what was asked in the turn in which the worker died or the outbox was closed', async () => {
    const fixture = await openSqliteFixture();
    try {
      const { outbox } = fixture;
      const killed = outbox.killWorkerForTests();
      const [put, stats] = await Promise.allSettled([outbox.put([event('a')]), outbox.show('a')]);
      await killed;
      assert(put.status === 'fulfilled' && put.value.outcome === 'unavailable');
      assert(stats.status === 'rejected' && isUnavailable(stats.reason));
      await eventually(async () => (await outbox.stats()).writable);
      const stored = outbox.put([event('a')]);
      const closed = outbox.close();
      assert.equal((await outbox.put([event('b')])).outcome, 'unavailable');
      assert.equal((await stored).outcome, 'stored');
      await closed;
      await fixture.reopen();
      assert.deepEqual(ids(await claimAll(fixture.outbox)), ['a']);
    } finally {
      await fixture.cleanup();
    }
  });
});

describe('SQLite outbox and its commits', TIME_LIMIT, () => {
  it('tells of each transaction of puts: how long, how many, and what came of it', async () => {
    const commits: Commit[] = [];
    const fixture = await openSqliteFixture({ maxBytes: 1_000_000, onCommit: (commit) => commits.push(commit) });
    try {
      const { outbox } = fixture;
      await Promise.all(Array.from({ length: 30 }, (_, n) => outbox.put([event(`a${n}`), event(`b${n}`)])));
      assert.equal(
        commits.reduce((sum, { puts }) => sum + puts, 0),
        30,
      );
      assert.equal(
        commits.reduce((sum, { events }) => sum + events, 0),
        60,
      );
      assert(commits.length < 30, 'some shared one');
      assert(commits.every(({ outcome, durationMs }) => outcome === 'committed' && durationMs > 0));
      const tooLarge = event('large', { body: `"${'x'.repeat(2_000_000)}"` });
      assert.equal((await outbox.put([tooLarge])).outcome, 'full');
      const { outcome, puts, events } = commits.at(-1) ?? assert.fail();
      assert.deepEqual([outcome, puts, events], ['full', 1, 1]);
    } finally {
      await fixture.cleanup();
    }
  });
});
