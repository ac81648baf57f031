import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Row } from '../../src/sentinel/row.ts';
import { eventually } from '../support/eventually.ts';
import { advanceUntil, type DeliveryFixture, requestEvent, startDelivery, units } from './harness.ts';

const refusal = {
  type: 'status',
  status: 400,
  body: { error: { code: 'BadRow', message: 'zoe@example.com is no datetime' } },
} as const;

/** Azure refuses a call that holds such a row. An empty call is taken. */
function refuse({ emulator }: DeliveryFixture, isBad: (row: Row) => boolean): void {
  emulator.clearPlan();
  emulator.plan({ target: 'ingest', times: 'forever', matchesRow: isBad, answer: refusal });
}

const all = () => true;
const named = (row: Row) => String(row['request_id']).startsWith('bad');
const codeOf = (f: DeliveryFixture) => f.delivery.holds()[0]?.code ?? null;
const idsOf = (f: DeliveryFixture) => f.rows().map((row) => String(row['request_id']));

test('Azure takes an empty list and no row: nothing is buried, one row at a time is tried, and all arrive once it takes them', async (t) => {
  const f = await startDelivery(t, { autoStart: false });
  refuse(f, all);
  for (let i = 0; i < 400; i++) await f.send(requestEvent(`r-${i}`));
  f.delivery.start();
  await eventually(() => codeOf(f) === 'rows_refused');
  const [hold] = f.holds;
  assert.match(hold?.reason ?? '', /empty list.*400 \(BadRow\)/);
  assert.match(hold?.fix ?? '', /DCRLogErrors/);
  assert.equal(hold?.message, 'zoe@example.com is no datetime');
  const first = f.calls().length;
  assert.ok(first <= 6, `${first} calls before the hold`);
  await advanceUntil(f, 1_000, () => f.reminders.length === 3);
  const probes = f.calls().slice(first);
  assert.ok(probes.length >= 3 && probes.every(({ rowCount }) => (rowCount ?? 9) <= 1), 'a row alone, or none');
  const tried = f.uploads.slice(first).filter(({ rows }) => rows === 1).length;
  assert.ok(tried <= 12, `${tried} rows within three minutes`);
  assert.deepEqual([await f.waiting(), f.buried.length, f.rows().length], [400, 0, 0]);
  const lines = f.logLines.filter(({ level }) => Number(level) >= 50);
  assert.equal(lines.length, 4, 'one line when it begins, and one each minute');
  assert.doesNotMatch(JSON.stringify(f.logLines), /zoe/);
  f.emulator.clearPlan();
  await advanceUntil(f, 5_000, async () => (await f.waiting()) === 0);
  await eventually(() => f.ended.length === 1);
  assert.deepEqual([f.rows().length, new Set(idsOf(f)).size, f.buried.length], [400, 400, 0]);
});

test('the only event of a stream is refused: it waits, loudly, and is buried when Azure takes another one', async (t) => {
  const f = await startDelivery(t);
  refuse(f, named);
  await f.sendAndFlush(requestEvent('bad'));
  await eventually(() => codeOf(f) === 'rows_refused');
  await advanceUntil(f, 1_000, () => f.reminders.length === 2);
  assert.deepEqual([await f.waiting(), f.buried.length, f.holds.length], [1, 0, 1]);
  await f.send(requestEvent('good'));
  await advanceUntil(f, 5_000, async () => (await f.waiting()) === 0);
  await eventually(() => f.delivery.holds().length === 0);
  assert.deepEqual(idsOf(f), ['good']);
  assert.deepEqual(
    f.buried.map(({ rows, code }) => [rows, code]),
    [[1, 'refused_by_azure']],
  );
});

test('a row that Azure took before the refusal is no contrast', async (t) => {
  const f = await startDelivery(t);
  await f.sendAndFlush(requestEvent('good'));
  await eventually(async () => (await f.waiting()) === 0);
  refuse(f, all);
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => codeOf(f) === 'rows_refused');
  assert.equal(f.buried.length, 0);
  f.emulator.clearPlan();
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.deepEqual([idsOf(f), f.buried.length], [['good', 'r-1'], 0]);
});

test('while another replica has the refused rows, the hold goes on', async (t) => {
  let emptyClaims = 0;
  const f = await startDelivery(t, {
    async afterClaim(_outbox, { events }) {
      if (events.length === 0) emptyClaims++;
    },
  });
  refuse(f, all);
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => codeOf(f) === 'rows_refused');
  const { events } = await f.outbox.claim({ kind: 'request', maxBytes: 1_000_000 });
  assert.equal(events.length, 1);
  const before = emptyClaims;
  await advanceUntil(f, 1_000, () => emptyClaims > before + 2);
  assert.deepEqual([codeOf(f), f.ended], ['rows_refused', []]);
  await f.outbox.settle(
    events.map(({ eventId, token }) => ({ eventId, token, delivered: [], dead: [], release: true })),
  );
  f.emulator.clearPlan();
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  await eventually(() => f.ended.length === 1);
});

