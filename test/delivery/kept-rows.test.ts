import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeptRows, type FreshEvent } from '../../src/delivery/kept-rows.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { requestKind } from '../../src/kinds/request/kind.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';
import { advanceUntil, requestEvent, startDelivery, units } from './harness.ts';

const MIB = 1024 * 1024;

const event = (eventId: string, bytes = 2, receivedAt = 0): FreshEvent & { rows: object } => ({
  eventId,
  meta: { receivedAt },
  rows: [{ json: '{}', bytes }],
});

test('gives the rows of an event once', () => {
  const kept = createKeptRows(manualClock());
  const one = event('a');
  kept.keep(one);
  kept.keep(event('b'));
  assert.equal(kept.take(one), one.rows);
  assert.equal(kept.take(one), null);
  assert.equal(kept.take(event('c')), null);
});

test('has none of an event that is not the very one that was stored', () => {
  const kept = createKeptRows(manualClock());
  kept.keep(event('a', 2, 1_000));
  assert.equal(kept.take(event('a', 2, 2_000)), null);
});

test('keeps 16 MiB, and more again when some were taken', () => {
  const kept = createKeptRows(manualClock());
  for (let n = 0; n < 20; n++) kept.keep(event(`e${n}`, MIB));
  assert.equal(kept.take(event('e16')), null);
  assert.notEqual(kept.take(event('e0')), null);
  kept.keep(event('late', MIB));
  kept.keep(event('later', MIB));
  assert.notEqual(kept.take(event('late')), null);
  assert.equal(kept.take(event('later')), null);
});

test('forgets within a minute what nobody asks for, also when nothing more comes', () => {
  const clock = manualClock();
  const kept = createKeptRows(clock);
  kept.keep(event('early'));
  clock.advance(29_999);
  kept.keep(event('late', 16 * MIB - 2));
  clock.advance(1);
  kept.keep(event('too much'));
  assert.equal(kept.take(event('too much')), null);
  clock.advance(29_999);
  assert.notEqual(kept.take(event('early')), null);
  clock.advance(1);
  assert.equal(kept.take(event('late')), null);
  assert.equal(clock.timerCount, 0);
  kept.keep(event('has room', 16 * MIB));
  assert.notEqual(kept.take(event('has room')), null);
});

test('when it is closed it has nothing, and no timer', () => {
  const clock = manualClock();
  const kept = createKeptRows(clock);
  kept.keep(event('a'));
  clock.advance(30_000);
  kept.keep(event('b'));
  kept.close();
  kept.keep(event('late'));
  assert.equal(clock.timerCount, 0);
  assert.equal(kept.take(event('late')), null);
  assert.equal(kept.take(event('a')) ?? kept.take(event('b')), null);
});

/** requestKind, and of which events it was asked to plan the rows. */
function countingKind(): { kind: WebhookKind; planned: string[] } {
  const planned: string[] = [];
  const kind: WebhookKind = {
    ...requestKind,
    plan(decoded) {
      planned.push(JSON.stringify(decoded.value).includes('small') ? 'small' : 'large');
      return requestKind.plan(decoded);
    },
  };
  return { kind, planned };
}

test('the rows of an event are made once, those of a large one again', async (t) => {
  const { kind, planned } = countingKind();
  const f = await startDelivery(t, { kinds: [kind] });
  await f.send(requestEvent('small', units(2)));
  await f.sendAndFlush(requestEvent('large', units(200)));
  await eventually(async () => (await f.waiting()) === 0);
  assert.deepEqual(planned, ['small', 'large', 'large']);
  assert.equal(f.rows().length, 202);
});

test('of a list rows are kept up to a bound for the whole body', async (t) => {
  const { kind, planned } = countingKind();
  const f = await startDelivery(t, { kinds: [kind] });
  await f.sendAndFlush(`[${Array.from({ length: 100 }, (_, n) => requestEvent(`small-${n}`)).join(',')}]`);
  await eventually(async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 100);
  const kept = 200 - planned.length;
  // Each row has about 1.3 KB of 32.
  assert.ok(kept > 20 && kept < 30, `${kept} kept`);
});

test('what Azure did not take is made of the body, with the same rows', async (t) => {
  const { kind, planned } = countingKind();
  const f = await startDelivery(t, { kinds: [kind] });
  const sent: unknown[] = [];
  const isSeen = (row: object) => sent.push(row) > 0;
  f.emulator.plan({ target: 'ingest', times: 1, matchesRow: isSeen, answer: { type: 'status', status: 503 } });
  await f.sendAndFlush(requestEvent('small'));
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.deepEqual(planned, ['small', 'small']);
  assert.deepEqual(f.rows(), sent);
});

test('of a duplicate nothing is kept: the rows say when the first was received', async (t) => {
  const f = await startDelivery(t, { autoStart: false });
  const body = requestEvent('r-1');
  await f.send(body);
  const firstAt = f.clock.now();
  f.clock.advance(5_000);
  await f.send(body);
  f.delivery.start();
  await eventually(() => f.rows().length === 1);
  assert.equal(Date.parse(String(f.rows()[0]?.['received_at'])), firstAt);
});
