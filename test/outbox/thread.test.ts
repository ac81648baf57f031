import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Received } from '../../src/outbox/port.ts';
import { isOutboxLocked } from '../../src/outbox/sqlite/lock.ts';
import type { StoreEvent } from '../../src/outbox/store.ts';
import { eventually } from '../support/eventually.ts';
import { isUnavailable } from './contract.ts';
import { delivered, settlement } from './samples.ts';
import { claimCalls, notJson, openThreadFixture, type ThreadFixture, webhook } from './thread-fixture.ts';

const TIME_LIMIT = { timeout: 300_000 };

/** The id of the event that was accepted. */
function eventIdOf(received: Received): string {
  assert(received.outcome === 'accepted', received.outcome);
  return received.events[0]?.eventId ?? assert.fail('no event');
}

describe('the store thread', TIME_LIMIT, () => {
  let fixture: ThreadFixture;
  beforeEach(async () => {
    fixture = await openThreadFixture();
  });
  afterEach(() => fixture.cleanup());

  const isWritable = async () => (await fixture.outbox.stats()).writable;
  const waitForThread = () => eventually(isWritable);

  it('answers waiting bodies with unavailable when it dies, and keeps what it had answered as stored', async () => {
    const { outbox } = fixture;
    const stored = new Set([eventIdOf(await outbox.receive(webhook('before')))]);
    let killed: Promise<void> | null = null;
    const outcomes: Received['outcome'][] = [];
    // More than one commit takes, so that some wait while others are answered.
    const bodies = Array.from({ length: 1_000 }, async (_, n) => {
      const received = await outbox.receive(webhook(`e${n}`, 'x'.repeat(40_000)));
      if (received.outcome === 'accepted') stored.add(eventIdOf(received));
      outcomes.push(received.outcome);
      killed ??= fixture.killThread();
    });
    await Promise.all(bodies);
    await killed;
    assert.equal(outcomes.length, 1_000);
    assert(outcomes.includes('unavailable'), 'some must have been waiting');
    await waitForThread();
    const known = new Set((await claimCalls(outbox)).events.map(({ eventId }) => eventId));
    for (const id of stored) assert(known.has(id), `${id} was answered as stored`);
  });

  it('is not writable while it is down, and frees the claims of the dead thread', async () => {
    const { outbox } = fixture;
    await outbox.receive(webhook('a'));
    const [former] = (await claimCalls(outbox)).events;
    assert(former !== undefined);
    await outbox.stats();
    await fixture.killThread();
    const down = await outbox.stats();
    assert.deepEqual([down.writable, down.waiting['request']?.count], [false, 1]);
    assert.match(down.problem ?? '', /restarted/);
    assert.deepEqual(await outbox.receive(webhook('b')), { outcome: 'unavailable' });
    await assert.rejects(claimCalls(outbox), isUnavailable);
    await assert.rejects(outbox.settle([delivered(former)]), isUnavailable);
    await waitForThread();
    const [again] = (await claimCalls(outbox)).events;
    assert(again !== undefined);
    assert.notEqual(again.token, former.token);
    assert.deepEqual(await outbox.settle([delivered(former)]), ['stale']);
    assert.deepEqual(await outbox.settle([delivered(again)]), ['applied']);
    assert.deepEqual(fixture.fatal, []);
    const codes = fixture.logged.flatMap(({ code }) => (code?.startsWith('outbox_worker') ? [code] : []));
    assert.deepEqual(codes, ['outbox_worker_died', 'outbox_worker_restarted']);
  });

  it('says whose the rows of a call are with the very events of the claim', async () => {
    const { outbox } = fixture;
    await outbox.receive(webhook('a'));
    await outbox.receive(webhook('b'));
    const { events, calls } = await claimCalls(outbox);
    const named = calls.flatMap(({ sources }) => sources.map(({ event }) => events.indexOf(event)));
    assert.deepEqual([...new Set(named)], [0, 1]);
  });

  it('is given up after the second death', async () => {
    const { outbox, dataDir } = fixture;
    await outbox.receive(webhook('a'));
    await fixture.killThread();
    await waitForThread();
    const waiting = [outbox.receive(webhook('b')), outbox.receive(webhook('c'))];
    await fixture.killThread();
    for (const body of waiting) assert.notEqual((await body).outcome, 'full');
    assert.equal(fixture.fatal.length, 1);
    assert.equal((await outbox.receive(webhook('d'))).outcome, 'unavailable');
    await assert.rejects(outbox.stats(), isUnavailable);
    await assert.rejects(claimCalls(outbox), isUnavailable);
    assert.equal(isOutboxLocked(dataDir), true, 'the folder stays ours until it is closed');
    await outbox.close();
    assert.equal(isOutboxLocked(dataDir), false);
  });

  it('is not left behind when it is closed during a restart', async () => {
    const { outbox, dataDir } = fixture;
    await fixture.killThread();
    await outbox.close();
    assert.equal(isOutboxLocked(dataDir), false);
    assert.deepEqual(fixture.fatal, []);
    await fixture.reopen();
    assert.equal(await isWritable(), true);
  });

  it('takes new events while claims keep coming', async () => {
    const { outbox } = fixture;
    await Promise.all(Array.from({ length: 200 }, (_, n) => outbox.receive(webhook(`e${n}`))));
    let isAnswered = false;
    let claims = 0;
    const claimers = Array.from({ length: 8 }, async () => {
      while (!isAnswered && claims < 20_000) {
        claims++;
        const { events } = await outbox.claim({ kind: 'request', maxEvents: 1, maxBytes: 0 });
        await outbox.settle(events.map((event) => settlement(event)));
      }
    });
    eventIdOf(await outbox.receive(webhook('new')));
    isAnswered = true;
    await Promise.all(claimers);
    assert(claims < 20_000, 'the event was taken while claims were coming');
  });

  it('keeps its share of the turns for claims while new events keep coming', async () => {
    const { outbox } = fixture;
    const old = eventIdOf(await outbox.receive(webhook('old')));
    let isClaimed = false;
    let n = 0;
    const senders = Array.from({ length: 4 }, async () => {
      while (!isClaimed && n < 20_000) await outbox.receive(webhook(`e${n++}`));
    });
    const { events } = await outbox.claim({ kind: 'request', maxEvents: 1, maxBytes: 0 });
    isClaimed = true;
    await Promise.all(senders);
    assert.deepEqual(
      events.map(({ eventId }) => eventId),
      [old],
    );
    assert(n < 20_000, 'it was claimed while events were coming');
  });

  it('answers what was asked in the turn in which it died or was closed', async () => {
    const { outbox } = fixture;
    const killed = fixture.killThread();
    const [received, shown] = await Promise.allSettled([outbox.receive(webhook('a')), outbox.show('a')]);
    await killed;
    assert(received.status === 'fulfilled' && received.value.outcome === 'unavailable');
    assert(shown.status === 'rejected' && isUnavailable(shown.reason));
    await waitForThread();
    const stored = outbox.receive(webhook('a'));
    const closed = outbox.close();
    assert.equal((await outbox.receive(webhook('b'))).outcome, 'unavailable');
    const id = eventIdOf(await stored);
    await closed;
    await fixture.reopen();
    assert.deepEqual(
      (await claimCalls(fixture.outbox)).events.map(({ eventId }) => eventId),
      [id],
    );
  });

  it('answers each of the calls of one turn by itself, a wrong one with a RangeError', async () => {
    const { outbox } = fixture;
    const [received, again, wrong, shown, purged] = await Promise.allSettled([
      outbox.receive(webhook('a')),
      outbox.receive(webhook('a')),
      outbox.list({ state: 'waiting', limit: 0 }),
      outbox.show('nobody'),
      outbox.purge(['nobody']),
    ]);
    const duplicates = [received, again].map(
      (each) => each.status === 'fulfilled' && each.value.outcome === 'accepted' && each.value.events[0]?.duplicate,
    );
    // Reading the first may take a turn longer.
    assert.deepEqual(duplicates.toSorted(), [false, true]);
    assert(wrong.status === 'rejected' && wrong.reason instanceof RangeError);
    assert(shown.status === 'fulfilled' && shown.value === null);
    assert(purged.status === 'fulfilled');
    assert.deepEqual(purged.value, [false]);
  });
});

