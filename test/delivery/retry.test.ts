import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { requestEvent, startDelivery } from './harness.ts';

const resumed = (code: string | null) => [{ kind: 'request', stream: requestStream, code }];

test('an operator ends the wait of a hold: what waits is sent without the clock moving', async (t) => {
  const f = await startDelivery(t);
  assert.deepEqual(await f.delivery.retry(null), [], 'nothing waits after a setback');
  f.emulator.setPublisherRole(false);
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => f.delivery.holds().length === 1);
  await eventually(() => f.inFlight() === 0);
  const calls = f.calls().length;
  assert.deepEqual(await f.delivery.retry('audit'), [], 'another kind');
  assert.deepEqual(await f.delivery.retry('request'), resumed('role_missing'));
  await eventually(() => f.calls().length > calls);
  await eventually(() => f.inFlight() === 0);
  assert.equal(f.delivery.holds().length, 1, 'still without the role');
  f.emulator.setPublisherRole(true);
  assert.deepEqual(await f.delivery.retry(null), resumed('role_missing'));
  await eventually(async () => (await f.waiting()) === 0);
  assert.deepEqual([f.delivery.holds().length, f.rows().length, f.ended.length], [0, 1, 1]);
  assert.deepEqual(await f.delivery.retry(null), []);
});

test('an operator ends the pause that Azure asked for', async (t) => {
  const f = await startDelivery(t);
  const answer = { type: 'status', status: 429, headers: { 'retry-after': '600' } } as const;
  f.emulator.plan({ target: 'ingest', answer, times: 1 });
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => f.retries.length === 1);
  assert.deepEqual(await f.delivery.retry(null), resumed(null));
  await eventually(async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 1);
});
