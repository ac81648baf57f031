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
  const outcomeOf = async ({ outbox }: SqliteFixture, id: string, rowCount = 1) => {
    // As long as ids are.
    const put = await outbox.put([event(id.padEnd(66, 'x'), { rowCount })]);
    return put.outcome === 'stored' && put.entries[0]?.duplicate === true ? 'duplicate' : put.outcome;
  };
  const deliver = async ({ outbox }: SqliteFixture) =>
    void (await outbox.settle((await claimAll(outbox)).map(delivered)));

  it('give way to events, the oldest first, and that is told', async () => {
    const fixture = await openSqliteFixture({ maxBytes });
    try {
      for (let n = 0; n < 1_500; n++) {
        fixture.clock.advance(1_000);
        assert.equal(await outcomeOf(fixture, `e${n}`), 'stored', `${n}`);
        await deliver(fixture);
      }
      assert.equal(await outcomeOf(fixture, 'e1499'), 'duplicate');
      assert.equal(await outcomeOf(fixture, 'e0'), 'stored');
      const told = fixture.events.find((one) => one.type === 'trouble' && one.operation === 'prune');
      assert.match(told?.type === 'trouble' ? told.reason : '', /OUTBOX_MAX_BYTES .* 500 identities .* DEDUP_DAYS/);
    } finally {
      await fixture.cleanup();
    }
  });

  it('give way to a look at the state, since nobody sends to a service that says that it is full', async () => {
    const fixture = await openSqliteFixture({ maxBytes });
    try {
      for (let n = 0; n < 3_000; n++) {
        assert.equal(await outcomeOf(fixture, `e${n}`), 'stored');
        await deliver(fixture);
        assert.equal((await fixture.outbox.stats()).writable, true, `${n}`);
        if (fixture.events.some((one) => one.type === 'trouble')) return;
      }
      assert.fail('nothing was forgotten');
    } finally {
      await fixture.cleanup();
    }
  });

  it('stay where it is events that fill it: what is known is a duplicate, and no event has room', async () => {
    const fixture = await openSqliteFixture({ maxBytes });
    try {
      await outcomeOf(fixture, 'known');
      await deliver(fixture);
      let filled = 0;
      while ((await outcomeOf(fixture, `w${filled}`, 50)) === 'stored') filled++;
      assert.ok(filled > 10);
      assert.equal(await outcomeOf(fixture, 'known'), 'duplicate');
      assert.equal(await outcomeOf(fixture, 'new', 50), 'full');
      assert.ok(!fixture.events.some((one) => one.type === 'trouble'));
    } finally {
      await fixture.cleanup();
    }
  });
});
