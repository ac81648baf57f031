import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { createHistory } from '../../src/http/history.ts';
import { manualClock } from '../support/manual-clock.ts';
import { accepted, event } from './edge.ts';

test('a history is read as it was written, and one with anything but numbers is none', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-history-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'history.json');
  const open = () => createHistory({ folder, stats: async () => null, clock: manualClock() });

  const first = open();
  const received = accepted([event({ rows: 3 })]);
  assert.ok(received.outcome === 'accepted');
  first.onAccepted(received);
  first.onDelivery({ type: 'delivered', kind: 'request', stream: 's', receivedAt: 0, rows: 3 });
  await first.stop();
  const good = readFileSync(file, 'utf8');
  const again = open();
  assert.deepEqual([again.lastAccepted(), again.lastDelivered()], [first.lastAccepted(), first.lastDelivered()]);
  assert.deepEqual(again.columns(), first.columns());
  await again.stop();

  const at = String(first.lastDelivered().get('request'));
  assert.ok(good.includes(at));
  for (const wrong of ['"x"', 'null', '{}', '1e300']) {
    writeFileSync(file, good.replaceAll(at, wrong));
    assert.deepEqual([...open().lastDelivered()], [], wrong);
    writeFileSync(file, good.replace('"accepted":3', `"accepted":${wrong}`));
    assert.ok(
      open()
        .columns()
        .rows_accepted.every((rows) => rows === null),
      wrong,
    );
  }
});
