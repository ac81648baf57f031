import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { createBoundedRead } from '../../src/ground/clock.ts';
import { makeHeartbeatRow } from '../../src/heartbeat/row.ts';
import { type OutboxStats, OutboxUnavailableError, STATS_LIMIT_MS } from '../../src/outbox/port.ts';
import { emptyStats } from '../http/edge.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';

function rowOf(stats: () => Promise<OutboxStats>) {
  const clock = manualClock();
  const totals = { accepted: 5, duplicate: 1, unauthorized: 2, delivered: 9 };
  const sources = {
    version: '1.2.3',
    startedAt: clock.now(),
    totals: async () => totals,
    stats: createBoundedRead(stats, { limitMs: STATS_LIMIT_MS, clock }),
    credentialEndsAt: () => Date.UTC(2027, 0, 31),
    clock,
  };
  return { clock, makeRow: () => makeHeartbeatRow(sources) };
}

const ofOutbox = ['waiting', 'oldest_waiting_seconds', 'quarantined', 'dead'];

describe('a row of the heartbeat', () => {
  it('adds up what waits of all kinds, and takes the oldest', async () => {
    const { clock, makeRow } = rowOf(async () => ({
      ...emptyStats,
      waiting: {
        request: { count: 3, oldestReceivedAt: clock.now() - 60_900 },
        audit: { count: 4, oldestReceivedAt: clock.now() - 3_600_000 },
        anomaly: { count: 0, oldestReceivedAt: null },
      },
    }));
    const row = await makeRow();
    assert.deepEqual([row['waiting'], row['oldest_waiting_seconds']], [7, 3_600]);
    assert.equal(row['credential_expires_at'], '2027-01-31T00:00:00.000Z');
  });

  it('shows no negative age after the clock was set back', async () => {
    const { clock, makeRow } = rowOf(async () => ({
      ...emptyStats,
      waiting: { request: { count: 1, oldestReceivedAt: clock.now() + 86_400_000 } },
    }));
    assert.equal((await makeRow())['oldest_waiting_seconds'], 0);
  });

  it('is made without the outbox when that is gone: what only it knows is null', async () => {
    const { makeRow } = rowOf(() => Promise.reject(new OutboxUnavailableError('gone')));
    const row = await makeRow();
    assert.deepEqual(
      ofOutbox.map((column) => row[column]),
      [null, null, null, null],
    );
    assert.deepEqual([row['accepted'], row['delivered'], row['instance']], [5, 9, hostname()]);
  });

  it('waits 2 s for an outbox that hangs, and asks it no second time meanwhile', async () => {
    let asked = 0;
    const { clock, makeRow } = rowOf(() => {
      asked++;
      return new Promise(() => {});
    });
    const rows = [makeRow(), makeRow()];
    await eventually(() => clock.timerCount === 2);
    clock.advance(1_999);
    assert.equal(clock.timerCount, 2);
    clock.advance(1);
    for (const row of await Promise.all(rows)) assert.equal(row['waiting'], null);
    assert.equal(asked, 1);
    assert.equal(clock.timerCount, 0);
  });
});
