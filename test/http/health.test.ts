import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBoundedRead, systemClock } from '../../src/ground/clock.ts';
import type { ServiceState } from '../../src/http/health.ts';
import type { HealthProblem } from '../../src/http/health-problems.ts';
import { defaultLimits } from '../../src/http/limits.ts';
import type { StoreTrouble } from '../../src/outbox/open.ts';
import { type OutboxStats, OutboxUnavailableError, STATS_LIMIT_MS } from '../../src/outbox/port.ts';
import { assertNothingPrivate } from '../support/log-secrets.ts';
import { manualClock } from '../support/manual-clock.ts';
import {
  accepted,
  assertProblem,
  bearer,
  condition,
  emptyStats,
  event,
  post,
  type Reply,
  secret,
  send,
  startEdge,
  wellHealth,
  withEdge,
} from './edge.ts';

const now = Date.UTC(2026, 2, 4, 5, 6, 7);
const minutes = (count: number): number => count * 60_000;
const hold = {
  code: 'role_missing' as const,
  kind: 'audit',
  stream: 'Custom-AponoAuditLogs_CL',
  since: now - minutes(3),
  reason: '403 from Azure',
  fix: 'Give the application the role Monitoring Metrics Publisher on the rule.',
};
/** What a hold has beside these is not for /healthz. */
const unshown = { message: 'Azure quotes a row', clientRequestId: 'c-1' };

function get(port: number, path: string): Promise<Reply> {
  return send(port, { method: 'GET', path });
}

/** Each says what to do. */
function problemsOf({ json }: Reply): HealthProblem[] {
  const problems = json['problems'] as HealthProblem[];
  for (const { code, fix } of problems) assert.notEqual(fix, '', code);
  return problems;
}

function codesOf(reply: Reply): string[] {
  return problemsOf(reply).map(({ code }) => code);
}

