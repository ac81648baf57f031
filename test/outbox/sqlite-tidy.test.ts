import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RowRange } from '../../src/ground/event.ts';
import type { ClaimedRows } from '../../src/outbox/engine.ts';
import type { StoredRecord } from '../../src/outbox/records.ts';
import { claimAll, claimOne, type TestStore } from './contract.ts';
import { delivered, event, quarantined, settlement, storedBytes } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

/** What no statement may leave behind, each with how many there are. Another connection sees what is committed. */
const LEFT_BEHIND = {
  'bodies without an event that is not delivered': `SELECT count(*) FROM bodies
    WHERE seq NOT IN (SELECT seq FROM events WHERE delivered_at IS NULL)`,
  'events that are not delivered, without a body': `SELECT count(*) FROM events
    WHERE delivered_at IS NULL AND seq NOT IN (SELECT seq FROM bodies)`,
  'dead letters of an event without dead rows': `SELECT count(*) FROM dead_letters
    WHERE seq NOT IN (SELECT seq FROM events WHERE dead_rows > 0)`,
  'events with dead rows and no dead letter': `SELECT count(*) FROM events
    WHERE dead_rows > 0 AND seq NOT IN (SELECT seq FROM dead_letters)`,
  'events that are delivered and have rows left, or the other way round': `SELECT count(*) FROM events
    WHERE (delivered_at IS NULL) = (pending_rows = 0 AND dead_rows = 0)`,
  'events whose size is not that of their body': `SELECT count(*) FROM events JOIN bodies USING (seq)
    WHERE body_bytes <> octet_length(shared) + octet_length(own)`,
  'rows of the probe': 'SELECT count(*) FROM write_probe',
} as const;

function assertTidy(dataDir: string): void {
  const db = new DatabaseSync(join(dataDir, 'outbox.db'), { readOnly: true });
  try {
    for (const [what, sql] of Object.entries(LEFT_BEHIND)) {
      assert.deepEqual(Object.values(db.prepare(sql).get() ?? {}), [0], what);
    }
  } finally {
    db.close();
  }
}

describe('SQLite outbox and what it leaves behind', { timeout: 300_000 }, () => {
  it('keeps nothing of what was taken back: a put that is too large, a call that the schema refuses', async () => {
    const fixture = await openSqliteFixture({ maxBytes: 300_000 });
    try {
      const { outbox, dataDir } = fixture;
      const feed = {} as unknown as string;
      const kind = null as unknown as string;
      const [small, tooLarge, again, refused, unbound, last] = await Promise.allSettled([
        outbox.put([event('small')]),
        outbox.put([event('with-large'), quarantined('q-with-large'), event('large', { rowBytes: 400_000 })]),
        outbox.put([event('small'), event('with-large')]),
        outbox.put([event('with-refused'), event('refused', { kind })]),
        outbox.put([event('with-unbound'), event('unbound', { feed })]),
        outbox.put([event('last', { kind: 'audit' })]),
      ]);
      const outcomeOf = (put: typeof small) => (put.status === 'fulfilled' ? put.value.outcome : put.reason.name);
      assert.deepEqual([small, tooLarge, again, refused, unbound, last].map(outcomeOf), [
        'stored',
        'full',
        'stored',
        'RangeError',
        'RangeError',
        'stored',
      ]);
      const { waiting, quarantined: kept, bytes } = await outbox.stats();
      assert.deepEqual([waiting['request']?.count, waiting['audit']?.count, kept.count], [2, 1, 0]);
      const sizes = [event('small'), event('with-large'), event('last', { kind: 'audit' })].map(storedBytes);
      assert.equal(
        bytes.waiting,
        sizes.reduce((sum, size) => sum + size, 0),
      );
      assertTidy(dataDir);
    } finally {
      await fixture.cleanup();
    }
  });

  it('applies each settlement of a turn once, also when one of them is wrong', async () => {
    const fixture = await openSqliteFixture();
    try {
      const { outbox, dataDir } = fixture;
      await outbox.put([event('a', { rowCount: 2 }), event('b', { rowCount: 2 }), event('c')]);
      const [a, b, c] = await claimAll(outbox);
      assert(a !== undefined && b !== undefined && c !== undefined);
      const dead = [{ rows: [[1, 2]] as const, code: 'refused', reason: 'no' }];
      const [first, wrong, last] = await Promise.allSettled([
        outbox.settle([settlement(a, { delivered: [[0, 1]], dead, release: false })]),
        outbox.settle([delivered(c), settlement(b, { delivered: [[0, 9]] })]),
        outbox.settle([settlement(b, { delivered: [[0, 1]], release: false })]),
      ]);
      assert.deepEqual([first.status, wrong.status, last.status], ['fulfilled', 'rejected', 'fulfilled']);
      assert.equal((await outbox.show('a'))?.deadLetters.length, 1);
      assert.deepEqual((await outbox.show('b'))?.pending, [[1, 2]]);
      assertTidy(dataDir);
      const rest = settlement(b, { delivered: [[1, 2]] });
      assert.deepEqual(await outbox.settle([rest, delivered(c), delivered(c)]), ['applied', 'applied', 'stale']);
      assert.deepEqual((await outbox.stats()).waiting, {});
      assertTidy(dataDir);
    } finally {
      await fixture.cleanup();
    }
  });

  it('finds nothing of an event that was delivered, also when its number is given anew', async () => {
    const fixture = await openSqliteFixture();
    try {
      await fixture.outbox.put([event('former')]);
      await fixture.outbox.settle([delivered(await claimOne(fixture.outbox))]);
      await fixture.outbox.prune(Number.MAX_SAFE_INTEGER); // numbers begin at 1 again, as nothing is there
      const { outbox } = fixture;
      await outbox.put([event('later')]);
      assert.equal(await outbox.show('former'), null);
      assert.deepEqual(await outbox.purge(['former']), [false]);
      assert.deepEqual(await outbox.revive(['former']), [0]);
      assert.equal((await outbox.show('later'))?.id, 'later');
    } finally {
      await fixture.cleanup();
    }
  });

  it('leaves nothing behind after any history', async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
      const fixture = await openSqliteFixture({ maxBytes: 600_000 });
      try {
        const held: ClaimedRows[] = [];
        for (const { numbers, act } of steps) {
          if (act === 'reopen') {
            held.length = 0;
            await fixture.reopen();
          } else {
            await STEPS[act](fixture.outbox, numbers, held);
          }
          assertTidy(fixture.dataDir);
        }
      } finally {
        await fixture.cleanup();
      }
    });
    await fc.assert(property, { numRuns: 20 });
  });
});

