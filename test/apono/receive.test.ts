import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { createReceiver } from '../../src/apono/receive.ts';
import { createUnderstand } from '../../src/apono/understand.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { openSqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { manualClock } from '../support/manual-clock.ts';

test('a claim is bounded by the bodies too, where unknown fields make them larger than their rows', async (t) => {
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
  for (const id of ['a', 'b', 'c']) {
    const event = { event_type: 'Granted', event_time: 1, data: { id }, unknown: 'x'.repeat(600_000) };
    const received = await receive({ bytes: Buffer.from(JSON.stringify(event)), feed: null, kind: null });
    assert.equal(received.outcome, 'accepted');
  }
  const claimed = await outbox.claim({ kind: 'request', maxEvents: 100, maxMappedBytes: 950_000 });
  assert.equal(claimed.length, 1);
});
