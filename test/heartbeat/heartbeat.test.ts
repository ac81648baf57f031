import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { heartbeatDefaultStream, heartbeatTable } from '../../src/heartbeat/row.ts';
import { requestEvent, units } from '../delivery/harness.ts';
import { heartbeatColumns, heartbeatStream, requestStream } from '../support/emulator.ts';
import { type HeartbeatFixture, MINUTE_MS, SECRET, startWithHeartbeat } from './fixture.ts';

const iso = (ms: number) => new Date(ms).toISOString();
const lines = ({ logs }: HeartbeatFixture, message: string) => logs.filter((line) => line['message'] === message);
const last = <T>(list: readonly T[]): T => list[list.length - 1] ?? assert.fail('there is none');

/** Until Azure has so many rows of events, and the outbox knows. */
async function delivered(fixture: HeartbeatFixture, rows: number): Promise<void> {
  await fixture.until(() => fixture.emulator.rowCount(requestStream) === rows);
  await fixture.until(async () => {
    const { body } = await fixture.get('/healthz');
    return (body['outbox'] as { waiting: number }).waiting === 0;
  });
}

/** Until no request is under way, so that time can pass. */
function quiet({ emulator }: HeartbeatFixture): Promise<void> {
  return emulator.waitFor(({ requests }) => requests.every(({ outcome }) => outcome !== 'pending'));
}

describe('the rows', () => {
  it('begin right after the start, with exactly the columns and types of the table', async (t) => {
    const fixture = await startWithHeartbeat(t);
    await fixture.tries(1);
    const startedAt = fixture.clock.now();
    const [row = {}] = fixture.sent;
    assert.deepEqual(
      Object.keys(row),
      heartbeatTable.columns.map(({ name }) => name),
    );
    // What is of another type than its column Azure would keep as null.
    assert.deepEqual(fixture.rows(), [row]);
    assert.deepEqual(row, {
      TimeGenerated: iso(startedAt),
      instance: hostname(),
      version: '1.2.3',
      started_at: iso(startedAt),
      accepted: 0,
      duplicate: 0,
      quarantined: 0,
      dead: 0,
      unauthorized: 0,
      delivered: 0,
      waiting: 0,
      oldest_waiting_seconds: 0,
      credential_expires_at: null,
    });
  });

  it('go on, one each interval and none between', async (t) => {
    const fixture = await startWithHeartbeat(t);
    const startedAt = fixture.clock.now();
    await fixture.tries(1);
    for (let minute = 1; minute <= 3; minute++) {
      fixture.clock.advance(MINUTE_MS - 1);
      await fixture.tries(minute);
      fixture.clock.advance(1);
      await fixture.tries(minute + 1);
    }
    assert.deepEqual(
      fixture.rows().map((row) => row['TimeGenerated']),
      [0, 1, 2, 3].map((minute) => iso(startedAt + minute * MINUTE_MS)),
    );
    assert.deepEqual(new Set(fixture.rows().map((row) => row['started_at'])), new Set([iso(startedAt)]));
  });

  it('that a sleeping host missed are left out, and the next one comes at its time', async (t) => {
    const fixture = await startWithHeartbeat(t);
    const startedAt = fixture.clock.now();
    await fixture.tries(1);
    fixture.clock.advance(MINUTE_MS / 2);
    fixture.clock.set(startedAt + 10.2 * MINUTE_MS);
    fixture.clock.advance(MINUTE_MS / 2);
    await fixture.tries(2);
    fixture.clock.advance(0.3 * MINUTE_MS);
    await fixture.tries(3);
    assert.deepEqual(
      fixture.rows().map((row) => row['TimeGenerated']),
      [0, 10.7, 11].map((minute) => iso(startedAt + minute * MINUTE_MS)),
    );
  });

  it('count what was done since the start, and what lies in the outbox now', async (t) => {
    const fixture = await startWithHeartbeat(t);
    const { emulator, clock } = fixture;
    await fixture.tries(1);
    const granted = requestEvent('r-1', units(3));
    await fixture.post(granted);
    await delivered(fixture, 3);
    assert.equal((await fixture.post(granted)).body['duplicate'], true);
    await fixture.post(`[${requestEvent('r-2')},${requestEvent('r-3')},${granted}]`);
    await delivered(fixture, 5);
    emulator.plan({ target: 'ingest', stream: requestStream, answer: { type: 'status', status: 413 } });
    await fixture.post(requestEvent('r-dead'));
    await fixture.until(async () => (await fixture.metrics()).sum('apono_sentinel_dead_rows_total') === 1);
    assert.equal((await fixture.post('{"broken":')).status, 400);
    assert.equal((await fixture.post('{"no":"event"}')).status, 422);
    assert.equal((await fixture.post(granted, {})).status, 401);
    let answers = 1;
    // Past 100 within a minute the answer is another one, and counts as well.
    for (let status = 401; status === 401; answers++) {
      ({ status } = await fixture.post(granted, { authorization: `Bearer ${SECRET}?` }));
    }
    clock.advance(MINUTE_MS);
    await fixture.tries(2);
    const { TimeGenerated, instance, version, started_at: startedAt, ...counts } = last(fixture.rows());
    assert.ok(answers > 100);
    assert.deepEqual(counts, {
      accepted: 4,
      duplicate: 2,
      quarantined: 2,
      dead: 1,
      unauthorized: answers,
      delivered: 5,
      waiting: 0,
      oldest_waiting_seconds: 0,
      credential_expires_at: null,
    });
    const metrics = await fixture.metrics();
    assert.equal(metrics.sum('apono_sentinel_events_total', { outcome: 'accepted' }), counts['accepted']);
    assert.equal(metrics.sum('apono_sentinel_delivered_rows_total'), counts['delivered']);
  });

  it('show an outage: how many events wait, and since when, those on hold too', async (t) => {
    for (const status of [503, 403]) {
      const fixture = await startWithHeartbeat(t);
      fixture.emulator.plan({
        target: 'ingest',
        stream: requestStream,
        answer: { type: 'status', status },
        times: 'forever',
      });
      await fixture.tries(1);
      await fixture.post(requestEvent('r-1', units(4)));
      await fixture.until(async () => (await fixture.metrics()).sum('apono_sentinel_uploads_total') > 0);
      fixture.clock.advance(20_500);
      await fixture.post(requestEvent('r-2'));
      await quiet(fixture);
      fixture.clock.advance(39_500);
      await fixture.tries(2);
      const row = last(fixture.rows());
      assert.deepEqual([row['waiting'], row['oldest_waiting_seconds'], row['delivered']], [2, 60, 0]);
    }
  });

  it('come while the outbox is full', async (t) => {
    const fixture = await startWithHeartbeat(t, {
      env: { OUTBOX_MAX_BYTES: '65536' },
      prepare: (emulator) =>
        emulator.plan({
          target: 'ingest',
          stream: requestStream,
          answer: { type: 'status', status: 503 },
          times: 'forever',
        }),
    });
    await fixture.tries(1);
    let stored = 0;
    // Small ones find room where a large one does not.
    for (const length of [20_000, 10]) {
      const event = () => requestEvent(`r-${stored}`, { justification: 'x'.repeat(length) });
      while ((await fixture.post(event())).status === 200) stored++;
    }
    assert.equal((await fixture.get('/readyz')).status, 503);
    fixture.clock.advance(MINUTE_MS);
    await fixture.tries(2);
    assert.deepEqual([last(fixture.rows())['waiting'], last(fixture.rows())['accepted']], [stored, stored]);
  });
});

