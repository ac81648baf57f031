import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settlementOf } from '../../src/delivery/claim.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { requestKind } from '../../src/kinds/request.ts';
import { type Claimed, OutboxUnavailableError } from '../../src/outbox/port.ts';
import type { Store } from '../../src/outbox/store.ts';
import { requestColumns, requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';
import { advanceUntil, FLUSH_MS, requestEvent, startDelivery, units } from './harness.ts';

test('a row waits for company for FLUSH_INTERVAL_MS, then all go in one call', async (t) => {
  const f = await startDelivery(t);
  await f.send(requestEvent('r-1'));
  f.clock.advance(FLUSH_MS - 1);
  await f.send(requestEvent('r-2'));
  await f.send(requestEvent('r-3'));
  assert.equal(f.calls().length, 0);
  f.clock.advance(1);
  await eventually(async () => (await f.waiting()) === 0);
  assert.deepEqual(
    f.calls().map(({ rowCount }) => rowCount),
    [3],
  );
});

test('a full call goes at once, without the clock moving', async (t) => {
  const f = await startDelivery(t);
  await f.send(requestEvent('r-1', { ...units(1000), justification: 'x'.repeat(1000) }));
  await eventually(() => f.calls().length >= 2);
  await eventually(async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 1000);
});

test('no call is over 950,000 bytes, and every row of 10,000 arrives once', async (t) => {
  const f = await startDelivery(t);
  const received = await f.send(requestEvent('r-1', units(10_000)));
  assert.equal(received.outcome, 'accepted');
  await eventually(async () => (await f.waiting()) === 0);
  assert.ok(f.calls().every(({ decompressedBytes }) => (decompressedBytes ?? 0) <= 950_000));
  assert.ok(
    f.calls().some(({ decompressedBytes }) => (decompressedBytes ?? 0) > 900_000),
    'calls are filled',
  );
  assert.deepEqual(
    f
      .rows()
      .map((row) => Number(row['access_unit_index']))
      .sort((a, b) => a - b),
    Array.from({ length: 10_000 }, (_, i) => i),
  );
});

test('with a backlog up to four calls are under way at once, while Azure fails only one', async (t) => {
  const f = await startDelivery(t, { autoStart: false });
  for (let i = 0; i < 8; i++) await f.send(requestEvent(`r-${i}`, { ...units(500), justification: 'x'.repeat(900) }));
  f.emulator.plan({ target: 'ingest', answer: { type: 'hang' }, times: 4 });
  f.delivery.start();
  await f.emulator.waitFor(() => f.calls().length === 4);
  assert.equal(f.uploads.length, 0, 'all four are under way');
  f.clock.advance(30_000);
  await eventually(() => f.retries.length === 1);
  f.emulator.plan({ target: 'ingest', answer: { type: 'hang' }, times: 4 });
  const before = f.calls().length;
  await advanceUntil(f, 250, () => f.calls().length > before);
  f.clock.advance(30_000);
  await eventually(() => f.retries.length === 2);
  assert.equal(f.calls().length, before + 1);
  f.emulator.clearPlan();
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.equal(new Set(f.rows().map((row) => row['row_id'])).size, 4_000);
});

test('ranges that were delivered before a setback are not sent again', async (t) => {
  const f = await startDelivery(t);
  const isLate = (row: Readonly<Record<string, unknown>>) => Number(row['access_unit_index']) >= 5_000;
  f.emulator.plan({ target: 'ingest', times: 3, matchesRow: isLate, answer: { type: 'status', status: 503 } });
  await f.send(requestEvent('r-1', units(9_000)));
  await eventually(() => f.retries.length > 0);
  const delivered = f.rows().length;
  assert.ok(delivered > 0 && delivered < 9_000);
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 9_000, 'none twice');
});

test('a hold of one stream leaves the others going, and their rows never share a call', async (t) => {
  const other: WebhookKind = {
    ...requestKind,
    name: 'other',
    signs: [{ evidence: 'own_fields', type: /^OtherEvent$/ }],
  };
  const f = await startDelivery(t, {
    kinds: [requestKind, other],
    streams: { request: requestStream, other: 'Custom-Other_CL' },
    emulator: { streams: { [requestStream]: requestColumns, 'Custom-Other_CL': requestColumns } },
  });
  f.emulator.plan({
    target: 'ingest',
    stream: requestStream,
    times: 'forever',
    answer: { type: 'status', status: 403 },
  });
  const otherEvent = (id: string) => requestEvent(id).replace('RequestGranted', 'OtherEvent');
  await f.send(requestEvent('r-1'));
  await f.send(otherEvent('o-1'));
  await advanceUntil(f, 100, () => f.delivery.holds().length === 1 && f.rows('Custom-Other_CL').length === 1);
  await f.send(otherEvent('o-2'));
  await advanceUntil(f, 100, () => f.rows('Custom-Other_CL').length === 2);
  assert.equal(f.delivery.holds()[0]?.stream, requestStream);
  assert.equal((await f.stats()).waiting['request']?.count, 1);
  f.emulator.clearPlan();
  await advanceUntil(f, 1_000, () => f.rows().length === 1);
});

