import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthSources } from '../../src/http/health.ts';
import { type OutboxStats, OutboxUnavailableError } from '../../src/outbox/port.ts';
import { manualClock } from '../support/manual-clock.ts';
import { assertProblem, condition, emptyStats, type Reply, send, startEdge, wellHealth, withEdge } from './edge.ts';

const now = Date.UTC(2026, 2, 4, 5, 6, 7);
const minutes = (count: number): number => count * 60_000;
const hold = {
  kind: 'audit',
  stream: 'Custom-AponoAuditLogs_CL',
  since: now - minutes(3),
  reason: '403 from Azure',
  fix: 'Give the application the role Monitoring Metrics Publisher on the rule.',
};

function get(port: number, path: string): Promise<Reply> {
  return send(port, { method: 'GET', path });
}

function withStats(stats: Partial<OutboxStats>): HealthSources {
  return { ...wellHealth, stats: async () => ({ ...emptyStats, ...stats }) };
}

const waiting = (count: number, ageMs: number): { count: number; oldestReceivedAt: number } => ({
  count,
  oldestReceivedAt: now - ageMs,
});

test('all three are 200 when all is well, for GET and HEAD, without a secret', async () => {
  await withEdge({}, async ({ port }) => {
    for (const path of ['/livez', '/readyz', '/healthz']) {
      const reply = await get(port, path);
      assert.equal(reply.status, 200, path);
      assert.match(String(reply.headers['content-type']), /^application\/json/);
      const headOnly = await send(port, { method: 'HEAD', path });
      assert.equal(headOnly.status, 200);
      assert.equal(headOnly.text, '');
      for (const method of ['POST', 'DELETE', 'OPTIONS']) {
        const refused = await send(port, { method, path, body: 'x' });
        assertProblem(refused, 405, 'method_not_allowed');
        assert.equal(refused.headers['allow'], 'GET, HEAD');
      }
    }
  });
});

test('/healthz says what the contract lists', async () => {
  const clock = manualClock(now);
  const health: HealthSources = {
    ...withStats({
      waiting: { request: waiting(3, 42_900), audit: { count: 0, oldestReceivedAt: null } },
      dead: { count: 2, oldestReceivedAt: now },
      quarantined: { count: 5, oldestReceivedAt: now - minutes(600) },
    }),
    lastDeliveryAt: () => now - 1_000,
    tokenExpiresAt: () => now + minutes(55),
    damagedFile: () => null,
  };
  await withEdge({ clock, health }, async ({ port }) => {
    const { status, json } = await get(port, '/healthz');
    assert.equal(status, 200);
    const { uptime_seconds: uptime, ...facts } = json;
    assert.ok(Number.isInteger(uptime) && Number(uptime) >= 0);
    assert.deepEqual(facts, {
      status: 'ok',
      version: '1.2.3',
      outbox: { waiting: 3, held: 0, dead: 2, quarantined: 5, oldest_age_seconds: 42 },
      last_delivery: '2026-03-04T05:06:06.000Z',
      token_expires_at: '2026-03-04T06:01:07.000Z',
      previous_secret_last_used_at: null,
      damaged_file: null,
      hold: null,
      problems: [],
    });
  });
});

test('a hold: /healthz is 503 and says what to fix, /readyz stays 200', async () => {
  const clock = manualClock(now);
  const stats = { waiting: { request: waiting(1, 1_000), audit: waiting(7, 5_000) } };
  await withEdge({ clock, health: { ...withStats(stats), holds: () => [hold] } }, async ({ port }) => {
    const { status, json } = await get(port, '/healthz');
    assert.equal(status, 503);
    assert.equal(json['status'], 'degraded');
    assert.deepEqual(json['outbox'], { waiting: 1, held: 7, dead: 0, quarantined: 0, oldest_age_seconds: 5 });
    assert.deepEqual(json['hold'], { ...hold, since: '2026-03-04T05:03:07.000Z' });
    assert.equal(json['holds'], undefined);
    assert.equal((await get(port, '/readyz')).status, 200);
  });
});

test('several holds are all listed', async () => {
  const other = { ...hold, kind: 'request', stream: 'Custom-AponoAccessRequests_CL' };
  const clock = manualClock(now);
  const stats = { waiting: { request: waiting(1, 1_000), audit: waiting(7, 5_000) } };
  await withEdge({ clock, health: { ...withStats(stats), holds: () => [other, hold] } }, async ({ port }) => {
    const { json } = await get(port, '/healthz');
    assert.equal((json['hold'] as typeof hold).kind, 'request');
    assert.deepEqual(
      (json['holds'] as (typeof hold)[]).map(({ kind }) => kind),
      ['request', 'audit'],
    );
    assert.deepEqual((json['outbox'] as Record<string, unknown>)['held'], 8);
  });
});