describe('a heartbeat that fails', () => {
  it('for want of a role says what to fix, and is sent as a fresh row when it works', async (t) => {
    const answer = { type: 'status', status: 403 } as const;
    const fixture = await startWithHeartbeat(t, {
      prepare: (emulator) => emulator.plan({ target: 'ingest', stream: heartbeatStream, answer, times: 2 }),
    });
    const { clock } = fixture;
    const startedAt = clock.now();
    await fixture.tries(1);
    const [told = {}] = lines(fixture, 'heartbeat failed');
    assert.deepEqual([told['level'], told['stream'], told['outcome']], ['error', heartbeatStream, 'hold']);
    assert.match(String(told['reason']), /Azure answered 403/);
    assert.match(String(told['fix']), /"Monitoring Metrics Publisher"/);
    assert.equal(typeof told['client_request_id'], 'string');

    const { status, body } = await fixture.get('/healthz');
    assert.deepEqual([status, body['status'], body['hold']], [200, 'degraded', null]);
    const { failing, ...state } = body['heartbeat'] as Record<string, unknown>;
    assert.deepEqual(state, { stream: heartbeatStream, last_sent: null });
    assert.deepEqual(failing, { since: iso(startedAt), reason: told['reason'], fix: told['fix'] });
    const message = `No heartbeat was sent since the start: ${told['reason']}`;
    assert.deepEqual(body['problems'], [{ code: 'heartbeat_failing', message, fix: told['fix'] }]);
    assert.equal((await fixture.get('/readyz')).status, 200);

    clock.advance(1_000);
    await fixture.tries(2);
    await fixture.post(requestEvent('r-1'));
    await delivered(fixture, 1);
    clock.advance(2_000);
    await fixture.tries(3);
    const [row = {}] = fixture.rows();
    assert.equal(fixture.rows().length, 1);
    assert.deepEqual([row['TimeGenerated'], row['accepted'], row['delivered']], [iso(startedAt + 3_000), 1, 1]);
    const well = await fixture.get('/healthz');
    assert.deepEqual([well.status, well.body['status'], well.body['problems']], [200, 'ok', []]);
    assert.deepEqual(well.body['heartbeat'], {
      stream: heartbeatStream,
      last_sent: iso(startedAt + 3_000),
      failing: null,
    });
    const levels = lines(fixture, 'heartbeat failed').map(({ level }) => level);
    assert.deepEqual(levels, ['error', 'debug'], 'one line, and the rest for whoever looks closely');
    assert.deepEqual(
      lines(fixture, 'heartbeat sent again').map((line) => line['failed_since']),
      [iso(startedAt)],
    );
    const metrics = await fixture.metrics();
    assert.deepEqual(metrics.nonZero('apono_sentinel_heartbeats_total'), {
      'outcome=delivered': 1,
      'outcome=hold': 2,
    });
    const lastAt = metrics.value('apono_sentinel_last_heartbeat_timestamp_seconds');
    assert.equal(lastAt, (startedAt + 3_000) / 1000);
    assert.deepEqual(metrics.nonZero('apono_sentinel_hold'), {});
  });

  it('is tried again at the pace of delivery, with the next interval at the latest, and makes no row more for it', async (t) => {
    const answer = { type: 'status', status: 500 } as const;
    const fixture = await startWithHeartbeat(t, {
      prepare: (emulator) => emulator.plan({ target: 'ingest', stream: heartbeatStream, answer, times: 8 }),
    });
    const startedAt = fixture.clock.now();
    await fixture.tries(1);
    // The longest that each pause can be: 1 s × 2ⁿ, or what is left of the interval. All of them end on the minute.
    for (const [index, pauseMs] of [1_000, 2_000, 4_000, 8_000, 16_000, 29_000, 60_000, 60_000].entries()) {
      fixture.clock.advance(pauseMs);
      await fixture.tries(index + 2);
    }
    assert.deepEqual(
      fixture.rows().map((row) => row['TimeGenerated']),
      [iso(startedAt + 3 * MINUTE_MS)],
    );
    fixture.clock.advance(MINUTE_MS - 1);
    await fixture.tries(9);
    fixture.clock.advance(1);
    await fixture.tries(10);
    assert.equal(fixture.rows().length, 2);
  });

  it('waits as long as Azure asks, past the next interval', async (t) => {
    const answer = { type: 'status', status: 429, headers: { 'Retry-After': '90' } } as const;
    const fixture = await startWithHeartbeat(t, {
      prepare: (emulator) => emulator.plan({ target: 'ingest', stream: heartbeatStream, answer }),
    });
    const startedAt = fixture.clock.now();
    await fixture.tries(1);
    fixture.clock.advance(MINUTE_MS);
    await fixture.tries(1);
    fixture.clock.advance(30_000);
    await fixture.tries(2);
    assert.deepEqual(
      fixture.rows().map((row) => row['TimeGenerated']),
      [iso(startedAt + 90_000)],
    );
    assert.equal(lines(fixture, 'heartbeat failed')[0]?.['level'], 'warn');
    fixture.clock.advance(30_000);
    await fixture.tries(3);
    assert.equal(fixture.rows().length, 2);
  });

  it('gets a fresh token after a 401, and has not failed then', async (t) => {
    const fixture = await startWithHeartbeat(t);
    await fixture.tries(1);
    fixture.emulator.revokeTokens();
    fixture.clock.advance(MINUTE_MS);
    await fixture.tries(2);
    assert.equal(fixture.rows().length, 2);
    assert.deepEqual(lines(fixture, 'heartbeat failed'), []);
    assert.equal(fixture.emulator.requests.filter(({ kind }) => kind === 'token').length, 2);
  });

  it('is told at most once a minute, and at once when it comes to need a person', async (t) => {
    const fixture = await startWithHeartbeat(t, {
      env: { HEARTBEAT_INTERVAL_MINUTES: '60' },
      prepare: (emulator) => {
        const step = { target: 'ingest', stream: heartbeatStream } as const;
        emulator.plan({ ...step, answer: { type: 'status', status: 503 }, times: 2 });
        emulator.plan({ ...step, answer: { type: 'status', status: 404 }, times: 8 });
      },
    });
    const startedAt = fixture.clock.now();
    await fixture.tries(1);
    for (let tries = 2; tries <= 11; tries++) {
      // At most 1 s × 2ⁿ, at most 5 minutes.
      fixture.clock.advance(Math.min(300_000, 1_000 * 2 ** (tries - 2)));
      await fixture.tries(tries);
    }
    const told = lines(fixture, 'heartbeat failed').filter(({ level }) => level !== 'debug');
    assert.deepEqual(
      told.slice(0, 2).map(({ level }) => level),
      ['warn', 'error'],
    );
    assert.ok(told.length < 10, 'not each of them');
    assert.ok(told.length >= 5, 'again and again');
    assert.deepEqual(new Set(told.map(({ since }) => since)), new Set([iso(startedAt)]));
    assert.equal(fixture.rows().length, 1);
  });
});

