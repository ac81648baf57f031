import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claimAll, claimOne, ids, isUnavailable, type Subject } from './contract.ts';
import { delivered, event, receivedAt, settlement } from './samples.ts';

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

    it('stops before the bytes pass the limit, but gives a single event of any size', async () => {
      const { outbox } = subject;
      const sizes = [400, 600, 1, 5_000];
      await outbox.put(sizes.map((mappedBytes, n) => receivedAt(`e${n}`, T + n, { mappedBytes })));
      assert.deepEqual(ids(await claimAll(outbox, { maxMappedBytes: 1_000 })), ['e0', 'e1']);
      assert.deepEqual(ids(await claimAll(outbox, { maxMappedBytes: 1_000 })), ['e2']);
      assert.deepEqual(ids(await claimAll(outbox, { maxMappedBytes: 1_000 })), ['e3']);
    });

    it('counts only the undelivered rows against the limit', async () => {
      const { outbox } = subject;
      await outbox.put([
        receivedAt('half', T, { rowCount: 10, mappedBytes: 1_000 }),
        receivedAt('b', T + 1, { mappedBytes: 500 }),
      ]);
      const half = await claimOne(outbox);
      await outbox.settle([settlement(half, { delivered: [[0, 5]] })]);
      assert.deepEqual(ids(await claimAll(outbox, { maxMappedBytes: 1_000 })), ['half', 'b']);
    });

    it('rejects a request that asks for nothing', async () => {
      await assert.rejects(claimAll(subject.outbox, { maxEvents: 0 }), RangeError);
      await assert.rejects(claimAll(subject.outbox, { maxMappedBytes: Number.NaN }), RangeError);
    });
  });

  describe('bodies', () => {
    it('gives those of the claims that it is asked for, in their order, as often as it is asked', async () => {
      const { outbox } = subject;
      const texts = ['{"n":1}', '', '"日本 \\u0000 \u{1F511}"', `"${'long '.repeat(100_000)}"`];
      await outbox.put(texts.map((body, n) => receivedAt(`e${n}`, T + n, { body })));
      const claimed = await claimAll(outbox);
      assert.deepEqual(await outbox.bodies(claimed), texts);
      assert.deepEqual(await outbox.bodies(claimed.toReversed()), texts.toReversed());
      const second = claimed.slice(1, 2);
      assert.deepEqual(await outbox.bodies([...second, ...second]), [texts[1], texts[1]]);
      assert.deepEqual(await outbox.bodies([]), []);
    });

    it('gives the body as long as the claim has rows that are not settled', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 3 })]);
      const claimed = await claimOne(outbox);
      await outbox.settle([settlement(claimed, { delivered: [[0, 2]], release: false })]);
      assert.deepEqual(await outbox.bodies([claimed]), [event('a').body]);
      await outbox.settle([settlement(claimed, { delivered: [[2, 3]], release: false })]);
      assert.deepEqual(await outbox.bodies([claimed]), [null]);
    });

    it('gives none for another token, an ended claim and an event that is not there', async () => {
      const { outbox } = subject;
      await outbox.put([event('a'), event('b'), event('buried'), event('purged'), event('free')]);
      const [a, b, buried, purged] = await claimAll(outbox, { maxEvents: 4 });
      assert(a !== undefined && b !== undefined && buried !== undefined && purged !== undefined);
      await outbox.settle([settlement(a), settlement(buried, { dead: [refused([[0, 1]])], release: false })]);
      await outbox.purge(['purged']);
      const again = await claimOne(outbox);
      assert.equal(again.eventId, 'a');
      const none = [
        a,
        buried,
        purged,
        { ...b, token: again.token },
        { ...b, token: b.token + 0.5 },
        { ...b, eventId: 'unheard-of' },
        { ...b, eventId: 'b\0' },
        { ...b, eventId: 'free' },
      ];
      const expected = [...none.map(() => null), event('b').body, event('a').body];
      assert.deepEqual(await outbox.bodies([...none, b, again]), expected);
    });

    it('gives none of a claim of before a restart, and rejects behind the end', async () => {
      const { outbox, fixture } = subject;
      await outbox.put([event('a')]);
      const former = await claimOne(outbox);
      await fixture.reopen();
      assert.deepEqual(await subject.outbox.bodies([former]), [null]);
      const now = await claimOne(subject.outbox);
      assert.deepEqual(await subject.outbox.bodies([former, now]), [null, event('a').body]);
      await subject.outbox.close();
      await assert.rejects(subject.outbox.bodies([now]), isUnavailable);
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
      assert.deepEqual(again.pending, [
        [2, 4],
        [5, 8],
      ]);
      assert.notEqual(again.token, claimed.token);
      assert.equal(again.rowCount, 10);
      assert.equal(again.mappedBytes, 1_000);
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
      assert.deepEqual(again.pending, [[0, 2]]);
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
      assert.deepEqual(rest.pending, [[2, 3]]);
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
      assert.deepEqual(now.pending, [[3, 5]]);
      assert.deepEqual(await subject.outbox.settle([settlement(former, { delivered: [[3, 5]] })]), ['stale']);
      assert.deepEqual(await subject.outbox.settle([delivered(now)]), ['applied']);
    });
  });
}
