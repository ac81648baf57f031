import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import type { AcceptedEvent, Receive } from '../../src/outbox/port.ts';
import { manualClock } from '../support/manual-clock.ts';
import { openTestOutbox } from '../support/store.ts';
import { accepted, assertProblem, condition, event, heldReceiver, post, send, withEdge } from './edge.ts';

describe('an outbox that does not answer', () => {
  test('is 503 with Retry-After after 30 seconds, not before, and its late end is logged', async () => {
    const clock = manualClock();
    const held = heldReceiver();
    await withEdge({ clock, receive: held.receive }, async ({ port, logs }) => {
      let answered = false;
      const reply = post(port, '{}', { 'x-request-id': 'slow-1' }).finally(() => {
        answered = true;
      });
      await condition(() => held.waiting === 1);
      clock.advance(29_999);
      const other = post(port, '{}');
      await condition(() => held.waiting === 2);
      assert.equal(answered, false);
      clock.advance(1);
      assertProblem(await reply, 503, 'outbox_timeout');
      assert.match(String((await reply).headers['retry-after']), /^[1-9]/);
      held.release();
      assert.equal((await other).status, 200);
      const late = logs().filter((line) => line['outcome'] === 'accepted');
      assert.deepEqual(
        late.map((line) => [line['request_id'], line['event_id'], line['level']]),
        [['slow-1', 'v1-abc', 'warn']],
      );
      assert.equal(clock.timerCount, 0, 'no timer is left behind');
    });
  });

  test('holds its share of the memory for bodies until it is done with them', async () => {
    const clock = manualClock();
    const held = heldReceiver();
    const body = Buffer.alloc(100_000, 'x');
    await withEdge({ clock, receive: held.receive, limits: { maxInFlightBytes: 150_000 } }, async ({ port }) => {
      const first = post(port, body);
      await condition(() => held.waiting === 1);
      clock.advance(30_000);
      assertProblem(await first, 503, 'outbox_timeout');
      assertProblem(await post(port, body), 503, 'too_busy');
      held.release();
      const again = post(port, body);
      await condition(() => held.waiting === 1);
      held.release();
      assert.equal((await again).status, 200);
    });
  });

  test('and fails late is logged as an error, and the process goes on', async () => {
    const clock = manualClock();
    const attempt = Promise.withResolvers<never>();
    const receive: Receive = ({ bytes }) =>
      bytes.length === 1 ? attempt.promise : Promise.resolve(accepted([event()]));
    await withEdge({ clock, receive }, async ({ port, received, logs }) => {
      const reply = post(port, '1');
      await condition(() => received.length === 1);
      clock.advance(30_000);
      assertProblem(await reply, 503, 'outbox_timeout');
      attempt.reject(new TypeError('user@example.com'));
      assert.equal((await post(port, '{}')).status, 200);
      const errors = logs().filter(({ level }) => level === 'error');
      assert.deepEqual(
        errors.map(({ error }) => error),
        ['TypeError'],
      );
      assert.doesNotMatch(JSON.stringify(errors), /example\.com/);
    });
  });
});

test('a real outbox that is kept from committing: 503 in time, the event is stored all the same, and sent again it is a duplicate', async (t) => {
  const { outbox, dataDir } = await openTestOutbox(t);
  const { receive } = outbox;
  // The thread waits for this lock for 5 seconds, as it would for a disk.
  const blocker = new DatabaseSync(path.join(dataDir, 'outbox.db'));
  const webhook = '{"event_type":"RequestGranted","event_time":1763719200,"data":{"id":"stalled"}}';
  const stored: string[] = [];
  const onAccepted = (events: readonly AcceptedEvent[]) => void stored.push(...events.map(({ eventId }) => eventId));
  try {
    await withEdge({ receive, limits: { receiveTimeoutMs: 100 }, onAccepted }, async ({ port, logs }) => {
      blocker.exec('BEGIN IMMEDIATE');
      assertProblem(await post(port, webhook), 503, 'outbox_timeout');
      blocker.exec('ROLLBACK');
      await condition(() => logs().some((line) => line['outcome'] === 'accepted'));
      const { last_accepted: lastAccepted } = (await send(port, { method: 'GET', path: '/healthz' })).json;
      assert.equal(typeof lastAccepted, 'string', 'it counts as accepted');
      const again = await post(port, webhook);
      assert.deepEqual([again.status, again.json['duplicate']], [200, true]);
      assert.deepEqual(stored, Array(2).fill(again.json['event_id']));
    });
  } finally {
    blocker.close();
  }
});
