import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ListRequest, RecordSummary } from '../../src/outbox/records.ts';
import { claimAll, claimOne, ids, isUnavailable, type Subject, type TestStore } from './contract.ts';
import { delivered, event, quarantined, receivedAt, rowsOf, settlement, storedBytes } from './samples.ts';

const T = Date.UTC(2026, 0, 2);
const refused = (from: number, to: number, code = 'refused') => ({ rows: [[from, to]] as const, code, reason: code });

/** The ids of every page. */
async function listAll(outbox: TestStore, request: Omit<ListRequest, 'after'>): Promise<string[]> {
  const found: RecordSummary[] = [];
  let next: string | null = null;
  do {
    const page = await outbox.list({ ...request, ...(next !== null && { after: next }) });
    assert(page.records.length <= request.limit);
    assert(page.next === null || page.records.length === request.limit, 'only the last page is short');
    found.push(...page.records);
    next = page.next;
  } while (next !== null);
  return found.map(({ id }) => id);
}

/** Puts an event of some rows and buries `from` to `to`; the rows before them are delivered. */
async function bury(
  outbox: TestStore,
  id: string,
  [from, to]: readonly [number, number],
  rowCount = to,
): Promise<void> {
  await outbox.put([event(id, { rowCount })]);
  const claimed = (await claimAll(outbox)).find(({ eventId }) => eventId === id);
  assert(claimed !== undefined);
  const before = from === 0 ? [] : ([[0, from]] as const);
  await outbox.settle([settlement(claimed, { delivered: before, dead: [refused(from, to)] })]);
}

const isDuplicate = async (outbox: TestStore, id: string): Promise<boolean> => {
  const put = await outbox.put([event(id)]);
  assert(put.outcome === 'stored');
  return put.entries[0]?.duplicate ?? assert.fail();
};