function withStats(stats: Partial<OutboxStats>): ServiceState {
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
  const health: ServiceState = {
    ...withStats({
      waiting: { request: waiting(3, 42_900), audit: { count: 0, oldestReceivedAt: null } },
    }),
    tokenExpiresAt: () => now + minutes(55),
  };
  await withEdge({ clock, health }, async ({ port, history }) => {
    clock.set(now - 1_000);
    history.onDelivery({
      type: 'delivered',
      kind: 'request',
      stream: '',
      action: 'Granted',
      receivedAt: now - 2_000,
      rows: 1,
    });
    clock.set(now);
    const { status, json } = await get(port, '/healthz');
    assert.equal(status, 200);
    const { uptime_seconds: uptime, ...facts } = json;
    assert.ok(Number.isInteger(uptime) && Number(uptime) >= 0);
    assert.deepEqual(facts, {
      status: 'ok',
      version: '1.2.3',
      outbox: { waiting: 3, held: 0, dead: 0, quarantined: 0, oldest_age_seconds: 42 },
      // Nothing is known of it but what was delivered, as after a kill.
      last_accepted: '2026-03-04T05:06:05.000Z',
      last_accepted_by_kind: { request: '2026-03-04T05:06:05.000Z', audit: null },
      last_delivery: '2026-03-04T05:06:06.000Z',
      last_delivery_by_kind: { request: '2026-03-04T05:06:06.000Z', audit: null },
      refused: {},
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
  await withEdge(
    { clock, health: { ...withStats(stats), holds: () => [{ ...hold, ...unshown }] } },
    async ({ port }) => {
      const { status, json } = await get(port, '/healthz');
      assert.equal(status, 503);
      assert.equal(json['status'], 'failing');
      const message = 'Stream Custom-AponoAuditLogs_CL is on hold: 403 from Azure';
      assert.deepEqual(json['problems'], [{ code: 'delivery_on_hold', message, fix: hold.fix }]);
      assert.deepEqual(json['outbox'], { waiting: 1, held: 7, dead: 0, quarantined: 0, oldest_age_seconds: 5 });
      assert.deepEqual(json['hold'], { ...hold, since: '2026-03-04T05:03:07.000Z' });
      assert.equal(json['holds'], undefined);
      assert.equal((await get(port, '/readyz')).status, 200);
    },
  );
});

test('several holds are all listed', async () => {
  const other = { ...hold, kind: 'request', stream: 'Custom-AponoAccessRequests_CL' };
  const clock = manualClock(now);
  const stats = { waiting: { request: waiting(1, 1_000), audit: waiting(7, 5_000) } };
  await withEdge(
    { clock, health: { ...withStats(stats), holds: () => [other, hold].map((one) => ({ ...one, ...unshown })) } },
    async ({ port }) => {
      const { json } = await get(port, '/healthz');
      assert.equal((json['hold'] as typeof hold).kind, 'request');
      assert.deepEqual(
        (json['holds'] as (typeof hold)[]).map(({ kind }) => kind),
        ['request', 'audit'],
      );
      assert.deepEqual((json['outbox'] as Record<string, unknown>)['held'], 8);
    },
  );
});

test('an event that waits over 15 minutes makes /healthz 503, at 15 minutes it is 200', async () => {
  const clock = manualClock(now);
  await withEdge({ clock, health: withStats({ waiting: { request: waiting(1, minutes(15)) } }) }, async ({ port }) => {
    assert.equal((await get(port, '/healthz')).status, 200);
    clock.advance(1_000);
    const late = await get(port, '/healthz');
    assert.equal(late.status, 503);
    assert.equal(late.json['status'], 'failing');
    assert.deepEqual(codesOf(late), ['delivery_late']);
    assert.equal((await get(port, '/readyz')).status, 200);
  });
});

test('a damaged database that was set aside: /healthz is degraded and names it until somebody has looked', async () => {
  const damagedFile = '/data/outbox.db.damaged-2026-01-02T03-04-05.000Z';
  const outbox: { damagedFile: string | null; trouble: null; folder: string } = {
    damagedFile,
    trouble: null,
    folder: '/data',
  };
  const health = { ...wellHealth, outbox };
  await withEdge({ health }, async ({ port }) => {
    const reply = await get(port, '/healthz');
    const { status, json } = reply;
    assert.deepEqual([status, json['status'], json['damaged_file']], [200, 'degraded', damagedFile]);
    assert.deepEqual(codesOf(reply), ['damaged_database']);
    assert.match(problemsOf(reply)[0]?.fix ?? '', /outbox salvage \/data\/outbox\.db\.damaged-/);
    assert.equal((await get(port, '/readyz')).status, 200);
    outbox.damagedFile = null;
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

test('dead letters and quarantined bodies: degraded and 200, with a command, until none is left', async () => {
  let stats: Partial<OutboxStats> = { dead: { count: 2, oldestReceivedAt: now } };
  const health = { ...wellHealth, stats: async () => ({ ...emptyStats, ...stats }) };
  await withEdge({ health }, async ({ port }) => {
    const dead = await get(port, '/healthz');
    assert.deepEqual([dead.status, dead.json['status'], codesOf(dead)], [200, 'degraded', ['dead_letters']]);
    assert.match(problemsOf(dead)[0]?.message ?? '', /2 events/);
    assert.match(problemsOf(dead)[0]?.fix ?? '', /`apono-sentinel outbox list --state dead`/);
    stats = { quarantined: { count: 21, oldestReceivedAt: now } };
    const kept = await get(port, '/healthz');
    assert.deepEqual([kept.status, kept.json['status'], codesOf(kept)], [200, 'degraded', ['bodies_quarantined']]);
    assert.match(problemsOf(kept)[0]?.message ?? '', /21 bodies/);
    assert.match(problemsOf(kept)[0]?.fix ?? '', /`apono-sentinel outbox list --state quarantined`/);
    stats = {};
    assert.equal((await get(port, '/healthz')).json['status'], 'ok');
  });
});

test('?fail=degraded makes 503 of what is degraded, for GET and HEAD, and leaves what is well at 200', async () => {
  let dead = 1;
  const stats = async () => ({ ...emptyStats, dead: { count: dead, oldestReceivedAt: now } });
  await withEdge({ health: { ...wellHealth, stats } }, async ({ port }) => {
    const strict = await get(port, '/healthz?fail=degraded');
    assert.deepEqual([strict.status, strict.json['status']], [503, 'degraded']);
    assert.equal((await send(port, { method: 'HEAD', path: '/healthz?fail=degraded' })).status, 503);
    assert.equal((await get(port, '/healthz')).status, 200);
    dead = 0;
    assert.equal((await get(port, '/healthz?fail=degraded')).status, 200);
  });
});

test('a credential that ends: degraded from 30 days before, with another code once it has ended', async () => {
  const clock = manualClock(now);
  const endsAt = now + 31 * 86_400_000;
  await withEdge({ clock, health: { ...wellHealth, credentialEndsAt: () => endsAt } }, async ({ port }) => {
    assert.deepEqual(codesOf(await get(port, '/healthz')), []);
    clock.advance(86_400_001);
    const soon = await get(port, '/healthz');
    assert.deepEqual([soon.json['status'], codesOf(soon)], ['degraded', ['credential_expires_soon']]);
    assert.match(problemsOf(soon)[0]?.message ?? '', /expires on 2026-04-04T05:06:07\.000Z/);
    clock.advance(30 * 86_400_000);
    assert.deepEqual(codesOf(await get(port, '/healthz')), ['credential_expired']);
  });
});

test('a heartbeat that fails: degraded, with its own fix', async () => {
  const failure = { outcome: 'hold', reason: 'It fails.', fix: 'Mend it.', clientRequestId: null } as const;
  const failing = { ...failure, since: now, retryAfterMs: null };
  const heartbeat = () => ({ stream: 'Custom-Heartbeat_CL', lastSentAt: null, failing });
  await withEdge({ health: { ...wellHealth, heartbeat } }, async ({ port }) => {
    const { json } = await get(port, '/healthz');
    const message = 'No heartbeat was sent since the start: It fails.';
    const problem = { code: 'heartbeat_failing', message, fix: 'Mend it.' };
    assert.deepEqual([json['status'], json['problems']], ['degraded', [problem]]);
  });
});

test('105 webhooks with a wrong secret in an hour: degraded, counted by code, with what to do', async () => {
  const clock = manualClock(now);
  await withEdge({ clock }, async ({ port }) => {
    for (let count = 0; count < 105; count += 1) {
      // Far enough apart to stay under the limit on failures.
      await send(port, { headers: { authorization: 'Bearer a-wrong-one-of-somebody' }, body: '{}' });
      clock.advance(30_000);
    }
    const reply = await get(port, '/healthz');
    assert.deepEqual([reply.status, reply.json['status']], [200, 'degraded']);
    assert.deepEqual(reply.json['refused'], { secret_wrong: 105 });
    const [problem] = problemsOf(reply);
    assert.equal(problem?.code, 'webhooks_refused');
    assert.equal(problem?.message, '105 webhooks were refused within the last hour: 105 secret_wrong.');
    assert.match(problem?.fix ?? '', /Compare the header in Apono with the secret/);
    assertNothingPrivate(reply.text, [secret, 'a-wrong-one', '127.0.0.1']);
  });
});

test('refusals are forgotten after an hour, minute by minute, and a clock that was set back brings none back', async () => {
  const clock = manualClock(Math.floor(now / 60_000) * 60_000);
  const refused = async (port: number) => (await get(port, '/healthz')).json['refused'];
  await withEdge({ clock }, async ({ port }) => {
    await send(port, { body: '{}' });
    clock.advance(minutes(1));
    await send(port, { headers: { authorization: 'Basic x' }, body: '{}' });
    await send(port, { headers: { authorization: 'Basic x' }, body: '{}' });
    assert.deepEqual(await refused(port), { authorization_not_bearer: 2, secret_missing: 1 });
    clock.advance(minutes(59));
    assert.deepEqual(await refused(port), { authorization_not_bearer: 2 });
    clock.advance(minutes(1));
    assert.deepEqual(await refused(port), {});
    assert.equal((await get(port, '/healthz')).json['status'], 'ok');
    await send(port, { body: '{}' });
    clock.set(now - minutes(1_440));
    assert.deepEqual(await refused(port), {});
    await send(port, { body: '{}' });
    assert.deepEqual(await refused(port), { secret_missing: 1 });
  });
});

test('what cannot be an event of Apono is no refusal: other paths, other methods, probes', async () => {
  await withEdge({}, async ({ port }) => {
    await get(port, '/apono/webhook');
    await get(port, '/wp-login.php');
    await send(port, { path: '/apono/webhook/nothing', body: '{}' });
    await send(port, { path: '/healthz', body: '{}' });
    const { json } = await get(port, '/healthz');
    assert.deepEqual([json['status'], json['refused']], ['ok', {}]);
  });
});

test('each refusal of the webhook is counted; that of a quarantined body is a problem only while it is kept', async () => {
  const limits = defaultLimits(300);
  const refusal = { outcome: 'quarantined', code: 'unknown_kind', detail: 'x', errors: [] } as const;
  const receive = async () => refusal;
  await withEdge({ receive, limits, webhook: { maxBodyBytes: 300 } }, async ({ port }) => {
    assert.equal((await post(port, '{}')).status, 422);
    const kept = await get(port, '/healthz');
    assert.deepEqual([kept.json['refused'], kept.json['status']], [{ unknown_kind: 1 }, 'ok']);
    assert.equal((await post(port, 'x'.repeat(301))).status, 413);
    assert.equal((await post(port, 'x', { 'content-encoding': 'zstd' })).status, 415);
    const reply = await get(port, '/healthz');
    assert.deepEqual(reply.json['refused'], { unknown_kind: 1, body_too_large: 1, encoding_unsupported: 1 });
    assert.equal(
      problemsOf(reply)[0]?.message,
      '2 webhooks were refused within the last hour: 1 body_too_large, 1 encoding_unsupported.',
    );
  });
});

test('last_accepted is the time of the last event that was answered 200, and that of each kind', async () => {
  const clock = manualClock(now);
  const receive = async () => accepted([event({ kind: 'audit', duplicate: true })]);
  await withEdge({ clock, receive }, async ({ port }) => {
    await send(port, { headers: bearer, body: '{}' });
    clock.advance(5_000);
    const { json } = await get(port, '/healthz');
    assert.equal(json['last_accepted'], '2026-03-04T05:06:07.000Z');
    assert.deepEqual(json['last_accepted_by_kind'], { request: null, audit: '2026-03-04T05:06:07.000Z' });
  });
});

test('after a kill, what waits and what is delivered then say when events were last accepted', async () => {
  const clock = manualClock(now);
  const health = withStats({ waiting: { request: waiting(1, 42_900), audit: waiting(2, 9_000) } });
  await withEdge({ clock, health }, async ({ port, history }) => {
    const lastAccepted = async () => (await get(port, '/healthz')).json['last_accepted_by_kind'];
    assert.deepEqual(await lastAccepted(), { request: '2026-03-04T05:05:24.100Z', audit: '2026-03-04T05:05:58.000Z' });
    const delivered = { type: 'delivered', kind: 'audit', stream: '', action: 'Other', rows: 1 } as const;
    for (const ageMs of [1_000, 86_400_000]) history.onDelivery({ ...delivered, receivedAt: now - ageMs });
    assert.deepEqual(await lastAccepted(), { request: '2026-03-04T05:05:24.100Z', audit: '2026-03-04T05:06:06.000Z' });
    assert.equal(history.lastAccepted().get('audit Other'), now - 1_000);
  });
});

const gone = createBoundedRead((): Promise<never> => Promise.reject(new OutboxUnavailableError('worker gone')), {
  limitMs: STATS_LIMIT_MS,
  clock: systemClock,
});
const notReady: [string, ServiceState, string, RegExp][] = [
  ['starting', { ...wellHealth, started: () => false }, 'starting', /starting/],
  ['not writable', withStats({ writable: false, problem: 'disk I/O error' }), 'outbox_not_writable', /disk I\/O error/],
  ['not writable for no known reason', withStats({ writable: false }), 'outbox_not_writable', /cannot store/],
  ['at its limit', withStats({ usedBytes: 1_000_000 }), 'outbox_full', /full.*OUTBOX_MAX_BYTES/],
  ['gone', { ...wellHealth, stats: gone }, 'outbox_not_answering', /not available/],
];
for (const [name, health, code, reason] of notReady) {
  test(`not ready when ${name}: /readyz and /healthz are 503 and say why, /livez is 200`, async () => {
    await withEdge({ health }, async ({ port, records }) => {
      const ready = await get(port, '/readyz');
      assertProblem(ready, 503, 'not_ready');
      // The log and http_problems_total take the code from here.
      assert.equal(records.at(-1)?.code, 'not_ready');
      assert.match(String(ready.json['detail']), reason);
      assert.match(String((ready.json['reasons'] as string[])[0]), reason);
      const healthy = await get(port, '/healthz');
      assert.equal(healthy.status, 503);
      assert.equal(healthy.json['status'], 'failing');
      assert.deepEqual(codesOf(healthy), [code]);
      assert.equal((await get(port, '/livez')).status, 200);
    });
  });
}

test('a write-ahead log counts to what is used, and does not make the outbox full', async () => {
  const health = withStats({ usedBytes: 1_500_000, logBytes: 600_000 });
  await withEdge({ health }, async ({ port }) => {
    assert.equal((await get(port, '/readyz')).status, 200);
    assert.equal((await get(port, '/healthz')).json['status'], 'ok');
  });
});

const readerReason =
  'another program has the database open in a read transaction, so that its write-ahead log cannot be emptied';
type Shown = Pick<StoreTrouble, 'reason'> & Partial<StoreTrouble> & { readonly isLocal?: boolean };
const troubles: [string, Shown, RegExp][] = [
  ['a disk that fails', { reason: 'disk I/O error (SQLite result code 778)' }, /`df -h`.*system log/],
  ['a reader', { reason: readerReason }, /End the program that has outbox\.db open.*backup.*sqlite3/],
  ['a writer', { reason: 'database is locked (SQLite result code 5)' }, /End the program that has outbox\.db open/],
  ['damage', { reason: 'database disk image is malformed', isDamage: true }, /sets it aside by itself/],
  ['identities', { reason: 'OUTBOX_MAX_BYTES is reached', operation: 'prune' }, /lower DEDUP_DAYS/],
  ['PostgreSQL', { reason: 'Connection terminated', isLocal: false }, /PostgreSQL server.*log/],
];
for (const [name, { operation = 'commit', reason, isDamage = false, isLocal = true }, fix] of troubles) {
  test(`trouble of the database by ${name} makes /healthz degraded for ten minutes, and says what to do`, async () => {
    const clock = manualClock(now);
    const trouble = { operation, reason, at: now, isDamage };
    const outbox = { damagedFile: null, trouble, folder: isLocal ? '/data' : null };
    const health = { ...wellHealth, outbox };
    await withEdge({ clock, health }, async ({ port }) => {
      clock.advance(minutes(10) - 1);
      const reply = await get(port, '/healthz');
      assert.deepEqual([reply.status, reply.json['status'], codesOf(reply)], [200, 'degraded', ['outbox_trouble']]);
      const [problem] = problemsOf(reply);
      assert(
        problem?.message.includes(`with a ${operation} at 2026-03-04T05:06:07.000Z: ${reason}.`),
        problem?.message,
      );
      assert.match(problem?.fix ?? '', fix);
      clock.advance(1);
      assert.equal((await get(port, '/healthz')).json['status'], 'ok');
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
  const bounded = createBoundedRead(stats, { limitMs: STATS_LIMIT_MS, clock });
  const edge = await startEdge({ clock, health: { ...wellHealth, stats: bounded } });
  try {
    const probes = Array.from({ length: 20 }, (_, index) => get(edge.port, index % 2 === 0 ? '/readyz' : '/healthz'));
    await condition(() => asked === 1);
    assert.equal((await get(edge.port, '/livez')).status, 200);
    // All probes wait for the same answer, each for 2 s at most.
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
    assert.equal(asked, 1, 'a question that hangs is not asked again');
    for (const answer of answers) answer(emptyStats);
    const again = get(edge.port, '/readyz');
    await condition(() => answers.length === 2);
    for (const answer of answers) answer(emptyStats);
    assert.equal((await again).status, 200, 'well again');
  } finally {
    await edge.server.stop(0);
  }
});