type Act = (outbox: TestStore, numbers: readonly number[], held: ClaimedRows[]) => Promise<unknown>;

const entry = (n: number) => event(`e${n}`, { kind: n % 2 === 0 ? 'request' : 'audit', rowCount: (n % 3) + 1 });
const body = (n: number) => new Uint8Array(n * 100);

const STEPS = {
  /** Each in a call of its own, all in one turn. */
  put: (outbox, numbers) => Promise.all(numbers.map((n) => outbox.put([entry(n), entry(n + 1)]))),
  putLarge: (outbox, numbers) =>
    Promise.all(numbers.map((n) => outbox.put([entry(n), event(`large${n}`, { rowBytes: 200_000 })]))),
  quarantine: (outbox, numbers) =>
    Promise.all(numbers.map((n) => outbox.put([quarantined(`q${n}`, { body: body(n) })]))),
  resolve: (outbox, numbers) =>
    Promise.all(numbers.map((n) => outbox.put([entry(n)], { resolves: `q${numbers[0] ?? n}` }))),
  async claim(outbox, numbers, held) {
    for (const kind of ['request', 'audit']) {
      held.push(...(await claimAll(outbox, { kind, maxEvents: numbers.length + 1 })));
    }
  },
  settle: (outbox, numbers, held) =>
    Promise.all(
      held.splice(0, numbers.length).map((claimed, index) => {
        const n = numbers[index] ?? 0;
        const [from = 0, to = 1] = claimed.ranges[0] ?? [];
        const end = to - (n % 2);
        const rows: RowRange[] = from < end ? [[from, end]] : [];
        const dead = rows.length > 0 ? [{ rows, code: 'refused', reason: 'no' }] : [];
        return outbox.settle([settlement(claimed, n % 3 === 0 ? { dead } : { delivered: rows })]);
      }),
    ),
  revive: (outbox, numbers) => outbox.revive(numbers.map((n) => `e${n}`)),
  purge: (outbox, numbers) => outbox.purge(numbers.flatMap((n) => [`e${n}`, `q${n}`, `large${n}`])),
  prune: (outbox) => outbox.prune(Number.MAX_SAFE_INTEGER),
  add: (outbox, numbers) =>
    outbox.add(
      numbers.flatMap((n): StoredRecord[] => [
        {
          ...event(`e${n}`, { rowCount: 3 }),
          storedAt: n,
          pending: n % 2 === 0 ? [[1, 2]] : [],
          deadLetters: [{ rows: [[0, 1]], code: 'refused', reason: 'no', buriedAt: n }],
        },
        { ...quarantined(`q${n}`, { body: body(n) }), storedAt: n },
        { type: 'identity', eventId: `d${n}`, storedAt: n, deliveredAt: n },
      ]),
    ),
} as const satisfies Record<string, Act>;

const step = fc.record({
  act: fc.constantFrom(...(Object.keys(STEPS) as (keyof typeof STEPS)[]), 'reopen' as const),
  numbers: fc.array(fc.nat(12), { minLength: 1, maxLength: 6 }),
});
