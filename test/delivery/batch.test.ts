import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { batches, type LocalPlan } from '../../src/delivery/batch.ts';
import type { LoadedEvent } from '../../src/delivery/stream-claim.ts';

const event = (n: number): LoadedEvent => ({
  eventId: `v1-${n}`,
  kind: 'request',
  token: n,
  body: '{}',
  meta: { receivedAt: 0, bodyForm: 'json', feed: null },
  rowCount: 1,
  mappedBytes: 2,
  pending: [[0, 1]],
});

test('while the rows of many events are made, others get their turn', async () => {
  const plan = (): LocalPlan => {
    const endsAt = performance.now() + 1;
    while (performance.now() < endsAt);
    return { rows: () => [{ json: '{}', bytes: 2 }] };
  };
  let turns = 0;
  let isDone = false;
  const others = (async () => {
    for (; !isDone; turns++) await nextTurn();
  })();
  const items = await Array.fromAsync(
    batches(
      Array.from({ length: 100 }, (_, n) => event(n)),
      plan,
    ),
  );
  isDone = true;
  await others;
  assert.equal(items.length, 1);
  // 100 ms of work: once a millisecond or so.
  assert.ok(turns >= 30, `${turns} turns`);
});