test('an event whose rows cannot be made is kept in quarantine, and those of others are sent', async (t) => {
  const broken: WebhookKind = {
    ...requestKind,
    columns(event) {
      if (JSON.stringify(event.value).includes('"break-me"')) throw new TypeError('defect');
      return requestKind.columns(event);
    },
  };
  const f = await startDelivery(t, { kinds: [broken] });
  await f.send(requestEvent('r-1'));
  const refused = await f.send(requestEvent('break-me', units(5)));
  assert.ok(refused.outcome === 'quarantined' && refused.code === 'mapping_failed');
  await f.sendAndFlush(requestEvent('r-2'));
  await eventually(async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 2);
  const { dead, quarantined } = await f.stats();
  assert.deepEqual([dead.count, quarantined.count], [0, 1]);
  const line = f.logLines.find(({ msg }) => msg === 'mapping failed');
  assert.deepEqual([line?.['kind'], line?.['error']], ['request', 'TypeError']);
});

test('a row that no call can hold is a dead letter, the rest of its event is delivered', async (t) => {
  const fillers = Array.from({ length: 20 }, (_, index) => `filler_${index}`);
  const filled = (count: number) =>
    Object.fromEntries(fillers.slice(0, count).map((name) => [name, 'x'.repeat(65_536)]));
  // Of the second row over the 1,048,576 bytes that Azure takes; of the third below them, though nothing else is joined to it.
  const large = [null, filled(20), filled(15)];
  const { table } = requestKind;
  const huge: WebhookKind = {
    ...requestKind,
    table: {
      ...table,
      columns: [...table.columns, ...fillers.map((name) => ({ name, type: 'string' as const, description: name }))],
    },
    columns(event) {
      const { rows = [], ...columns } = requestKind.columns(event);
      return {
        ...columns,
        rows: rows.map((row, index) => (invalid) => ({ ...row(invalid), ...large[index] })),
      };
    },
  };
  const f = await startDelivery(t, { kinds: [huge] });
  await f.sendAndFlush(requestEvent('r-1', units(3)));
  await eventually(async () => (await f.waiting()) === 0);
  // Two calls that are under way at once, in either order.
  assert.deepEqual(new Set(f.rows().map((row) => row['access_unit_index'])), new Set([0, 2]));
  assert.deepEqual(
    f.buried.map(({ rows, code }) => [rows, code]),
    [[1, 'row_too_large']],
  );
});

test('stopping finishes the call that is under way and gives back what was not sent', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan({ target: 'ingest', answer: { type: 'pass', delayMs: 200 } });
  await f.sendAndFlush(requestEvent('r-1'));
  await f.emulator.waitFor(() => f.calls().length === 1);
  await f.delivery.stop(new AbortController().signal);
  assert.equal(f.rows().length, 1);
  assert.equal(await f.waiting(), 0);
});

test('a hold that the last call brings is not told of after the stop', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 403, delayMs: 200 } });
  await f.sendAndFlush(requestEvent('r-1'));
  await f.emulator.waitFor(() => f.calls().length === 1);
  await f.delivery.stop(new AbortController().signal);
  assert.equal(f.holds.length, 1);
  f.clock.advance(60_000);
  assert.deepEqual(f.reminders, []);
});

test('stopping without time gives back the call that is under way', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
  await f.sendAndFlush(requestEvent('r-1'));
  await f.emulator.waitFor(() => f.calls().length === 1);
  const abort = new AbortController();
  const stopped = f.delivery.stop(abort.signal);
  abort.abort();
  await stopped;
  assert.equal(await f.waiting(), 1);
});

test('the same event sent twice makes one set of rows', async (t) => {
  const f = await startDelivery(t);
  const body = requestEvent('r-1', units(3));
  await f.sendAndFlush(body);
  await eventually(async () => (await f.waiting()) === 0);
  const again = await f.sendAndFlush(body);
  assert.ok(again.outcome === 'accepted' && again.events[0]?.duplicate);
  assert.equal(await f.waiting(), 0);
  assert.equal(f.rows().length, 3);
  assert.equal(f.calls().length, 1);
});

test('of an event that is purged while it is sent, no further call goes out', async (t) => {
  const azureClock = manualClock(Date.now());
  const f = await startDelivery(t, { emulator: { clock: azureClock } });
  const answer = { type: 'status', status: 204, processed: true, delayMs: 300 } as const;
  f.emulator.plan({ target: 'ingest', times: 4, answer });
  const received = await f.send(requestEvent('r-1', units(9_000)));
  assert.ok(received.outcome === 'accepted');
  await eventually(() => azureClock.timerCount === 4);
  await f.outbox.purge(received.events.map(({ eventId }) => eventId));
  azureClock.advance(300);
  await f.send(requestEvent('r-2'));
  await advanceUntil(f, FLUSH_MS, () => f.rows().some((row) => row['request_id'] === 'r-2'));
  assert.equal(f.calls().length, 5);
});

