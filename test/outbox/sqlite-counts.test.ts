import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ClaimedEvent } from '../../src/outbox/port.ts';
import type { SqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { claimAll, claimOne } from './contract.ts';
import { delivered, event, quarantined, settlement } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

const RECOUNT = `
  SELECT 'waiting' AS state, kind, count(*) AS n, sum(body_bytes) AS bytes FROM events WHERE pending_rows > 0 GROUP BY kind
  UNION ALL SELECT 'dead', kind, count(*), sum(body_bytes) FROM events WHERE dead_rows > 0 GROUP BY kind
  UNION ALL SELECT 'quarantined', '', count(*), sum(length(body)) FROM quarantine HAVING count(*) > 0
  ORDER BY state, kind`;

/** The table that health checks read against what it counts. Another connection sees what is committed. */
function assertCounted(dataDir: string): void {
  const db = new DatabaseSync(join(dataDir, 'outbox.db'), { readOnly: true });
  try {
    const counted = db.prepare(
      'SELECT state, kind, n, bytes FROM counts WHERE n > 0 OR bytes <> 0 ORDER BY state, kind',
    );
    assert.deepEqual(counted.all(), db.prepare(RECOUNT).all());
    const alone = `SELECT count(*) AS n FROM event_bodies WHERE seq NOT IN (SELECT seq FROM events)
      UNION ALL SELECT count(*) FROM dead_letters WHERE seq NOT IN (SELECT seq FROM events)
      UNION ALL SELECT count(*) FROM events WHERE seq NOT IN (SELECT seq FROM event_bodies)
      UNION ALL SELECT count(*) FROM deliveries WHERE event_id NOT IN (SELECT event_id FROM identities)`;
    assert.deepEqual(
      db
        .prepare(alone)
        .all()
        .map(({ n }) => n),
      [0, 0, 0, 0],
      'nothing belongs to an event that is gone',
    );
  } finally {
    db.close();
  }
}

const LARGE = `"${'x'.repeat(200_000)}"`;

describe('SQLite outbox and its counts', { timeout: 300_000 }, () => {
  it('does not count what was taken back: a put that is too large, a call that the schema refuses', async () => {
    const fixture = await openSqliteFixture({ maxBytes: 300_000 });
    try {
      const { outbox, dataDir } = fixture;
      const bodyForm = null as unknown as 'json';
      const [small, tooLarge, again, refused, last] = await Promise.allSettled([
        outbox.put([event('small')]),
        outbox.put([event('with-large'), quarantined('q-with-large'), event('large', { body: `"${LARGE}${LARGE}"` })]),
        outbox.put([event('small'), event('with-large')]),
        outbox.put([event('with-refused'), event('refused', { meta: { receivedAt: 0, bodyForm, feed: null } })]),
        outbox.put([event('last', { kind: 'audit' })]),
      ]);
      const outcomeOf = (put: typeof small) => (put.status === 'fulfilled' ? put.value.outcome : put.reason.name);
      assert.deepEqual([small, tooLarge, again, refused, last].map(outcomeOf), [
        'stored',
        'full',
        'stored',
        'RangeError',
        'stored',
      ]);
      const { waiting, quarantined: kept, bytes } = await outbox.stats();
      assert.deepEqual([waiting['request']?.count, waiting['audit']?.count, kept.count], [2, 1, 0]);
      const bodies = ['small', 'with-large', 'last'].map((id) => event(id).body.length);
      assert.equal(
        bytes.waiting,
        bodies.reduce((sum, length) => sum + length, 0),
      );
      assertCounted(dataDir);
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
      assertCounted(dataDir);
      const rest = settlement(b, { delivered: [[1, 2]] });
      assert.deepEqual(await outbox.settle([rest, delivered(c), delivered(c)]), ['applied', 'applied', 'stale']);
      assert.deepEqual((await outbox.stats()).waiting, {});
      assertCounted(dataDir);
    } finally {
      await fixture.cleanup();
    }
  });

  it('does not take the event that has the number of another for that one', async () => {
    const fixture = await openSqliteFixture();
    try {
      await fixture.outbox.put([event('former')]);
      await fixture.outbox.settle([delivered(await claimOne(fixture.outbox))]);
      await fixture.reopen(); // numbers begin at 1 again, as nothing waits
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

  it('counts what there is after any history', async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
      const fixture = await openSqliteFixture({ maxBytes: 600_000 });
      try {
        const held: ClaimedEvent[] = [];
        for (const { numbers, act } of steps) {
          if (act === 'reopen') {
            held.length = 0;
            await fixture.reopen();
          } else {
            await STEPS[act](fixture.outbox, numbers, held);
          }
          assertCounted(fixture.dataDir);
        }
      } finally {
        await fixture.cleanup();
      }
    });
    await fc.assert(property, { numRuns: 20 });
  });
});

type Act = (outbox: SqliteOutbox, numbers: readonly number[], held: ClaimedEvent[]) => Promise<unknown>;

const entry = (n: number) => event(`e${n}`, { kind: n % 2 === 0 ? 'request' : 'audit', rowCount: (n % 3) + 1 });
const body = (n: number) => new Uint8Array(n * 100);

const STEPS = {
  /** Each in a call of its own, all in one turn. */
  put: (outbox, numbers) => Promise.all(numbers.map((n) => outbox.put([entry(n), entry(n + 1)]))),
  putLarge: (outbox, numbers) =>
    Promise.all(numbers.map((n) => outbox.put([entry(n), event(`large${n}`, { body: LARGE })]))),
  quarantine: (outbox, numbers) =>
    Promise.all(numbers.map((n) => outbox.put([quarantined(`q${n}`, { body: body(n) })]))),
  resolve: (outbox, numbers) =>
    Promise.all(numbers.map((n) => outbox.put([entry(n)], { resolves: `q${numbers[0] ?? n}` }))),
  async claim(outbox, numbers, held) {
    for (const kind of ['request', 'audit'])
      held.push(...(await claimAll(outbox, { kind, maxEvents: numbers.length + 1 })));
  },
  settle: (outbox, numbers, held) =>
    Promise.all(
      held.splice(0, numbers.length).map((claimed, index) => {
        const [from = 0, to = 1] = claimed.pending[0] ?? [];
        const rows = [[from, to - ((numbers[index] ?? 0) % 2)]].filter(([a = 0, b = 0]) => a < b) as [number, number][];
        const dead = [{ rows, code: 'refused', reason: 'no' }];
        return outbox.settle([settlement(claimed, (numbers[index] ?? 0) % 3 === 0 ? { dead } : { delivered: rows })]);
      }),
    ),
  revive: (outbox, numbers) => outbox.revive(numbers.map((n) => `e${n}`)),
  purge: (outbox, numbers) => outbox.purge(numbers.flatMap((n) => [`e${n}`, `q${n}`, `large${n}`])),
  takeAway: (outbox, numbers) => outbox.takeAway(numbers.map((n) => `e${n}`)),
  prune: (outbox) => outbox.prune(Number.MAX_SAFE_INTEGER),
  restore: (outbox, numbers) =>
    outbox.restore(
      numbers.flatMap((n) => [
        {
          type: 'event',
          entry: event(`e${n}`, { rowCount: 3 }),
          storedAt: n,
          pending: n % 2 === 0 ? [[1, 2]] : [],
          deadLetters: [{ rows: [[0, 1]], code: 'refused', reason: 'no', buriedAt: n }],
        },
        { type: 'quarantine', entry: quarantined(`q${n}`, { body: body(n) }), storedAt: n },
        { type: 'identity', eventId: `d${n}`, storedAt: n, deliveredAt: n },
      ]),
    ),
} as const satisfies Record<string, Act>;

const step = fc.record({
  act: fc.constantFrom(...(Object.keys(STEPS) as (keyof typeof STEPS)[]), 'reopen' as const),
  numbers: fc.array(fc.nat(12), { minLength: 1, maxLength: 6 }),
});
