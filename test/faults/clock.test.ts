import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createFailureStore } from '../../src/http/authenticate.ts';
import { keepPruning } from '../../src/outbox/retention.ts';
import { advanceUntil, type DeliveryFixture, FLUSH_MS, requestEvent, startDelivery } from '../delivery/harness.ts';
import { claimAll } from '../outbox/contract.ts';
import { delivered, event } from '../outbox/samples.ts';
import { openSqliteFixture } from '../outbox/sqlite-fixture.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';
import { serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { DAY_MS, type TokenSource, type TwoClocks, tokensBy, twoClocks } from './support/jumping-clock.ts';
import { webhook } from './support/webhooks.ts';

const HOUR_MS = 3_600_000;
const directions = [
  ['forward', DAY_MS],
  ['back', -DAY_MS],
] as const;

function startWithTwoClocks(t: TestContext): Promise<DeliveryFixture & TwoClocks & TokenSource> {
  const clocks = twoClocks();
  const tokens = tokensBy(clocks.service);
  return startDelivery(t, {
    clock: clocks.service,
    emulator: { clock: clocks.azure },
    createCredential: tokens.createCredential,
  }).then((fixture) => ({ ...fixture, ...clocks, ...tokens }));
}

const faketimeLibrary = readdirSync('/usr/lib', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file));
const skip =
  process.platform !== 'linux'
    ? 'libfaketime is preloaded, which is done so on Linux only'
    : faketimeLibrary === undefined && "libfaketime is missing (Debian's package faketime)";