export function operatorContract(subject: Subject): void {
  describe('list', () => {
    it('gives each record once, oldest first, over pages of any size, also within one millisecond', async () => {
      const { outbox } = subject;
      const times = [3, 1, 1, 1, 1, 2, 2, 0, 1];
      await outbox.put(times.map((t, n) => receivedAt(`e${n}`, T + t, { kind: n % 3 === 0 ? 'audit' : 'request' })));
      const expected = ['e7', 'e1', 'e2', 'e3', 'e4', 'e8', 'e5', 'e6', 'e0'];
      for (let limit = 1; limit <= 10; limit++) {
        assert.deepEqual(await listAll(outbox, { state: 'waiting', limit }), expected, `pages of ${limit}`);
        const requests = expected.filter((id) => !['e0', 'e3', 'e6'].includes(id));
        assert.deepEqual(await listAll(outbox, { state: 'waiting', kinds: ['request'], limit }), requests);
        assert.deepEqual(await listAll(outbox, { state: 'waiting', kinds: ['audit', 'request'], limit }), expected);
      }
      assert.deepEqual(await listAll(outbox, { state: 'waiting', kinds: ['unheard-of'], limit: 5 }), []);
      assert.deepEqual(await listAll(outbox, { state: 'waiting', kinds: [], limit: 5 }), []);
      assert.deepEqual(await listAll(outbox, { state: 'dead', limit: 5 }), []);
    });

    it('moves no record of a later page when others come and go', async () => {
      const { outbox } = subject;
      await outbox.put(Array.from({ length: 6 }, (_, n) => receivedAt(`e${n}`, T + n)));
      const first = await outbox.list({ state: 'waiting', limit: 2 });
      assert(first.next !== null);
      const claimed = await claimAll(outbox, { maxEvents: 3 });
      await outbox.settle(claimed.map(delivered));
      await outbox.put([receivedAt('older', T - 1), receivedAt('newer', T + 100)]);
      const second = await outbox.list({ state: 'waiting', limit: 10, after: first.next });
      assert.deepEqual(
        second.records.map(({ id }) => id),
        ['e3', 'e4', 'e5', 'newer'],
      );
    });

    it('says of each record what is known without its body', async () => {
      const { outbox } = subject;
      const entry = receivedAt('a', T, { rowCount: 5, note: 'ä' });
      await outbox.put([entry]);
      const claimed = await claimOne(outbox);
      const dead = [refused(1, 2, 'older'), refused(3, 5, 'newest')];
      await outbox.settle([settlement(claimed, { delivered: [[0, 1]], dead })]);
      const summary: RecordSummary = {
        id: 'a',
        kind: 'request',
        receivedAt: T,
        feed: null,
        rowCount: 5,
        pendingRows: 1,
        deadRows: 3,
        bodyBytes: storedBytes(entry),
        code: 'newest',
        reason: 'newest',
      };
      for (const state of ['dead', 'waiting'] as const) {
        assert.deepEqual(await outbox.list({ state, limit: 1 }), { records: [summary], next: null });
      }
      await outbox.put([quarantined('q', { body: new Uint8Array(7), receivedAt: T + 1, feed: 'f' })]);
      const { records } = await outbox.list({ state: 'quarantined', limit: 1_000 });
      assert.deepEqual(records, [
        {
          ...summary,
          id: 'q',
          kind: null,
          receivedAt: T + 1,
          feed: 'f',
          rowCount: 0,
          pendingRows: 0,
          deadRows: 0,
          bodyBytes: 7,
          code: 'body_not_json',
          reason: 'Unexpected token',
        },
      ]);
      assert.deepEqual(await listAll(outbox, { state: 'quarantined', kinds: ['request'], limit: 1 }), []);
    });

    it('rejects a page size, a state and a cursor that it does not know', async () => {
      const { outbox } = subject;
      await outbox.put([event('a'), event('b')]);
      const { next } = await outbox.list({ state: 'waiting', limit: 1 });
      assert(next !== null);
      for (const limit of [0, 1_001, 1.5, Number.NaN]) {
        await assert.rejects(outbox.list({ state: 'waiting', limit }), RangeError);
      }
      for (const after of ['', 'nonsense', `${next}x`, ` ${next}`, 'MS4y.', 'é']) {
        await assert.rejects(outbox.list({ state: 'waiting', limit: 1, after }), RangeError, JSON.stringify(after));
      }
      const unknown = JSON.parse('{"state":"constructor","limit":1}') as ListRequest;
      await assert.rejects(outbox.list(unknown), RangeError);
    });
  });

  describe('show', () => {
    it('shows an event whole, dead letters included', async () => {
      const { outbox, clock } = subject;
      const entry = event('a', { rowCount: 9, note: '日本語' });
      await outbox.put([entry]);
      const claimed = await claimOne(outbox);
      const first = clock.now();
      await outbox.settle([settlement(claimed, { dead: [refused(1, 2, 'one')], release: false })]);
      clock.advance(5);
      await outbox.settle([settlement(claimed, { delivered: [[0, 1]], dead: [refused(4, 6, 'two')] })]);
      const shown = await outbox.show('a');
      assert(shown !== null);
      const { body, type, charset, pending, deadLetters, ...summary } = shown;
      assert.deepEqual(
        [type, new TextDecoder().decode(body), charset, pending],
        [
          'event',
          `[${rowsOf(entry).join(',')}]`,
          null,
          [
            [2, 4],
            [6, 9],
          ],
        ],
      );
      assert.deepEqual(deadLetters, [
        { ...refused(1, 2, 'one'), buriedAt: first },
        { ...refused(4, 6, 'two'), buriedAt: first + 5 },
      ]);
      assert.deepEqual((await outbox.list({ state: 'dead', limit: 1 })).records, [summary]);
    });

    it('shows a quarantined body to the byte, and nothing of what is delivered or unknown', async () => {
      const { outbox } = subject;
      const bytes = Uint8Array.from({ length: 300 }, (_, n) => n % 256);
      await outbox.put([quarantined('q', { body: bytes, charset: 'latin1' }), event('done')]);
      await outbox.settle([delivered(await claimOne(outbox))]);
      const shown = await outbox.show('q');
      assert.deepEqual([shown?.type, shown?.pending, shown?.deadLetters], ['quarantine', [], []]);
      assert.deepEqual(new Uint8Array(shown?.body ?? []), bytes);
      assert.equal(shown?.charset, 'latin1');
      for (const id of ['done', 'unheard-of', '', "'; DROP TABLE events"])
        assert.equal(await outbox.show(id), null, id);
    });
  });

  describe('revive', () => {
    it('makes dead rows wait again, and only those, past deduplication and over a restart', async () => {
      const { outbox, fixture } = subject;
      await bury(outbox, 'a', [2, 5], 6);
      assert.equal(await isDuplicate(outbox, 'a'), true);
      assert.deepEqual(await outbox.revive(['unheard-of', 'a', 'a', '']), [0, 3, 0, 0]);
      await fixture.reopen();
      const again = await claimOne(subject.outbox);
      assert.deepEqual([again.eventId, again.ranges], ['a', [[2, 6]]]);
      const { dead, waiting } = await subject.outbox.stats();
      assert.deepEqual([dead.count, waiting['request']?.count], [0, 1]);
      await subject.outbox.settle([delivered(again)]);
      assert.equal(await subject.outbox.show('a'), null);
      assert.equal(await isDuplicate(subject.outbox, 'a'), true);
    });

    it('does nothing for an event that waits, was delivered, or lies in quarantine', async () => {
      const { outbox } = subject;
      await outbox.put([event('done')]);
      await outbox.settle([delivered(await claimOne(outbox))]);
      await outbox.put([event('waiting'), quarantined('q')]);
      assert.deepEqual(await outbox.revive(['done', 'waiting', 'q']), [0, 0, 0]);
      assert.deepEqual(await outbox.revive([]), []);
      assert.deepEqual(ids(await claimAll(outbox)), ['waiting']);
    });

    it('leaves a claim of the same event with the rows that it had', async () => {
      const { outbox } = subject;
      await bury(outbox, 'a', [0, 2], 6);
      const holder = await claimOne(outbox);
      assert.deepEqual(holder.ranges, [[2, 6]]);
      await outbox.settle([settlement(holder, { dead: [refused(2, 3)], release: false })]);
      assert.deepEqual(await outbox.revive(['a']), [3]);
      assert.deepEqual(await claimAll(outbox), [], 'it is still held');
      const late = settlement(holder, { delivered: [[0, 6]], release: false });
      assert.deepEqual(await outbox.settle([late]), ['applied']);
      assert.deepEqual((await claimOne(outbox)).ranges, [[0, 3]], 'rows that were not its own wait on');
    });

    it('revives once for many that ask at the same time', async () => {
      const { outbox } = subject;
      await bury(outbox, 'a', [0, 4]);
      const revived = await Promise.all(Array.from({ length: 10 }, () => outbox.revive(['a'])));
      assert.deepEqual(
        revived.flat().sort(),
        [4, ...new Array(9).fill(0)].sort((a, b) => a - b),
      );
    });
  });

  describe('purge', () => {
    it('deletes what waits, is dead or lies in quarantine, and keeps identities until they are pruned', async () => {
      const { outbox, fixture, clock } = subject;
      await bury(outbox, 'dead', [0, 1]);
      await outbox.put([event('waiting'), event('kept'), quarantined('q')]);
      const asked = ['dead', 'unheard-of', 'waiting', 'q', 'q'];
      assert.deepEqual(await outbox.purge(asked), [true, false, true, true, false]);
      await fixture.reopen();
      const again = subject.outbox;
      for (const id of ['dead', 'waiting', 'q']) assert.equal(await again.show(id), null);
      const { waiting, dead, quarantined: kept, bytes } = await again.stats();
      assert.deepEqual([waiting['request']?.count, dead.count, kept.count, bytes.quarantined], [1, 0, 0, 0]);
      assert.equal(await isDuplicate(again, 'dead'), true);
      assert.equal(await isDuplicate(again, 'waiting'), true);
      const put = await again.put([quarantined('q')]);
      assert(put.outcome === 'stored' && put.entries[0]?.duplicate === false, 'a quarantined body is no identity');
      clock.advance(1);
      assert.equal(await again.prune(clock.now()), 2);
      assert.equal(await isDuplicate(again, 'dead'), false);
      assert.equal(await isDuplicate(again, 'kept'), true);
    });

    it('makes the settlement of a claimed event stale', async () => {
      const { outbox } = subject;
      await outbox.put([event('a', { rowCount: 2 })]);
      const holder = await claimOne(outbox);
      assert.deepEqual(await outbox.purge(['a']), [true]);
      assert.deepEqual(await outbox.settle([settlement(holder, { delivered: [[0, 1]] })]), ['stale']);
      assert.deepEqual(await claimAll(outbox), []);
      assert.deepEqual(await outbox.purge(['a']), [false]);
    });
  });

  it('gone: says of an event that was delivered when, and of a purged one no such thing', async () => {
    const { outbox, clock } = subject;
    await outbox.put([receivedAt('v1aa', T, { rowCount: 3, feed: 'prod' }), event('v1ab'), event('v1ac'), event('v2')]);
    const claimed = await claimAll(outbox);
    assert.equal(await outbox.gone('v1aa'), null, 'it waits');
    clock.advance(5);
    await outbox.settle(claimed.filter(({ eventId }) => eventId === 'v1aa').map(delivered));
    const gone = { id: 'v1aa', kind: 'request', feed: 'prod', receivedAt: T, rowCount: 3 };
    const expected = { ...gone, goneAt: clock.now(), isDelivered: true };
    assert.deepEqual(await outbox.gone('v1aa'), expected);
    assert.deepEqual(await outbox.gone('v1'), expected, 'the others wait');
    await subject.fixture.reopen();
    assert.deepEqual(await subject.outbox.purge(['v1ab']), [true]);
    const { isDelivered } = (await subject.outbox.gone('v1ab')) ?? assert.fail();
    assert.equal(isDelivered, false);
    for (const start of ['v1a', 'v1ad', 'v1aaa', 'V1AA', '\0', ''])
      assert.equal(await subject.outbox.gone(start), null);
    clock.advance(1);
    await subject.outbox.prune(clock.now());
    assert.equal(await subject.outbox.gone('v1aa'), null, 'its identity was forgotten');
  });

  describe('put that resolves a quarantined body', () => {
    it('puts events in its place, once', async () => {
      const { outbox } = subject;
      await outbox.put([quarantined('q'), event('known')]);
      const replays = [1, 2].map(() => outbox.put([event('a'), event('known')], { resolves: 'q' }));
      const [first, second] = await Promise.all(replays);
      assert(first?.outcome === 'stored' && second?.outcome === 'stored');
      assert.deepEqual(
        first.entries.map(({ id, duplicate }) => [id, duplicate]),
        [
          ['a', false],
          ['known', true],
        ],
      );
      assert.deepEqual(second.entries, []);
      assert.equal((await outbox.stats()).quarantined.count, 0);
      assert.deepEqual(ids(await claimAll(outbox)).sort(), ['a', 'known']);
      const unknown = await outbox.put([event('b')], { resolves: 'unheard-of' });
      assert.deepEqual(unknown, { outcome: 'stored', entries: [] });
      assert.deepEqual(await claimAll(outbox), []);
    });

    it('leaves it where it is when there is no room for its events', async () => {
      const fixture = await subject.open({ maxBytes: 500_000 });
      try {
        await fixture.outbox.put([quarantined('q')]);
        const large = event('a', { rowBytes: 600_000 });
        assert.deepEqual(await fixture.outbox.put([large], { resolves: 'q' }), { outcome: 'full' });
        assert.equal((await fixture.outbox.show('q'))?.type, 'quarantine');
      } finally {
        await fixture.cleanup();
      }
    });
  });

  it('find counts the records whose id begins so, and names the first', async () => {
    const { outbox } = subject;
    await outbox.put(['v1aa', 'v1ab', 'v1ab0', 'v1', 'both', 'd%_'].map((id) => event(id)));
    await outbox.put([quarantined('q1aa'), quarantined('both'), quarantined('v1ac')]);
    await outbox.settle((await claimAll(outbox)).filter(({ eventId }) => eventId === 'v1aa').map(delivered));
    const cases: readonly (readonly [string, string | null, number])[] = [
      ['v1', 'v1', 4],
      ['v1a', 'v1ab', 3],
      ['v1ab', 'v1ab', 2],
      ['v1ab0', 'v1ab0', 1],
      ['v1aa', null, 0],
      ['q1a', 'q1aa', 1],
      ['bo', 'both', 1],
      ['d%', 'd%_', 1],
      ['d_', null, 0],
      ['V1', null, 0],
      ['\0', null, 0],
      ['\u{10ffff}', null, 0],
    ];
    for (const [start, first, count] of cases) assert.deepEqual(await outbox.find(start), { first, count }, start);
    assert.deepEqual(await outbox.purge(['v1ab']), [true]);
    assert.deepEqual(await outbox.find('v1ab'), { first: 'v1ab0', count: 1 });
  });

  it('rejects as unavailable what an operator asks of a closed outbox', async () => {
    const { outbox } = subject;
    await outbox.close();
    await assert.rejects(outbox.list({ state: 'dead', limit: 1 }), isUnavailable);
    await assert.rejects(outbox.show('a'), isUnavailable);
    await assert.rejects(outbox.find('a'), isUnavailable);
    await assert.rejects(outbox.revive(['a']), isUnavailable);
    await assert.rejects(outbox.purge(['a']), isUnavailable);
  });
}
