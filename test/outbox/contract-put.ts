import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claimAll, claimOne, ids, type Subject } from './contract.ts';
import { delivered, event, quarantined, rowsOf, settlement } from './samples.ts';

export function putContract(subject: Subject): void {
  describe('put', () => {
    it('stores a new event and says when', async () => {
      const { outbox, clock } = subject;
      assert.deepEqual(await outbox.put([event('a')]), {
        outcome: 'stored',
        entries: [{ id: 'a', duplicate: false, firstStoredAt: clock.now() }],
      });
    });

    it('takes the same event again as a duplicate and stores nothing', async () => {
      const { outbox, clock } = subject;
      const firstStoredAt = clock.now();
      const first = event('a', { note: 'first' });
      await outbox.put([first]);
      clock.advance(5_000);
      assert.deepEqual(await outbox.put([event('a', { note: 'second', rowCount: 7 })]), {
        outcome: 'stored',
        entries: [{ id: 'a', duplicate: true, firstStoredAt }],
      });
      const claimed = await claimAll(outbox);
      assert.deepEqual(ids(claimed), ['a']);
      assert.deepEqual(claimed[0]?.rows, rowsOf(first));
      assert.equal((await outbox.stats()).waiting['request']?.count, 1);
    });

    it('takes an id that comes twice in one call as a duplicate of itself', async () => {
      const { outbox, clock } = subject;
      const now = clock.now();
      assert.deepEqual(await outbox.put([event('a'), event('b'), event('a')]), {
        outcome: 'stored',
        entries: [
          { id: 'a', duplicate: false, firstStoredAt: now },
          { id: 'b', duplicate: false, firstStoredAt: now },
          { id: 'a', duplicate: true, firstStoredAt: now },
        ],
      });
      assert.deepEqual(ids(await claimAll(outbox)).sort(), ['a', 'b']);
    });

    it('never merges different events, however alike they are', async () => {
      const { outbox } = subject;
      await outbox.put([event('a'), event('b'), event('A')]);
      assert.deepEqual(ids(await claimAll(outbox)).sort(), ['A', 'a', 'b']);
    });

    it('stores each of many concurrent puts, and one of many that are the same', async () => {
      const { outbox } = subject;
      const puts = Array.from({ length: 200 }, (_, n) => outbox.put([event(`id-${n}`), event('same')]));
      const outcomes = await Promise.all(puts);
      assert(outcomes.every((outcome) => outcome.outcome === 'stored'));
      const firsts = outcomes.filter((o) => o.outcome === 'stored' && o.entries[1]?.duplicate === false);
      assert.equal(firsts.length, 1);
      assert.equal((await claimAll(outbox)).length, 201);
    });

    it('gives back what was put, to the byte', async () => {
      const { outbox, fixture } = subject;
      const note = `NUL \0 quote ' " \n 日本語 \u{1F511} ${'x'.repeat(300_000)}`;
      const odd = event('Ωμέγα', {
        note,
        rowCount: 30,
        receivedAt: 1_700_000_000_123,
        feed: "it's; DROP TABLE events",
      });
      await outbox.put([odd]);
      await fixture.reopen();
      const { token, bytes, ...claimed } = await claimOne(subject.outbox);
      assert.deepEqual(claimed, {
        eventId: odd.eventId,
        receivedAt: odd.receivedAt,
        action: 'Other',
        ranges: [[0, 30]],
        rows: rowsOf(odd),
      });
      const [summary] = (await subject.outbox.list({ state: 'waiting', limit: 1 })).records;
      assert.equal(summary?.feed, odd.feed);
    });

    it('knows an event that is waiting, delivered or dead, also after a restart', async () => {
      const { outbox, fixture, clock } = subject;
      const firstStoredAt = clock.now();
      await outbox.put([event('waiting'), event('delivered'), event('dead')]);
      for (const claimed of await claimAll(outbox)) {
        if (claimed.eventId === 'delivered') await outbox.settle([delivered(claimed)]);
        if (claimed.eventId !== 'dead') continue;
        await outbox.settle([settlement(claimed, { dead: [{ rows: claimed.ranges, code: 'refused', reason: '' }] })]);
      }
      await fixture.reopen();
      clock.advance(1_000);
      const again = await subject.outbox.put([event('waiting'), event('delivered'), event('dead'), event('new')]);
      assert(again.outcome === 'stored');
      assert.deepEqual(
        again.entries.map(({ id, duplicate, firstStoredAt: at }) => [id, duplicate, at]),
        [
          ['waiting', true, firstStoredAt],
          ['delivered', true, firstStoredAt],
          ['dead', true, firstStoredAt],
          ['new', false, clock.now()],
        ],
      );
    });

    it('stores nothing for an empty call', async () => {
      assert.deepEqual(await subject.outbox.put([]), { outcome: 'stored', entries: [] });
    });
  });

  describe('quarantine', () => {
    it('keeps a body once, beside an event of the same id', async () => {
      const { outbox, clock } = subject;
      const firstStoredAt = clock.now();
      await outbox.put([quarantined('x'), event('x')]);
      clock.advance(10);
      const again = await outbox.put([quarantined('x'), quarantined('y')]);
      assert.deepEqual(again, {
        outcome: 'stored',
        entries: [
          { id: 'x', duplicate: true, firstStoredAt },
          { id: 'y', duplicate: false, firstStoredAt: clock.now() },
        ],
      });
      assert.equal((await outbox.stats()).quarantined.count, 2);
      assert.deepEqual(ids(await claimAll(outbox)), ['x'], 'a quarantined body is never claimed');
    });

    it("takes a view into a larger buffer, and leaves the caller's bytes alone", async () => {
      const pool = Buffer.alloc(1024, 0x41);
      const view = pool.subarray(10, 20);
      await subject.outbox.put([quarantined('view', { body: view })]);
      assert.equal(pool.length, 1024);
      assert.equal(view.toString(), 'A'.repeat(10));
    });
  });
}