test('refused rows among others, wherever they are: exactly they are buried, the others arrive once', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 4 })), { minLength: 2, maxLength: 8 }),
      async (events) => {
        fc.pre(events.some(([isBad]) => !isBad));
        const f = await startDelivery(t, { autoStart: false });
        refuse(f, named);
        for (const [index, [isBad, rows]] of events.entries()) {
          await f.send(requestEvent(`${isBad ? 'bad' : 'good'}-${index}`, units(rows)));
        }
        f.delivery.start();
        await advanceUntil(f, 500, async () => (await f.waiting()) === 0);
        await eventually(() => f.delivery.holds().length === 0);
        const rowsOf = (kind: boolean) => events.reduce((sum, [isBad, rows]) => sum + (isBad === kind ? rows : 0), 0);
        assert.equal(
          f.buried.reduce((sum, { rows }) => sum + rows, 0),
          rowsOf(true),
        );
        assert.equal(f.rows().length, rowsOf(false));
        assert.equal(new Set(f.rows().map((row) => row['row_id'])).size, rowsOf(false));
        await f.delivery.stop(AbortSignal.abort());
      },
    ),
    {
      numRuns: 8,
      examples: [
        // The samples of the call are bad, and of the last event one row was never refused alone.
        [
          [
            [true, 1],
            [false, 1],
            [true, 3],
          ],
        ],
      ],
    },
  );
});

test('a large event of refused rows at the head keeps nobody from being tried, and is buried after that', async (t) => {
  const f = await startDelivery(t, { autoStart: false });
  refuse(f, named);
  await f.send(requestEvent('bad', { ...units(300), justification: 'x'.repeat(12_000) }));
  f.delivery.start();
  await eventually(() => codeOf(f) === 'rows_refused');
  await f.send(requestEvent('good'));
  await advanceUntil(f, 5_000, () => idsOf(f).includes('good'));
  await advanceUntil(f, 500, async () => (await f.waiting()) === 0);
  assert.deepEqual([f.rows().length, f.buried.reduce((sum, { rows }) => sum + rows, 0)], [1, 300]);
});

test('Azure takes some events again and not the one at the head: the others are tried in turn', async (t) => {
  const f = await startDelivery(t, { autoStart: false });
  refuse(f, all);
  for (const id of ['bad', 'r-1', 'r-2', 'r-3']) await f.send(requestEvent(id));
  f.delivery.start();
  // Each was refused alone.
  await advanceUntil(f, 1_000, () => f.uploads.filter(({ rows }) => rows === 1).length >= 6);
  refuse(f, named);
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.deepEqual([idsOf(f).toSorted(), f.buried.length], [['r-1', 'r-2', 'r-3'], 1]);
});

test('a rule that refuses nearly everything: one row that it takes does not turn all others into dead letters', async (t) => {
  const f = await startDelivery(t, { autoStart: false });
  refuse(f, (row) => row['request_id'] !== 'lucky');
  for (let i = 0; i < 60; i++) await f.send(requestEvent(`r-${i}`));
  await f.send(requestEvent('lucky'));
  f.delivery.start();
  await eventually(() => codeOf(f) === 'rows_refused');
  assert.deepEqual(idsOf(f), ['lucky']);
  assert.equal(f.buried.length, 20);
  await advanceUntil(f, 1_000, () => f.reminders.length === 2);
  assert.equal(f.buried.length, 20);
  f.emulator.clearPlan();
  await advanceUntil(f, 5_000, async () => (await f.waiting()) === 0);
  assert.deepEqual([f.rows().length, f.buried.length], [41, 20]);
});

test('the hold ends when the refused events are purged', async (t) => {
  const f = await startDelivery(t);
  refuse(f, all);
  const received = await f.sendAndFlush(requestEvent('bad'));
  await eventually(() => codeOf(f) === 'rows_refused');
  assert.ok(received.outcome === 'accepted');
  await f.outbox.purge(received.events.map(({ eventId }) => eventId));
  await advanceUntil(f, 1_000, () => f.delivery.holds().length === 0);
  assert.equal(f.ended.length, 1);
});

test('a hold that turns out to be of another kind says so', async (t) => {
  const f = await startDelivery(t);
  refuse(f, all);
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => codeOf(f) === 'rows_refused');
  f.emulator.clearPlan();
  f.emulator.setPublisherRole(false);
  await advanceUntil(f, 1_000, () => codeOf(f) === 'role_missing');
  f.emulator.setPublisherRole(true);
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.deepEqual([f.rows().length, f.buried.length], [1, 0]);
});
