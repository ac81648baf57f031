import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { createUnderstand } from '../../src/intake/understand.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { createReceiver } from '../../src/outbox/receive.ts';
import { openSqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { manualClock } from '../support/manual-clock.ts';

async function open(t: TestContext) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-receive-'));
  const clock = manualClock();
  const log = pino({ level: 'silent' });
  const onFatal = (error: Error) => assert.fail(error);
  const outbox = await openSqliteOutbox({ dataDir, maxBytes: 1 << 30, clock, log, onFatal });
  t.after(async () => {
    await outbox.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const streams = { request: 'Custom-AponoAccessRequests_CL' };
  const receive = createReceiver({
    outbox,
    clock,
    understand: createUnderstand({ kinds, streams, escaping: 'auto', log }),
    onStored: () => {},
  });
  async function send(text: string): Promise<void> {
    const received = await receive({ bytes: Buffer.from(text), feed: null, kind: null });
    assert.equal(received.outcome, 'accepted');
  }
  return { outbox, send };
}

test('a claim is bounded by the bodies too, where unknown fields make them larger than their rows', async (t) => {
  const { outbox, send } = await open(t);
  for (const id of ['a', 'b', 'c']) {
    await send(JSON.stringify({ event_type: 'Granted', event_time: 1, data: { id }, unknown: 'x'.repeat(600_000) }));
  }
  const claimed = await outbox.claim({ kind: 'request', maxEvents: 100, maxMappedBytes: 950_000 });
  assert.equal(claimed.length, 1);
});

test('an event is stored as it came where that is JSON on one line, else as its JSON written anew', async (t) => {
  const { outbox, send } = await open(t);
  const oneLine = '{"event_type": "Granted", "event_time": 1.50, "data": {"id": "one \\u006cine"}} ';
  const laidOut = { event_type: 'Granted', event_time: 1, data: { id: 'laid out' } };
  const inList = { event_type: 'Granted', event_time: 1, data: { id: 'in a list' } };
  const decoded = '{"event_type":"Granted","event_time":"1","data":{"id":"a &amp; b"}}';
  await send(oneLine);
  await send(`\uFEFF${JSON.stringify(laidOut, null, 2)}`);
  await send(`[${JSON.stringify(inList)}]`);
  await send(decoded);
  const claimed = await outbox.claim({ kind: 'request', maxEvents: 100, maxMappedBytes: 950_000 });
  assert.deepEqual(await outbox.bodies(claimed), [
    oneLine,
    JSON.stringify(laidOut),
    JSON.stringify(inList),
    decoded.replace('&amp;', '&'),
  ]);
});
