import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FullError } from '../../src/outbox/engine.ts';
import { createStore } from '../../src/outbox/store.ts';
import { claimAll, isUnavailable } from './contract.ts';
import { delivered, event } from './samples.ts';
import { openSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts';

describe('a disk that is full', () => {
  it('is still known after records of another outbox were added in vain, and until a write succeeds', async () => {
    const fixture = await openSqliteFixture();
    const { engine } = fixture.outbox;
    let isFull = true;
    const unlessFull = <T>(act: () => Promise<T>): Promise<T> =>
      isFull ? Promise.reject(new FullError('disk', 'database or disk is full')) : act();
    const store = createStore({
      engine: {
        ...engine,
        commit: (puts) => unlessFull(() => engine.commit(puts)),
        probe: () => unlessFull(() => engine.probe()),
      },
      clock: fixture.clock,
      maxBytes: 2 ** 30,
      onEvent: () => undefined,
    });
    const condition = async () => {
      const { writable, problem } = await store.stats();
      return { writable, problem };
    };
    const full = { writable: false, problem: 'database or disk is full' };
    try {
      assert.deepEqual(await store.put([event('a')]), { outcome: 'full' });
      assert.deepEqual(await condition(), full);
      const added = store.add([{ type: 'identity', eventId: 'old', storedAt: 1, deliveredAt: 2 }]);
      await assert.rejects(added, isUnavailable, 'it is not OUTBOX_MAX_BYTES that is reached');
      assert.deepEqual(await condition(), full);
      isFull = false;
      assert.deepEqual(await condition(), { writable: true, problem: null });
    } finally {
      await fixture.cleanup();
    }
  });
});

describe('identities that fill the outbox', () => {
  const maxBytes = 300_000;
  // As long as ids are.
  const entry = (id: string, rowCount = 1) => event(id.padEnd(66, 'x'), { rowCount });
  const isKnown = async ({ outbox }: SqliteFixture, id: string) => {
    const put = await outbox.put([entry(id)]);
    return put.outcome === 'stored' && put.entries.every(({ duplicate }) => duplicate);
  };
  const deliver = async ({ outbox, clock }: SqliteFixture, from: number) => {
    clock.advance(1_000);
    const { outcome } = await outbox.put(Array.from({ length: 25 }, (_, n) => entry(`e${from + n}`)));
    assert.equal(outcome, 'stored', `${from}`);
    await outbox.settle((await claimAll(outbox)).map(delivered));
  };
  const told = ({ events }: SqliteFixture) => events.flatMap((one) => (one.type === 'trouble' ? one.reason : []));

  it('give way to events, the oldest first, and that is told', async (t) => {
    const fixture = await openSqliteFixture({ maxBytes });
    t.after(() => fixture.cleanup());
    for (let n = 0; n < 1_500; n += 25) await deliver(fixture, n);
    assert.match(told(fixture)[0] ?? '', /OUTBOX_MAX_BYTES .* 500 identities .* DEDUP_DAYS/);
    assert.deepEqual([await isKnown(fixture, 'e1499'), await isKnown(fixture, 'e0')], [true, false]);
  });

  it('give way to a look at the state, since nobody sends to a service that says that it is full', async (t) => {
    const fixture = await openSqliteFixture({ maxBytes });
    t.after(() => fixture.cleanup());
    for (let n = 0; told(fixture).length === 0; n += 25) {
      assert.ok(n < 3_000, 'nothing was forgotten');
      await deliver(fixture, n);
      assert.equal((await fixture.outbox.stats()).writable, true, `${n}`);
    }
  });

  it('stay where it is events that fill it: what is known is a duplicate, and no event has room', async (t) => {
    const fixture = await openSqliteFixture({ maxBytes });
    t.after(() => fixture.cleanup());
    await deliver(fixture, 0);
    let filled = 0;
    while ((await fixture.outbox.put([entry(`w${filled}`, 50)])).outcome === 'stored') filled++;
    assert.ok(filled > 10);
    assert.equal(await isKnown(fixture, 'e0'), true);
    assert.deepEqual(await fixture.outbox.put([entry('new', 50)]), { outcome: 'full' });
    assert.deepEqual(told(fixture), []);
  });
});
