import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_CALL_BYTES } from '../../src/outbox/port.ts';
import { claimAll, claimOne, ids, type Subject } from './contract.ts';
import { delivered, event, receivedAt, rowsOf, settlement } from './samples.ts';

const T = Date.UTC(2026, 0, 2);
const refused = (rows: readonly (readonly [number, number])[]) => ({ rows, code: 'refused', reason: 'Azure said no' });

export function claimContract(subject: Subject): void {
  describe('claim', () => {
    it('gives the oldest first, each to one caller only', async () => {
      const { outbox } = subject;
      await outbox.put([
        receivedAt('c', T + 3),
        receivedAt('a', T + 1),
        receivedAt('b', T + 2),
        receivedAt('d', T + 4),
      ]);
      assert.deepEqual(ids(await claimAll(outbox, { maxEvents: 2 })), ['a', 'b']);
      assert.deepEqual(ids(await claimAll(outbox)), ['c', 'd']);
      assert.deepEqual(await claimAll(outbox), []);
    });

    it('gives each event once to callers that ask at the same time', async () => {
      const { outbox } = subject;
      await outbox.put(Array.from({ length: 40 }, (_, n) => event(`e${n}`)));
      const claims = await Promise.all(Array.from({ length: 20 }, () => claimAll(outbox, { maxEvents: 3 })));
      const all = claims.flatMap((events) => ids(events));
      assert.equal(all.length, 40);
      assert.equal(new Set(all).size, 40);
    });

    it('keeps kinds apart', async () => {
      const { outbox } = subject;
      await outbox.put([event('r'), event('s', { kind: 'audit' })]);
      assert.deepEqual(ids(await claimAll(outbox, { kind: 'audit' })), ['s']);
      assert.deepEqual(await claimAll(outbox, { kind: 'unheard-of' }), []);
      assert.deepEqual(ids(await claimAll(outbox)), ['r']);
    });

    it('stops before the bytes pass the limit, but gives a single row of any size', async () => {
      const { outbox } = subject;
      const sizes = [400, 598, 200, 5_000];
      await outbox.put(sizes.map((rowBytes, n) => receivedAt(`e${n}`, T + n, { rowBytes })));
      // A row needs a byte more: the comma or the bracket after it.
      assert.deepEqual(ids(await claimAll(outbox, { maxBytes: 1_000 })), ['e0', 'e1']);
      assert.deepEqual(ids(await claimAll(outbox, { maxBytes: 1_000 })), ['e2']);
      const [large] = await claimAll(outbox, { maxBytes: 1_000 });
      assert.deepEqual([large?.eventId, large?.bytes], ['e3', 5_001]);
    });

    it('gives as many rows of an event as fit, and the others once those are settled', async () => {
      const { outbox } = subject;
      const entry = receivedAt('a', T, { rowCount: 10, rowBytes: 199 });
      await outbox.put([entry, receivedAt('b', T + 1)]);
      const [first, ...others] = await claimAll(outbox, { maxBytes: 700 });
      assert(first !== undefined);
      assert.deepEqual([first.ranges, first.rows, others], [[[0, 3]], rowsOf(entry).slice(0, 3), []]);
      assert.deepEqual(ids(await claimAll(outbox)), ['b'], 'its other rows are held as well');
      await outbox.settle([delivered(first)]);
      const rest = await claimOne(outbox);
      assert.deepEqual([rest.ranges, rest.rows], [[[3, 10]], rowsOf(entry).slice(3)]);
    });

    it('passes over events that are named, and gives one row of one that is named', async () => {
      const { outbox } = subject;
      await outbox.put([receivedAt('a', T), receivedAt('b', T + 1, { rowCount: 5 }), receivedAt('c', T + 2)]);
      const only = { eventId: 'b', fromRow: 2 };
      const oneRow = { maxEvents: 1, maxBytes: 0 };
      const [named] = await claimAll(outbox, { ...oneRow, only });
      assert.deepEqual([named?.eventId, named?.ranges], ['b', [[2, 3]]]);
      assert.deepEqual(await claimAll(outbox, { ...oneRow, only }), [], 'it is held');
      assert.deepEqual(await claimAll(outbox, { ...oneRow, only: { eventId: 'a', fromRow: 1 } }), []);
      assert.deepEqual(await claimAll(outbox, { ...oneRow, only: { eventId: 'unheard-of', fromRow: 0 } }), []);
      assert.deepEqual(ids(await claimAll(outbox, { ...oneRow, except: ['a'] })), ['c']);
      assert.deepEqual(ids(await claimAll(outbox, { except: ['unheard-of'] })), ['a']);
    });

    it('joins rows into calls that say whose they are', async () => {
      const { outbox } = subject;
      const [a, b] = [
        receivedAt('a', T, { rowCount: 2, action: 'Granted' }),
        receivedAt('b', T + 1, { rowBytes: 500_000 }),
      ];
      await outbox.put([a, b, receivedAt('c', T + 2, { rowBytes: 500_000 })]);
      const { events, calls, mayBeMore } = await outbox.claim({ kind: 'request', maxBytes: 2 * MAX_CALL_BYTES });
      assert.deepEqual(
        events.map(({ eventId, action, ranges }) => [eventId, action, ranges]),
        [
          ['a', 'Granted', [[0, 2]]],
          ['b', 'Other', [[0, 1]]],
          ['c', 'Other', [[0, 1]]],
        ],
      );
      assert.deepEqual(
        calls.map(({ sources }) => sources.map(({ event, index }) => [events.indexOf(event), index])),
        [
          [
            [0, 0],
            [0, 1],
            [1, 0],
          ],
          [[2, 0]],
        ],
      );
      assert.equal(calls[0]?.text, `[${[...rowsOf(a), ...rowsOf(b)].join(',')}]`);
      assert.equal(mayBeMore, true);
      assert.deepEqual(await outbox.claim({ kind: 'request', maxBytes: 1_000_000 }), {
        events: [],
        calls: [],
        mayBeMore: false,
      });
    });
  });

  describe('settle', () => {
    it('forgets an event whose rows are all delivered, whether released or not', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 3 })]);
      const claimed = await claimOne(outbox);
      assert.deepEqual(await outbox.settle([settlement(claimed, { delivered: [[0, 3]], release: false })]), [
        'applied',
      ]);
      assert.deepEqual(await claimAll(outbox), []);
      assert.equal((await outbox.stats()).waiting['request']?.count ?? 0, 0);
      assert.deepEqual(await outbox.settle([settlement(claimed)]), ['stale']);
    });

    it('never claims delivered rows again, in whatever order they were delivered', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 10 })]);
      const claimed = await claimOne(outbox);
      await outbox.settle([settlement(claimed, { delivered: [[8, 10]], release: false })]);
      await outbox.settle([
        settlement(claimed, {
          delivered: [
            [0, 2],
            [4, 5],
          ],
          release: false,
        }),
      ]);
      assert.deepEqual(await claimAll(outbox), [], 'it is still held');
      await outbox.settle([settlement(claimed)]);
      const again = await claimOne(outbox);
      assert.deepEqual(again.ranges, [
        [2, 4],
        [5, 8],
      ]);
      assert.notEqual(again.token, claimed.token);
    });

    it('takes rows that were settled before once more without harm', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 4 })]);
      const claimed = await claimOne(outbox);
      await outbox.settle([settlement(claimed, { delivered: [[0, 2]], dead: [refused([[2, 3]])], release: false })]);
      await outbox.settle([settlement(claimed, { delivered: [[0, 3]], dead: [refused([[3, 4]])], release: false })]);
      const { dead, waiting } = await outbox.stats();
      assert.equal(dead.count, 1, 'the row stays dead, although it was named as delivered later');
      assert.equal(waiting['request']?.count ?? 0, 0);
    });

    it('is stale for another token, an ended claim and an event that is not there, and changes nothing', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 2 }), event('b')]);
      const [a, b] = await claimAll(outbox);
      assert(a !== undefined && b !== undefined);
      const all = { delivered: [[0, 2]] as const };
      const outcomes = await outbox.settle([
        settlement(a, { ...all, token: a.token + 1_000 }),
        settlement(a, { ...all, token: b.token }),
        settlement(a, { eventId: 'unheard-of' }),
        settlement(a),
        settlement(a, all),
        delivered(b),
      ]);
      assert.deepEqual(outcomes, ['stale', 'stale', 'stale', 'applied', 'stale', 'applied']);
      const again = await claimOne(outbox);
      assert.deepEqual(again.ranges, [[0, 2]]);
      assert.deepEqual(await outbox.settle([settlement(a, all)]), ['stale'], 'the former token is fenced');
      assert.deepEqual(await outbox.settle([delivered(again)]), ['applied']);
    });

    it('applies one of two settlements that end the same claim at the same time', async () => {
      const { outbox } = subject;
      await outbox.put([event('a')]);
      const claimed = await claimOne(outbox);
      const outcomes = await Promise.all([outbox.settle([delivered(claimed)]), outbox.settle([delivered(claimed)])]);
      assert.deepEqual(outcomes.flat().sort(), ['applied', 'stale']);
    });

    it('keeps dead rows apart from those that wait', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 3 })]);
      const claimed = await claimOne(outbox);
      await outbox.settle([settlement(claimed, { delivered: [[0, 1]], dead: [refused([[1, 2]])] })]);
      let stats = await outbox.stats();
      assert.deepEqual([stats.waiting['request']?.count, stats.dead.count], [1, 1]);
      const rest = await claimOne(outbox);
      assert.deepEqual(rest.ranges, [[2, 3]]);
      await outbox.settle([delivered(rest)]);
      stats = await outbox.stats();
      assert.deepEqual([stats.waiting['request']?.count ?? 0, stats.dead.count], [0, 1]);
      assert.deepEqual(await claimAll(outbox), [], 'a dead letter is not claimed');
    });

    it('rejects rows that an event does not have or that have two fates, and changes nothing', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 3 }), event('b')]);
      const [a, b] = await claimAll(outbox);
      assert(a !== undefined && b !== undefined);
      const defects = [
        settlement(a, { delivered: [[0, 4]] }),
        settlement(a, { delivered: [[2, 1]] }),
        settlement(a, {
          delivered: [
            [1, 2],
            [0, 1],
          ],
        }),
        settlement(a, { delivered: [[0, 2]], dead: [refused([[1, 3]])] }),
        settlement(a, { dead: [refused([[0, 1]]), refused([[0, 1]])] }),
      ];
      for (const bad of defects) await assert.rejects(outbox.settle([delivered(b), bad]), RangeError);
      const [sound, bad] = await Promise.allSettled([
        outbox.settle([delivered(b)]),
        outbox.settle(defects.slice(0, 1)),
      ]);
      assert.deepEqual([sound.status, bad.status], ['fulfilled', 'rejected'], 'a defect is its own call only');
      assert.deepEqual(await outbox.settle([delivered(a)]), ['applied']);
    });
  });

  describe('restart', () => {
    it('frees what was claimed, resumes behind the delivered rows and fences the former holder', async () => {
      const { outbox, fixture } = subject;
      await outbox.put([event('a', { rowCount: 5 })]);
      const former = await claimOne(outbox);
      await outbox.settle([settlement(former, { delivered: [[0, 3]], release: false })]);
      await fixture.reopen();
      const now = await claimOne(subject.outbox);
      assert.deepEqual(now.ranges, [[3, 5]]);
      assert.deepEqual(await subject.outbox.settle([settlement(former, { delivered: [[3, 5]] })]), ['stale']);
      assert.deepEqual(await subject.outbox.settle([delivered(now)]), ['applied']);
    });
  });
}