describe('the commits of the store thread', TIME_LIMIT, () => {
  it('are told with how long they took, how many calls they had, and what came of them', async () => {
    const fixture = await openThreadFixture({ maxBytes: 1_000_000 });
    const isCommit = (event: StoreEvent) => event.type === 'commit';
    try {
      const { outbox } = fixture;
      await Promise.all(Array.from({ length: 30 }, (_, n) => outbox.receive(webhook(`e${n}`))));
      const commits = fixture.events.filter(isCommit);
      assert.equal(
        commits.reduce((sum, { puts }) => sum + puts, 0),
        30,
      );
      assert.equal(
        commits.reduce((sum, { events }) => sum + events, 0),
        30,
      );
      assert(commits.length < 30, 'some shared one');
      assert(commits.every(({ outcome, durationMs }) => outcome === 'committed' && durationMs > 0));
      assert(fixture.events.some((event) => event.type === 'waiting' && event.kind === 'request' && event.bytes > 0));
      assert.equal((await outbox.receive(notJson(2_000_000))).outcome, 'full');
      const { outcome, puts, events } = fixture.events.findLast(isCommit) ?? assert.fail();
      assert.deepEqual([outcome, puts, events], ['full', 1, 1]);
    } finally {
      await fixture.cleanup();
    }
  });
});
