import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { advanceUntil, requestEvent, startDelivery } from './harness.ts';

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

test('an outage is told from its first answer to its end, with what Azure answers and when it is tried again', async (t) => {
  const f = await startDelivery(t);
  assert.deepEqual(f.delivery.retrying(), []);
  const body = { error: { code: 'ServiceUnavailable', message: 'zoe@example.com' } };
  f.emulator.plan({ target: 'ingest', answer: { type: 'status', status: 503, body }, times: 'forever' });
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => f.retries.length === 1);
  const since = f.clock.now();
  const [first] = f.delivery.retrying();
  assert.deepEqual([first?.kind, first?.stream, first?.since], ['request', requestStream, since]);
  assert.deepEqual([first?.answer, first?.nextTryAt], ['Azure answers 503 (ServiceUnavailable)', since + 1_000]);
  assert.doesNotMatch(JSON.stringify(first), /zoe/, 'Azure may quote a row');
  f.emulator.clearPlan();
  f.emulator.plan({ target: 'ingest', answer: { type: 'status', status: 429 }, times: 'forever' });
  await advanceUntil(f, 1_000, () => f.retries.length === 2);
  const [second] = f.delivery.retrying();
  assert.deepEqual([second?.since, second?.answer], [since, 'Azure answers 429']);
  f.emulator.clearPlan();
  f.emulator.setPublisherRole(false);
  await advanceUntil(f, 1_000, () => f.delivery.holds().length === 1);
  assert.deepEqual(f.delivery.retrying(), [], 'a hold says more');
  f.emulator.setPublisherRole(true);
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.deepEqual(f.delivery.retrying(), []);
});

test('nothing is said to be tried again once what waited was purged', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan({ target: 'ingest', answer: { type: 'status', status: 503 }, times: 'forever' });
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => f.retries.length === 1 && f.inFlight() === 0);
  assert.equal(f.delivery.retrying().length, 1);
  const { records } = await f.outbox.list({ state: 'waiting', limit: 1 });
  await f.outbox.purge(records.map(({ id }) => id));
  await advanceUntil(f, 1_000, () => f.delivery.retrying().length === 0);
});

test('a hold ends when nothing of its stream waits any more: it was purged, or another replica delivered it', async (t) => {
  const f = await startDelivery(t);
  f.emulator.setPublisherRole(false);
  for (const [held, isPurged] of [true, false].entries()) {
    await f.sendAndFlush(requestEvent(`r-${held}`));
    await eventually(() => f.holds.length === held + 1 && f.inFlight() === 0);
    const { events } = await f.outbox.claim({ kind: 'request', maxBytes: 1_000_000 });
    const settlement = { delivered: [], dead: [], release: true };
    const [{ eventId, token, ranges } = assert.fail('nothing waits')] = events;
    await f.outbox.settle([{ ...settlement, eventId, token, ...(!isPurged && { delivered: ranges }) }]);
    if (isPurged) await f.outbox.purge([eventId]);
    await advanceUntil(f, 1_000, () => f.delivery.holds().length === 0);
    assert.equal(f.ended.length, held + 1);
  }
});