describe('a stream that the rule does not have', () => {
  it('of the heartbeat holds no event', async (t) => {
    const fixture = await startWithHeartbeat(t, { prepare: (emulator) => emulator.setStream(heartbeatStream, null) });
    await fixture.tries(1);
    assert.match(String(lines(fixture, 'heartbeat failed')[0]?.['fix']), /Set LOGS_INGESTION_STREAM_HEARTBEAT to/);
    await fixture.post(requestEvent('r-1'));
    await delivered(fixture, 1);
    const { status, body } = await fixture.get('/healthz');
    assert.deepEqual([status, body['hold']], [200, null]);
    fixture.emulator.setStream(heartbeatStream, heartbeatColumns);
    fixture.clock.advance(1_000);
    await fixture.tries(2);
    assert.equal(last(fixture.rows())['delivered'], 1);
  });

  it('of the events holds no heartbeat', async (t) => {
    const fixture = await startWithHeartbeat(t, { prepare: (emulator) => emulator.setStream(requestStream, null) });
    await fixture.tries(1);
    await fixture.post(requestEvent('r-1'));
    await fixture.until(async () => (await fixture.get('/healthz')).status === 503);
    await quiet(fixture);
    const { body } = await fixture.get('/healthz');
    assert.equal((body['hold'] as { stream: string }).stream, requestStream);
    fixture.clock.advance(MINUTE_MS);
    await fixture.tries(2);
    assert.deepEqual([last(fixture.rows())['waiting'], last(fixture.rows())['delivered']], [1, 0]);
  });
});

