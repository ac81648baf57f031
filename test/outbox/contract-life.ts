import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  claimAll,
  claimOne,
  ids,
  isUnavailable,
  type OutboxFixture,
  type Subject,
  type TestStore,
} from './contract.ts';
import { delivered, event, quarantined, receivedAt, settlement } from './samples.ts';

const T = Date.UTC(2026, 0, 2);

export function lifeContract(subject: Subject): void {
  describe('stats', () => {
    it('is empty, sound and within its limit at first', async () => {
      const { usedBytes, logBytes, maxBytes, ...rest } = await subject.outbox.stats();
      const none = { count: 0, oldestReceivedAt: null };
      const bytes = { waiting: 0, dead: 0, quarantined: 0 };
      assert.deepEqual(rest, { waiting: {}, dead: none, quarantined: none, bytes, writable: true, problem: null });
      assert(usedBytes >= logBytes && logBytes >= 0 && usedBytes < maxBytes);
    });

    it('counts events by kind and state, with the oldest of each', async () => {
      const { outbox, fixture } = subject;
      await outbox.put([receivedAt('r2', T + 2), receivedAt('r1', T + 1), receivedAt('s', T + 9, { kind: 'audit' })]);
      await outbox.put([receivedAt('bad', T, { rowCount: 2 }), quarantined('q2', { receivedAt: T + 6 })]);
      await outbox.put([quarantined('q1', { receivedAt: T + 5 })]);
      const bad = await claimOne(outbox);
      await outbox.settle([settlement(bad, { dead: [{ rows: [[0, 2]], code: 'refused', reason: 'no' }] })]);
      await claimOne(outbox); // claimed events still wait
      await fixture.reopen();
      const { waiting, dead, quarantined: kept } = await subject.outbox.stats();
      assert.deepEqual(waiting, {
        request: { count: 2, oldestReceivedAt: T + 1 },
        audit: { count: 1, oldestReceivedAt: T + 9 },
      });
      assert.deepEqual(dead, { count: 1, oldestReceivedAt: T });
      assert.deepEqual(kept, { count: 2, oldestReceivedAt: T + 5 });
    });
  });

  describe('prune', () => {
    it('forgets what was delivered before a time, and nothing else', async () => {
      const { outbox, clock } = subject;
      await outbox.put([event('waiting'), event('dead'), event('old'), event('new')]);
      const claimed = new Map((await claimAll(outbox)).map((each) => [each.eventId, each]));
      const settle = async (id: string, dead: boolean) => {
        const held = claimed.get(id);
        assert(held !== undefined);
        const buried = settlement(held, { dead: [{ rows: held.ranges, code: 'refused', reason: '' }] });
        await outbox.settle([dead ? buried : delivered(held)]);
      };
      await settle('dead', true);
      await settle('old', false);
      clock.advance(1_000);
      await settle('new', false);
      assert.equal(await outbox.prune(clock.now() - 1_000), 0, 'the time itself is not before it');
      assert.equal(await outbox.prune(clock.now()), 1);
      assert.equal(await outbox.prune(clock.now()), 0);
      const again = await outbox.put([event('waiting'), event('dead'), event('old'), event('new')]);
      assert(again.outcome === 'stored');
      assert.deepEqual(
        again.entries.map((entry) => entry.duplicate),
        [true, true, false, true],
      );
    });

    it('shows how far time has passed by what was delivered, where no pause counts for more than a day', async () => {
      const { outbox, clock } = subject;
      assert.equal(await outbox.recordedUntil(), null);
      const start = clock.now();
      const deliverAfter = async (ms: number) => {
        clock.advance(ms);
        await outbox.put([event(`after-${ms}`)]);
        await outbox.settle((await claimAll(outbox)).map(delivered));
        return ((await outbox.recordedUntil()) ?? Number.NaN) - start;
      };
      const day = 86_400_000;
      assert.equal(await deliverAfter(0), 0);
      assert.equal(await deliverAfter(day - 1), day - 1);
      assert.equal(await deliverAfter(day + 1), 2 * day - 1, 'one millisecond less');
      assert.equal(await deliverAfter(8 * day), 3 * day - 1);
      assert.equal(await deliverAfter(5), 3 * day + 4);
    });

    it('forgets any number at once', async () => {
      const { outbox, clock } = subject;
      await outbox.put(Array.from({ length: 1_300 }, (_, n) => event(`e${n}`)));
      await outbox.settle((await claimAll(outbox, { maxEvents: 2_000 })).map(delivered));
      clock.advance(1);
      assert.equal(await outbox.prune(clock.now()), 1_300);
    });
  });

  describe('full', () => {
    const large = (id: string) => event(id, { rowBytes: 40_000 });

    async function fill(outbox: TestStore): Promise<string[]> {
      const stored: string[] = [];
      for (let n = 0; n < 1_000; n++) {
        const { outcome } = await outbox.put([large(`e${n}`)]);
        if (outcome === 'full') return stored;
        assert.equal(outcome, 'stored');
        stored.push(`e${n}`);
      }
      return assert.fail('it should have become full');
    }

    async function withSmall(test: (fixture: OutboxFixture) => Promise<void>): Promise<void> {
      const fixture = await subject.open({ maxBytes: 1_000_000 });
      try {
        await test(fixture);
      } finally {
        await fixture.cleanup();
      }
    }

    it('refuses what would pass the limit, all of the call, and knows it after a restart', () =>
      withSmall(async (fixture) => {
        const stored = await fill(fixture.outbox);
        assert(stored.length > 5);
        const both = [event('small'), large('large'), large('larger')];
        assert.deepEqual(await fixture.outbox.put(both), { outcome: 'full' });
        await fixture.reopen();
        assert.deepEqual(await fixture.outbox.put(both), { outcome: 'full' });
        const stats = await fixture.outbox.stats();
        assert(stats.usedBytes <= stats.maxBytes);
        assert.deepEqual([stats.writable, /OUTBOX_MAX_BYTES/.test(stats.problem ?? '')], [false, true]);
        assert.deepEqual(ids(await claimAll(fixture.outbox)), stored);
      }));

    it('still takes duplicates, claims, settles and prunes, and has room again after delivery', () =>
      withSmall(async (fixture) => {
        const { outbox, clock } = fixture;
        const stored = await fill(outbox);
        const again = await outbox.put([large('e0')]);
        assert(again.outcome === 'stored' && again.entries[0]?.duplicate === true);
        const claimed = await claimAll(outbox);
        const outcomes = await outbox.settle(claimed.map(delivered));
        assert.deepEqual(
          outcomes,
          claimed.map(() => 'applied'),
        );
        clock.advance(1);
        assert.equal(await outbox.prune(clock.now()), stored.length);
        assert.equal((await outbox.stats()).writable, true);
        const { outcome } = await outbox.put([large('afterwards')]);
        assert.equal(outcome, 'stored');
      }));
  });

  describe('close', () => {
    it('finishes what was asked before, and refuses what comes after', async () => {
      const { outbox, fixture } = subject;
      await outbox.put([event('a')]);
      const claimed = await claimOne(outbox);
      const before = [outbox.put([event('b')]), outbox.settle([delivered(claimed)]), outbox.stats()] as const;
      const closed = outbox.close();
      const late = await outbox.put([event('c')]);
      assert.equal(late.outcome, 'unavailable');
      const [put, settled] = await Promise.all(before);
      assert.deepEqual([put.outcome, settled], ['stored', ['applied']]);
      await closed;
      await outbox.close();
      await assert.rejects(outbox.claim({ kind: 'request', maxBytes: 1_000_000 }), isUnavailable);
      await assert.rejects(outbox.settle([delivered(claimed)]), isUnavailable);
      await assert.rejects(outbox.stats(), isUnavailable);
      await assert.rejects(outbox.prune(0), isUnavailable);
      await fixture.reopen();
      assert.deepEqual(ids(await claimAll(subject.outbox)), ['b']);
    });
  });
}
