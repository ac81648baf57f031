import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { RequestRecord } from '../../src/http/exchange.ts';
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
  first.onDelivery({ type: 'delivered', kind: 'request', stream: 's', receivedAt: 0, action: 'Granted', rows: 3 });
  first.onSecret('the-secret-of-monday');
  await first.stop();
  const good = readFileSync(file, 'utf8');
  const again = open();
  assert.deepEqual([again.lastAccepted(), again.lastDelivered()], [first.lastAccepted(), first.lastDelivered()]);
  assert.deepEqual(again.columns(), first.columns());
  assert.ok(again.lastDelivered().has('request Granted'));
  await again.stop();

  const at = String(first.lastDelivered().get('request Granted'));
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

test('the last refusal is as old as it is, and not up to a minute older', async () => {
  const clock = manualClock(60_000 * 1_000);
  const history = createHistory({ folder: null, stats: async () => null, clock });
  const refusal = { route: 'webhook', code: 'secret_wrong', clientAddress: '203.0.113.1', quarantined: false } as const;
  for (const passed of [42_000, 3_000]) {
    clock.advance(passed);
    history.onRequest(refusal as RequestRecord);
  }
  assert.deepEqual(history.refusals(), [
    { code: 'secret_wrong', clientAddress: '203.0.113.1', count: 2, lastAt: 60_000 * 1_000 + 45_000 },
  ]);
  await history.stop();
});

test('of refusals with one code and address the last is the latest, kept in quarantine or not', () => {
  const clock = manualClock(60_000 * 1_000);
  const history = createHistory({ folder: null, stats: async () => null, clock });
  const refusal = { route: 'webhook', code: 'secret_wrong', clientAddress: '203.0.113.1' } as const;
  for (const quarantined of [false, true, false]) {
    clock.advance(10_000);
    history.onRequest({ ...refusal, quarantined } as RequestRecord);
  }
  assert.deepEqual(
    history.refusals().map(({ count, lastAt }) => ({ count, lastAt })),
    [{ count: 3, lastAt: clock.now() }],
  );
});

test('a webhook secret is in use since it was first seen, also over a restart, and nothing in the file helps to guess it', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-history-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = manualClock();
  const [monday, tuesday] = ['the-secret-of-monday', 'the-secret-of-tuesday'];
  const since = async (...secrets: readonly string[]): Promise<number> => {
    const history = createHistory({ folder, stats: async () => null, clock });
    for (const secret of secrets) history.onSecret(secret);
    await history.stop();
    return history.secretSince();
  };
  const first = clock.now();
  assert.equal(await since(monday), first);
  clock.advance(60_000);
  assert.equal(await since(monday, monday), first);
  assert.equal(await since(monday, tuesday), first + 60_000);
  const file = JSON.parse(readFileSync(path.join(folder, 'history.json'), 'utf8'));
  assert.ok(Number.isInteger(file.secret.mark) && file.secret.mark < 65_536);
  assert.deepEqual(Object.keys(file.secret), ['mark', 'since']);
});