/** `act` is done once, with the first claim that is not empty. */
function atFirstClaim(act: (outbox: Store, claimed: Claimed) => Promise<unknown>) {
  let isDone = false;
  return async (outbox: Store, claimed: Claimed): Promise<void> => {
    if (isDone || claimed.events.length === 0) return;
    isDone = true;
    await act(outbox, claimed);
  };
}

test('an event that is purged after its claim is no dead letter, and others are sent once', async (t) => {
  const purgeFirst = atFirstClaim((outbox, { events }) => outbox.purge(events.slice(0, 1).map((each) => each.eventId)));
  const f = await startDelivery(t, { autoStart: false, afterClaim: purgeFirst });
  for (const id of ['r-1', 'r-2', 'r-3']) await f.send(requestEvent(id, units(100)));
  f.delivery.start();
  await eventually(async () => (await f.waiting()) === 0);
  const sent = Map.groupBy(f.rows(), (row) => row['request_id']);
  assert.deepEqual([sent.get('r-2')?.length, sent.get('r-3')?.length], [100, 100]);
  assert.deepEqual([f.buried, (await f.stats()).dead.count], [[], 0]);
});

test('when the outbox fails in a claim, all is given back and sent once', async (t) => {
  const f = await startDelivery(t, {
    autoStart: false,
    afterClaim: atFirstClaim(async (outbox, { events }) => {
      // As when its thread dies: whatever was claimed is free again.
      await outbox.settle(
        events.map(({ eventId, token }) => ({ eventId, token, delivered: [], dead: [], release: true })),
      );
      throw new OutboxUnavailableError('the thread of the outbox died');
    }),
  });
  for (const id of ['r-1', 'r-2']) await f.send(requestEvent(id, units(100)));
  f.delivery.start();
  await advanceUntil(f, FLUSH_MS, async () => f.rows().length > 0 && (await f.waiting()) === 0);
  const keys = f.rows().map((row) => `${row['request_id']} ${row['resource_id']}`);
  assert.deepEqual([keys.length, new Set(keys).size], [200, 200]);
  assert.ok(f.logLines.some((line) => line['msg'] === 'outbox failed' && line['operation'] === 'claim'));
  assert.deepEqual([f.buried, f.retries], [[], []]);
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

test('rows that another replica or a command gave back are found within five seconds', async (t) => {
  let claims = 0;
  const f = await startDelivery(t, { afterClaim: async () => void claims++ });
  await f.send(requestEvent('r-1'));
  const { events } = await f.outbox.claim({ kind: 'request', maxBytes: 1_000_000 });
  f.clock.advance(FLUSH_MS);
  await eventually(() => claims === 2 && f.clock.timerCount > 0);
  await f.outbox.settle(events.map((event) => settlementOf(event, { release: true })));
  f.clock.advance(5_000);
  await f.emulator.waitFor(() => f.rows().length === 1);
});

test('events of a kind whose stream is off: a hold from the start that says so every minute, until none waits', async (t) => {
  const f = await startDelivery(t, { autoStart: false, streams: { request: null } });
  const entry = (id: string) =>
    ({
      type: 'event',
      eventId: id,
      kind: 'request',
      receivedAt: f.clock.now(),
      feed: null,
      shared: '{"event_type":"Granted"}',
      own: `{"row_id":"${id}-0"}`,
      rowCount: 1,
      mappedBytes: 500,
    }) as const;
  await f.outbox.put([entry('e-1'), entry('e-2')]);
  f.delivery.start();
  await eventually(() => f.holds.length === 1);
  const [hold] = f.delivery.holds();
  assert.deepEqual([hold?.kind, hold?.code, hold?.stream], ['request', 'stream_off', 'off']);
  assert.match(hold?.reason ?? '', /LOGS_INGESTION_STREAM is off.* 2 events of the kind request/);
  assert.match(hold?.fix ?? '', /Set LOGS_INGESTION_STREAM .*outbox purge --all --state held --kind request/);
  const line = f.logLines.find(({ level }) => Number(level) >= 50);
  assert.deepEqual([line?.['msg'], line?.['code'], line?.['fix']], ['delivery on hold', 'stream_off', hold?.fix]);
  await advanceUntil(f, 1_000, () => f.reminders.length === 2);
  await f.outbox.purge(['e-1', 'e-2']);
  await advanceUntil(f, 1_000, () => f.delivery.holds().length === 0);
  assert.equal(f.ended.length, 1);
  // As a replay of dead letters would.
  await f.outbox.put([entry('e-3')]);
  f.delivery.notify('request', 500);
  await eventually(() => f.holds.length === 2);
  assert.match(f.delivery.holds()[0]?.reason ?? '', /1 event of the kind request waits/);
  assert.equal(f.calls().length, 0);
});