test('an event that waits over 15 minutes makes /healthz 503, at 15 minutes it is 200', async () => {
  const clock = manualClock(now);
  await withEdge({ clock, health: withStats({ waiting: { request: waiting(1, minutes(15)) } }) }, async ({ port }) => {
    assert.equal((await get(port, '/healthz')).status, 200);
    clock.advance(1_000);
    const late = await get(port, '/healthz');
    assert.equal(late.status, 503);
    assert.equal(late.json['status'], 'degraded');
    assert.equal((await get(port, '/readyz')).status, 200);
  });
});

test('a damaged database that was set aside: /healthz is degraded and names it until somebody has looked', async () => {
  let damagedFile: string | null = '/data/outbox.db.damaged-2026-01-02T03-04-05.000Z';
  const health = { ...wellHealth, damagedFile: () => damagedFile };
  await withEdge({ health }, async ({ port }) => {
    const { status, json } = await get(port, '/healthz');
    assert.deepEqual([status, json['status'], json['damaged_file']], [200, 'degraded', damagedFile]);
    assert.match(String(json['problems']), /outbox salvage \/data\/outbox\.db\.damaged-/);
    assert.equal((await get(port, '/readyz')).status, 200);
    damagedFile = null;
    assert.equal((await get(port, '/healthz')).json['status'], 'ok');
  });
});

test('a clock that jumped back shows no negative age', async () => {
  const health = withStats({ waiting: { request: waiting(1, -minutes(1_440)) } });
  await withEdge({ clock: manualClock(now), health }, async ({ port }) => {
    const { status, json } = await get(port, '/healthz');
    assert.equal(status, 200);
    assert.equal((json['outbox'] as Record<string, unknown>)['oldest_age_seconds'], 0);
  });
});

const notReady: [string, HealthSources, RegExp][] = [
  ['starting', { ...wellHealth, started: () => false }, /starting/],
  ['draining', { ...wellHealth, draining: () => true }, /stopping/],
  ['not writable', withStats({ writable: false, problem: 'disk I/O error' }), /disk I\/O error/],
  ['not writable for no known reason', withStats({ writable: false }), /cannot store/],
  ['at its limit', withStats({ usedBytes: 1_000_000 }), /full.*OUTBOX_MAX_BYTES/],
  ['gone', { ...wellHealth, stats: () => Promise.reject(new OutboxUnavailableError('worker gone')) }, /not available/],
];
for (const [name, health, reason] of notReady) {
  test(`not ready when ${name}: /readyz and /healthz are 503 and say why, /livez is 200`, async () => {
    await withEdge({ health }, async ({ port }) => {
      const ready = await get(port, '/readyz');
      assertProblem(ready, 503, 'not_ready');
      assert.match(String(ready.json['detail']), reason);
      assert.match(String((ready.json['reasons'] as string[])[0]), reason);
      const healthy = await get(port, '/healthz');
      assert.equal(healthy.status, 503);
      assert.equal(healthy.json['status'], 'unavailable');
      assert.equal((await get(port, '/livez')).status, 200);
    });
  });
}

test('an outbox that hangs does not hang the probes, and many probes ask it once', async () => {
  const clock = manualClock(now);
  let asked = 0;
  const answers: ((stats: OutboxStats) => void)[] = [];
  const stats = (): Promise<OutboxStats> => {
    asked += 1;
    return new Promise((resolve) => answers.push(resolve));
  };
  const edge = await startEdge({ clock, health: { ...wellHealth, stats } });
  try {
    const probes = Array.from({ length: 20 }, (_, index) => get(edge.port, index % 2 === 0 ? '/readyz' : '/healthz'));
    await condition(() => asked === 1);
    assert.equal((await get(edge.port, '/livez')).status, 200);
    // Further probes join until the time is over; those that came late begin anew.
    const settled = Promise.all(probes);
    let done = false;
    void settled.then(() => {
      done = true;
    });
    await condition(() => {
      if (!done) clock.advance(100);
      return done;
    });
    for (const reply of await settled) {
      assert.equal(reply.status, 503);
      assert.match(reply.text, /did not answer within 2000 ms/);
    }
    const answersBefore = answers.length;
    const again = get(edge.port, '/readyz');
    await condition(() => answers.length > answersBefore);
    for (const answer of answers) answer(emptyStats);
    assert.equal((await again).status, 200, 'well again');
  } finally {
    await edge.server.stop(0);
  }
});
