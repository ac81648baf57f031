import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FullError } from '../../src/outbox/engine.ts';
import { createStore } from '../../src/outbox/store.ts';
import { isUnavailable } from './contract.ts';
import { event } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

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
