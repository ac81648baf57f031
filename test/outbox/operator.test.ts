import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { detailJson, pageJson, replayJson, statsJson } from '../../src/outbox/operator-json.ts';
import { createHeldList } from '../../src/outbox/operator-list.ts';
import { readDetail, readPage, readReplay, readStats } from '../../src/outbox/operator-read.ts';
import { event } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

describe('waiting and held', () => {
  it('share what waits between them, whatever the page size, also when a hold ends between two pages', async () => {
    const fixture = await openSqliteFixture();
    try {
      const ids = Array.from({ length: 60 }, (_, index) => `e-${String(index).padStart(2, '0')}`);
      const kindOf = (id: string): string => (Number(id.slice(2)) % 3 === 0 ? 'audit' : 'request');
      for (const id of ids) await fixture.outbox.put([event(id, { kind: kindOf(id) })]);
      let held = ['audit'];
      const list = createHeldList(fixture.outbox, () => held);
      const all = async (state: 'waiting' | 'held', limit: number, between = () => {}): Promise<string[]> => {
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page = await list({ state, limit, ...(after !== null && { after }) });
          assert.ok(page.records.length <= limit);
          seen.push(...page.records.map(({ id }) => id));
          after = page.next;
          between();
        } while (after !== null);
        return seen;
      };
      for (const limit of [1, 7, 1_000]) {
        held = ['audit'];
        assert.deepEqual(
          await all('held', limit),
          ids.filter((id) => kindOf(id) === 'audit'),
        );
        assert.deepEqual(
          await all('waiting', limit),
          ids.filter((id) => kindOf(id) !== 'audit'),
        );
      }
      held = ['audit'];
      const requests = ids.filter((id) => kindOf(id) === 'request');
      const seen = await all('waiting', 5, () => {
        held = [];
      });
      assert.deepEqual(
        seen.filter((id) => kindOf(id) === 'request'),
        requests,
        'none is skipped or twice',
      );
      assert.deepEqual(await all('held', 5), []);
      assert.deepEqual(await list({ state: 'held', kind: 'request', limit: 5 }), { records: [], next: null });
      held = ['audit'];
      assert.equal((await list({ state: 'held', kind: 'audit', limit: 1_000 })).records.length, 20);
      assert.deepEqual(await list({ state: 'waiting', kind: 'audit', limit: 5 }), { records: [], next: null });
    } finally {
      await fixture.cleanup();
    }
  });
});

const text = fc.string({ unit: 'binary' }).map((given) => given.toWellFormed());
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const timeMs = fc.integer({ min: 0, max: 4e12 });
const ranges = fc.array(fc.tuple(fc.nat(), fc.nat()));
const summary = {
  id: text,
  kind: orNull(text),
  receivedAt: timeMs,
  feed: orNull(text),
  rowCount: fc.nat(),
  pendingRows: fc.nat(),
  deadRows: fc.nat(),
  bodyBytes: fc.nat(),
  code: orNull(text),
  reason: orNull(text),
};
const count = fc.record({ count: fc.nat(), oldestReceivedAt: orNull(timeMs) });

describe('what an operator sees', () => {
  /** fast-check makes objects without a prototype. */
  const plain = <T>(value: T): T => structuredClone(value);
  const overTheWire = (json: unknown): unknown => JSON.parse(JSON.stringify(json));

  it('is read back as it was written', () => {
    const page = fc.record({ records: fc.array(fc.record(summary)), next: orNull(text) });
    fc.assert(fc.property(page, (given) => assert.deepEqual(readPage(overTheWire(pageJson(given))), plain(given))));
    const detail = fc
      .record({
        ...summary,
        type: fc.constantFrom('event' as const, 'quarantine' as const),
        body: fc.oneof(
          fc.uint8Array(),
          text.map((given) => new Uint8Array(Buffer.from(given))),
        ),
        form: orNull(fc.constantFrom('json' as const, 'template' as const, 'recipe' as const)),
        pending: ranges,
        deadLetters: fc.array(fc.record({ rows: ranges, code: text, reason: text, buriedAt: timeMs })),
      })
      .map(({ form, ...rest }) => {
        const { receivedAt, feed } = rest;
        return { ...rest, meta: form === null ? null : { receivedAt, feed, bodyForm: form } };
      });
    fc.assert(
      fc.property(detail, (given) => {
        const { body, ...rest } = readDetail(overTheWire(detailJson(given)));
        const { body: bodyGiven, ...restGiven } = given;
        assert.deepEqual([...body], [...bodyGiven]);
        assert.deepEqual(rest, plain(restGiven));
      }),
    );
    const hold = fc.record({
      kind: text,
      stream: text,
      since: count.map(({ oldestReceivedAt }) => oldestReceivedAt ?? 0),
      code: text,
      reason: text,
      fix: text,
      message: orNull(text),
      clientRequestId: orNull(text),
    });
    const stats = fc.record({
      waiting: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), count, { noNullPrototype: true }),
      dead: count,
      quarantined: count,
      bytes: fc.record({ waiting: fc.nat(), dead: fc.nat(), quarantined: fc.nat() }),
      holds: fc.array(hold),
      usedBytes: fc.nat(),
      maxBytes: fc.nat(),
      writable: fc.boolean(),
      problem: orNull(text),
    });
    fc.assert(fc.property(stats, (given) => assert.deepEqual(readStats(overTheWire(statsJson(given))), plain(given))));
    const result = fc.oneof(
      fc.record({ id: text, outcome: fc.constant('revived' as const), rows: fc.nat(), ranges }),
      fc.record({
        id: text,
        outcome: fc.constant('accepted' as const),
        events: fc.array(fc.record({ eventId: text, kind: text, rows: fc.nat(), duplicate: fc.boolean() })),
      }),
      fc.record({ id: text, outcome: fc.constant('still_refused' as const), code: text, detail: text }),
      fc.record({ id: text, outcome: fc.constantFrom('nothing_to_replay' as const, 'unavailable' as const) }),
    );
    fc.assert(
      fc.property(fc.array(result), (given) =>
        assert.deepEqual(readReplay(overTheWire({ results: given.map(replayJson) })), plain(given)),
      ),
    );
  });

  it('of something else throws a TypeError that quotes nothing', () => {
    fc.assert(
      fc.property(fc.constantFrom(readPage, readDetail, readStats, readReplay), fc.jsonValue(), (read, json) => {
        try {
          read(json);
        } catch (error) {
          assert.ok(error instanceof TypeError);
          assert.match(error.message, /^"[a-z_.]+" is missing or not what it should be$/);
          return;
        }
        assert.fail(`read ${JSON.stringify(json)}`);
      }),
    );
  });
});