describe('the end', () => {
  it('cuts an upload that hangs off, says nothing of it, and leaves no timer', async (t) => {
    const fixture = await startWithHeartbeat(t, {
      prepare: (emulator) =>
        emulator.plan({ target: 'ingest', stream: heartbeatStream, answer: { type: 'hang' }, times: 'forever' }),
    });
    await fixture.emulator.waitFor(({ requests }) => requests.some(({ outcome }) => outcome === 'hung'));
    const tookMs = await fixture.stop();
    assert.ok(
      tookMs < 10_000,
      `${tookMs} ms, of which an open connection gets 1,000 and the upload none of its 30,000`,
    );
    assert.deepEqual(lines(fixture, 'heartbeat failed'), []);
    assert.equal(fixture.sent.length, 1, 'no last row');
    assert.equal(fixture.clock.timerCount, 0);
  });

  it('comes in the pause before the next row or try just as well', async (t) => {
    for (const status of [204, 500]) {
      const answer = { type: 'status', status } as const;
      const fixture = await startWithHeartbeat(t, {
        prepare: (emulator) => emulator.plan({ target: 'ingest', stream: heartbeatStream, answer }),
      });
      await fixture.tries(1);
      await fixture.stop();
      assert.equal(fixture.sent.length, 1);
      assert.equal(fixture.clock.timerCount, 0);
    }
  });
});

describe('no heartbeat', () => {
  for (const [how, env] of [
    ['by default', { HEARTBEAT_INTERVAL_MINUTES: '' }],
    [
      'with an interval of 0',
      { HEARTBEAT_INTERVAL_MINUTES: '0', LOGS_INGESTION_STREAM_HEARTBEAT: heartbeatDefaultStream },
    ],
    ['with the stream off', { LOGS_INGESTION_STREAM_HEARTBEAT: 'off' }],
  ] as const) {
    it(how, async (t) => {
      const fixture = await startWithHeartbeat(t, { env });
      await fixture.post(requestEvent('r-1'));
      await delivered(fixture, 1);
      fixture.clock.advance(2 * 60 * MINUTE_MS);
      assert.ok(!('heartbeat' in (await fixture.get('/healthz')).body));
      assert.deepEqual((await fixture.metrics()).nonZero('apono_sentinel_heartbeats_total'), {});
      assert.deepEqual(fixture.sent, []);
    });
  }
});