// Most of each is waiting.
describe('a clock that jumps', { concurrency: 4 }, () => {
  test('the real process, its clock a day ahead, back, and a day behind at run time: deliveries go on', {
    skip,
  }, async (t) => {
    const emulator = await startTestEmulator(t);
    const files = await serviceFiles(t, emulator);
    const timeFile = path.join(files.folder, 'faketime');
    const setClock = (offset: string) => writeFile(timeFile, `${offset}\n`);
    await setClock('+0');
    const service = await startServiceProcess(t, {
      ...serviceEnv(emulator, files),
      LD_PRELOAD: faketimeLibrary,
      FAKETIME_TIMESTAMP_FILE: timeFile,
      FAKETIME_NO_CACHE: '1',
      // A jump of the time of day, as NTP or an operator makes it: no such jump moves the monotonic clock.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    });
    const loggedDays = () => new Set(service.logs.map((line) => String(line['time']).slice(0, 10))).size;
    const ids: string[] = [];
    const deliver = async (id: string) => {
      const response = await service.post(webhook(id));
      assert.equal(response.status, 200);
      ids.push(`${((await response.json()) as { event_id: string }).event_id}-0`);
      await emulator.waitFor(() => emulator.rowCount(requestStream) >= ids.length);
      await drained(service.port);
    };
    await deliver('right');
    for (const offset of ['+1d', '-1d', '+0']) {
      await setClock(offset);
      await deliver(`r-${ids.length}`);
      // A retry's pause begins under one time and ends under another.
      emulator.plan({ target: 'ingest', answer: { type: 'status', status: 503 } });
      const response = await service.post(webhook(`retried-${ids.length}`));
      ids.push(`${((await response.json()) as { event_id: string }).event_id}-0`);
      await emulator.waitFor(() => emulator.remainingPlan.length === 0);
      await setClock(offset === '+0' ? '+1d' : '+0');
      await drained(service.port);
    }
    assert.ok(loggedDays() >= 2, 'the process saw another day');
    const rowIds = emulator.rows(requestStream).map((row) => String(row['row_id']));
    assert.deepEqual(rowIds.sort(), ids.sort(), 'every row once');
    assert.equal((await healthOf(service.port)).code, 200);
    service.child.kill('SIGTERM');
    assert.deepEqual(await service.exited, { code: 0, signal: null });
  });

  for (const [direction, jumpMs] of directions) {
    test(`a day ${direction}: rows go after FLUSH_INTERVAL_MS, not before and not a day later`, async (t) => {
      const f = await startWithTwoClocks(t);
      await f.send(requestEvent('r-1'));
      f.service.advance(FLUSH_MS / 2);
      f.jump(jumpMs);
      f.service.advance(FLUSH_MS / 2 - 1);
      await f.send(requestEvent('r-2'));
      assert.equal(f.calls().length, 0);
      f.service.advance(1);
      await eventually(async () => (await f.waiting()) === 0);
      assert.deepEqual(
        f.calls().map(({ rowCount, tokenState }) => [rowCount, tokenState]),
        [[2, 'valid']],
      );
    });

    test(`a day ${direction}: a backoff is neither cut short nor a day longer`, async (t) => {
      const f = await startWithTwoClocks(t);
      const answer = { type: 'status', status: 429, headers: { 'retry-after': '60' } } as const;
      f.emulator.plan({ target: 'ingest', answer });
      await f.sendAndFlush(requestEvent('r-1'));
      await eventually(() => f.retries.length === 1);
      f.jump(jumpMs);
      f.service.advance(59_999);
      assert.equal(await f.waiting(), 1);
      assert.equal(f.calls().length, 1);
      f.service.advance(1);
      await eventually(async () => (await f.waiting()) === 0);
      assert.equal(f.rows().length, 1);
    });

    test(`a day ${direction} of our clock: a Retry-After that is a date waits for our own backoff at least, 15 minutes at most`, async (t) => {
      const f = await startWithTwoClocks(t);
      f.jump(jumpMs);
      const soon = new Date(f.azure.now() + 60_000).toUTCString();
      f.emulator.plan({ target: 'ingest', answer: { type: 'status', status: 429, headers: { 'retry-after': soon } } });
      await f.sendAndFlush(requestEvent('r-1'));
      await eventually(() => f.retries.length === 1);
      const delayMs = f.retries[0]?.delayMs ?? 0;
      assert.equal(Math.round(delayMs), jumpMs > 0 ? 1_000 : 900_000);
      f.service.advance(delayMs);
      await eventually(async () => (await f.waiting()) === 0);
    });

    test(`a day ${direction}: a hold is told of once a minute, probed, and ends`, async (t) => {
      const f = await startWithTwoClocks(t);
      f.emulator.setPublisherRole(false);
      await f.sendAndFlush(requestEvent('r-1'));
      await eventually(() => f.holds.length === 1);
      f.jump(jumpMs);
      const heldAt = f.azure.now();
      await advanceUntil(f, 5_000, () => f.reminders.length >= 4 && f.uploads.length >= 3);
      const minutes = (f.azure.now() - heldAt) / 60_000;
      assert.ok(Math.abs(f.reminders.length - minutes) <= 1, `${f.reminders.length} reminders in ${minutes} minutes`);
      f.emulator.setPublisherRole(true);
      await advanceUntil(f, 60_000, async () => (await f.waiting()) === 0);
      await eventually(() => f.delivery.holds().length === 0);
      assert.equal(f.rows().length, 1);
    });

    test(`a day ${direction} and back to the right time: no call carries a token that Azure takes for expired`, async (t) => {
      const f = await startWithTwoClocks(t);
      const deliver = async (id: string) => {
        await f.sendAndFlush(requestEvent(id));
        await eventually(async () => (await f.waiting()) === 0);
      };
      await deliver('before');
      for (const [index, offsetMs] of [jumpMs, 0, jumpMs].entries()) {
        f.jump(offsetMs);
        for (let hour = 0; hour < 3; hour++) {
          await deliver(`r-${index}-${hour}`);
          // In steps, so that what is fetched in the background arrives: these hours are none for the network.
          for (let minute = 0; minute < 60; minute += 10) {
            f.service.advance(600_000);
            await setImmediate();
            await eventually(() => f.pending() === 0);
          }
        }
      }
      const calls = f.calls();
      assert.equal(calls.length, 10);
      assert.ok(
        calls.every(({ tokenState }) => tokenState === 'valid'),
        JSON.stringify(calls.map(({ tokenState, status }) => [tokenState, status])),
      );
      const fetched = f.emulator.requests.filter(({ kind }) => kind === 'token').length;
      assert.ok(fetched >= 9 && fetched <= 40, `${fetched} tokens in nine hours`);
    });

    test(`a day ${direction}: failed authentications are counted anew at most once, and limited again`, () => {
      const clock = manualClock();
      const store = createFailureStore({ clock, windowMs: 60_000, maxKeys: 1_000 });
      for (let failures = 1; failures <= 150; failures++) assert.equal(store.increment('a').totalHits, failures);
      clock.set(clock.now() + jumpMs);
      for (let failures = 1; failures <= 150; failures++) assert.equal(store.increment('a').totalHits, failures);
      assert.equal(store.size(), 1);
      clock.advance(60_000);
      assert.equal(store.increment('a').totalHits, 1, 'and its minute ends');
    });
  }

  test('a clock that jumps a day ahead makes no event be forgotten before DEDUP_DAYS are over', async (t) => {
    const { clock, start, isKnown, passHours } = await startRetention(t);
    await start();
    assert.equal(await isKnown('a'), false);
    for (const days of [1, -1, 1, 1]) {
      clock.set(clock.now() + days * DAY_MS);
      await passHours(41);
      assert.equal(await isKnown('a'), true, 'after less than seven days');
    }
    await passHours(4 + 48);
    assert.equal(await isKnown('a'), false, 'it is forgotten in the end: nothing is stuck');
  });

  test('a clock that is eight days ahead at the start makes no event be forgotten, also over another start', async (t) => {
    const { clock, start, isKnown, passHours } = await startRetention(t);
    await start();
    assert.equal(await isKnown('a'), false);
    await passHours(24);
    assert.equal(await isKnown('b'), false);
    clock.set(clock.now() + 8 * DAY_MS);
    await start();
    await passHours(1);
    assert.equal(await isKnown('a'), true, 'after one day');
    assert.equal(await isKnown('of the wrong time'), false);
    await start();
    await passHours(1);
    assert.equal(await isKnown('a'), true, 'although an event was recorded under the wrong time');
    clock.set(clock.now() - 8 * DAY_MS);
    await start();
    await passHours(1);
    assert.equal(await isKnown('a'), true, 'and when the clock is set right');
    await passHours(7 * 24);
    assert.equal(await isKnown('a'), false, 'it is forgotten in the end: nothing is stuck');
  });

  test('a clock that is years behind for a moment, at the start or later, does not stop the forgetting', async (t) => {
    const { clock, start, isKnown, passHours } = await startRetention(t);
    const behindMs = 2_000 * DAY_MS;
    clock.set(clock.now() - behindMs);
    await start();
    clock.set(clock.now() + behindMs);
    await start();
    assert.equal(await isKnown('a'), false);
    await passHours(1);
    clock.set(clock.now() - behindMs);
    await passHours(1);
    clock.set(clock.now() + behindMs);
    await passHours(6 * 24);
    assert.equal(await isKnown('a'), true);
    await passHours(25);
    assert.equal(await isKnown('a'), false, 'it is forgotten after its seven days');
  });

  test('a service that was stopped for eight days forgets after DEDUP_DAYS more', async (t) => {
    const { clock, start, isKnown, passHours } = await startRetention(t);
    await start();
    assert.equal(await isKnown('a'), false);
    clock.set(clock.now() + 8 * DAY_MS);
    await start();
    await passHours(7 * 24 - 1);
    assert.equal(await isKnown('a'), true);
    await passHours(2);
    assert.equal(await isKnown('a'), false);
  });
});

/** An outbox that is pruned as the service does it. `start` ends it and starts it again, as at a restart. */
async function startRetention(t: TestContext) {
  const fixture = await openSqliteFixture();
  const { clock } = fixture;
  let pruned = 0;
  let stop = () => {};
  t.after(() => {
    stop();
    return fixture.cleanup();
  });

  async function start(): Promise<void> {
    stop();
    await fixture.reopen();
    const { outbox } = fixture;
    const before = pruned;
    const counted = {
      recordedUntil: () => outbox.recordedUntil(),
      prune: (deliveredBefore: number) => outbox.prune(deliveredBefore).finally(() => pruned++),
    };
    stop = keepPruning(counted, { dedupDays: 7, clock });
    await eventually(() => pruned > before && clock.timerCount > 0);
  }

  /** Stores and delivers it where it is not. */
  async function isKnown(id: string): Promise<boolean> {
    const { outbox } = fixture;
    const stored = await outbox.put([event(id)]);
    await outbox.settle((await claimAll(outbox)).map(delivered));
    return stored.outcome === 'stored' && stored.entries[0]?.duplicate === true;
  }

  async function passHours(hours: number): Promise<void> {
    for (let hour = 0; hour < hours; hour++) {
      const before = pruned;
      clock.advance(HOUR_MS);
      await eventually(() => pruned > before && clock.timerCount > 0);
    }
  }

  return { clock, start, isKnown, passHours };
}
