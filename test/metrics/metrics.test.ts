import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { register } from 'prom-client';
import { TokenError } from '../../src/azure/token-error.ts';
import type { Hold, UploadEvent } from '../../src/delivery/event.ts';
import { outcomeOf, type UploadResult } from '../../src/delivery/outcome.ts';
import { createBoundedRead } from '../../src/ground/clock.ts';
import type { RequestRecord } from '../../src/http/exchange.ts';
import type { ServiceState } from '../../src/http/health.ts';
import { combinations, METRIC_PREFIX } from '../../src/metrics/instruments.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { buriedCodes, type MetricSpec, metricTable } from '../../src/metrics/table.ts';
import { type OutboxStats, STATS_LIMIT_MS } from '../../src/outbox/port.ts';
import { emptyStats, event, wellHealth } from '../http/edge.ts';
import { eventually } from '../support/eventually.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { typeOf } from './document.ts';
import { Exposition } from './exposition.ts';

const errorsFile = new URL('../../docs/errors.md', import.meta.url);
const stream = 'Custom-Requests_CL';
const specs: readonly (MetricSpec & { readonly name: string })[] = Object.entries(metricTable).map(([name, spec]) => ({
  name: METRIC_PREFIX + name,
  ...spec,
}));
const dimensions = {
  kinds: ['request', 'audit'],
  streams: [stream],
};
const build = { version: '1.2.3', node_version: process.version };

interface Fixture {
  readonly metrics: ReturnType<typeof createMetrics>;
  readonly clock: ManualClock;
  read(): Promise<Exposition>;
}

interface Sources extends Omit<Partial<ServiceState>, 'stats' | 'disk'> {
  /** As the outbox and the file system answer; the service bounds both. */
  readonly stats?: () => Promise<OutboxStats>;
  readonly disk?: () => ReturnType<ServiceState['disk']>;
}

function create({ stats = async () => emptyStats, disk = wellHealth.disk, ...sources }: Sources = {}): Fixture {
  const clock = manualClock();
  const bounds = { limitMs: STATS_LIMIT_MS, clock };
  const metrics = createMetrics({
    version: '1.2.3',
    clock,
    streams: { request: stream, audit: null },
  });
  const state: ServiceState = {
    ...wellHealth,
    ...sources,
    stats: createBoundedRead(stats, bounds),
    disk: createBoundedRead(disk, bounds),
  };
  return { metrics, clock, read: async () => new Exposition((await metrics.expose(state)).body) };
}

function record(overrides: Partial<RequestRecord>): RequestRecord {
  return {
    requestId: 'r-1',
    method: 'POST',
    startedAtMs: 0,
    route: 'webhook',
    status: 200,
    code: null,
    durationMs: 4,
    authentication: 'current',
    clientAddress: null,
    bodyBytes: 10,
    accepted: null,
    quarantined: false,
    feedIgnored: false,
    trace: null,
    ...overrides,
  };
}

function upload(result: UploadResult, overrides: Partial<UploadEvent> = {}): UploadEvent {
  const outcome = outcomeOf(result, 0).type;
  return {
    type: 'uploaded',
    stream,
    rows: 2,
    bytes: 900,
    outcome,
    result,
    durationMs: 40,
    duringHold: false,
    ...overrides,
  };
}

function answered(status: number, code: string | null = null): UploadResult {
  return {
    type: 'answered',
    status,
    by: 'azure',
    proxy: null,
    code,
    message: null,
    retryAfter: null,
    clientRequestId: 'c',
  };
}

describe('the names', () => {
  it('follow the rule that docs/metrics.md states', async () => {
    const { families } = await create().read();
    assert.ok(families.size > specs.length, 'the process metrics are there too');
    for (const { name, type } of families.values()) {
      assert.match(name, /^apono_sentinel_[a-z]+[a-z0-9_]*$/);
      assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
      assert.doesNotMatch(name, /_(ms|milliseconds|minutes|hours|kb|kilobytes|megabytes|percent)(_|$)/);
    }
    for (const { name, unit, labels = [{}] } of specs) {
      // A base unit stands in the name, so that no table has to say it.
      assert.doesNotMatch(unit ?? '', /second|byte/);
      const names = labels.map((set) => Object.keys(set).join());
      assert.equal(new Set(names).size, 1, `${name} has the same labels everywhere`);
      assert.doesNotMatch(String(names), /\bid\b|_id|address|email|user/);
    }
  });

  it('that are fixed are there', async () => {
    const exposition = await create().read();
    for (const state of ['waiting', 'held', 'dead', 'quarantined']) {
      assert.equal(exposition.value('apono_sentinel_outbox_events', { state }), 0);
      assert.equal(exposition.value('apono_sentinel_outbox_oldest_age_seconds', { state }), 0);
    }
    assert.equal(exposition.value('apono_sentinel_build_info', build), 1);
  });
});

describe('at the start', () => {
  it('every label set of the table is there with 0, and no other', async () => {
    const { families } = await create().read();
    for (const spec of specs) {
      const family = families.get(spec.name);
      assert.equal(family?.type, typeOf(spec.name, spec), spec.name);
      assert.equal(family?.help, spec.help);
      const ofTable = (spec.labels ?? [{}]).flatMap((set) => combinations(set, dimensions));
      const expected = (spec.name === `${METRIC_PREFIX}build_info` ? [build] : ofTable).map(sorted);
      const counted = spec.buckets !== undefined ? `${spec.name}_count` : spec.name;
      const found = family?.samples.filter(({ name }) => name === counted) ?? [];
      assert.deepEqual(found.map(({ labels }) => sorted(labels)).sort(), expected.sort(), spec.name);
      const known = [
        'build_info',
        'outbox_used_bytes',
        'outbox_max_bytes',
        'outbox_writable',
        'disk_free_bytes',
        'disk_size_bytes',
      ];
      if (known.some((name) => spec.name === METRIC_PREFIX + name)) continue;
      assert.ok(
        found.every(({ value }) => value === 0),
        `${spec.name} begins at 0`,
      );
    }
  });

  it('prom-client’s global registry stays empty, and two services do not share one', async () => {
    const [a, b] = [create(), create()];
    a.metrics.onRequest(record({ accepted: {} }));
    assert.equal((await a.read()).sum('apono_sentinel_http_requests_total'), 1);
    assert.equal((await b.read()).sum('apono_sentinel_http_requests_total'), 0);
    assert.deepEqual(register.getMetricsAsArray(), []);
  });
});

describe('requests', () => {
  it('count by route, method and status, with methods that nobody knows as one', async () => {
    const { metrics, read } = create();
    metrics.onRequest(record({ accepted: {} }));
    metrics.onRequest(record({ method: 'PROPFIND', status: 405, code: 'method_not_allowed', authentication: null }));
    metrics.onRequest(record({ method: 'BREW', status: 405, code: 'method_not_allowed', authentication: null }));
    metrics.onRequest(record({ status: null, code: 'request_aborted' }));
    metrics.onRequest(record({ route: 'healthz', method: 'GET', status: 503, authentication: null }));
    const exposition = await read();
    assert.deepEqual(exposition.nonZero('apono_sentinel_http_requests_total'), {
      'code=200,method=POST,route=webhook': 1,
      'code=405,method=other,route=webhook': 2,
      'code=503,method=GET,route=healthz': 1,
      'code=none,method=POST,route=webhook': 1,
    });
    assert.deepEqual(exposition.nonZero('apono_sentinel_http_problems_total'), {
      'code=method_not_allowed': 2,
      'code=request_aborted': 1,
    });
    const duration = 'apono_sentinel_http_request_duration_seconds';
    assert.equal(exposition.value(`${duration}_bucket`, { route: 'webhook', le: '0.005' }), 4);
    assert.equal(exposition.value(`${duration}_bucket`, { route: 'webhook', le: '0.0025' }), 0);
  });

  it('bring events by kind, action and outcome', async () => {
    const { metrics, clock, read } = create();
    metrics.onAccepted([
      event({ rows: 3 }),
      event({ action: 'Created', hasInvalidFields: true }),
      event({ duplicate: true, rows: 9, hasInvalidFields: true }),
    ]);
    metrics.onRequest(record({ accepted: {} }));
    metrics.onRequest(record({ status: 422, code: 'schema_mismatch', quarantined: true }));
    metrics.onRequest(record({ status: 503, code: 'outbox_full' }));
    // No events: nobody knows who sent them.
    metrics.onRequest(record({ status: 401, code: 'secret_wrong', authentication: 'wrong' }));
    metrics.onRequest(record({ status: 403, code: 'address_not_allowed', authentication: null }));
    const exposition = await read();
    assert.deepEqual(exposition.nonZero('apono_sentinel_events_total'), {
      'action=Granted,kind=request,outcome=accepted': 1,
      'action=Created,kind=request,outcome=accepted': 1,
      'action=Granted,kind=request,outcome=duplicate': 1,
      'action=none,kind=none,outcome=quarantined': 1,
      'action=none,kind=none,outcome=rejected': 1,
    });
    assert.deepEqual(exposition.nonZero('apono_sentinel_accepted_rows_total'), { 'kind=request': 4 });
    assert.deepEqual(exposition.nonZero('apono_sentinel_events_with_invalid_fields_total'), { 'kind=request': 1 });
    assert.deepEqual(exposition.nonZero('apono_sentinel_last_accepted_timestamp_seconds'), {
      'kind=request': clock.now() / 1000,
    });
  });

  it('tell which secret was used, and when the previous one last was', async () => {
    const { metrics, clock, read } = create();
    const usedAt = clock.now();
    metrics.onRequest(record({ authentication: 'previous', accepted: {} }));
    clock.advance(60_000);
    for (const authentication of ['current', 'missing', 'not_bearer', 'wrong', 'wrong'] as const) {
      metrics.onRequest(record({ authentication, status: authentication === 'current' ? 200 : 401 }));
    }
    const exposition = await read();
    assert.deepEqual(exposition.nonZero('apono_sentinel_authentications_total'), {
      'result=accepted,secret=current': 1,
      'result=accepted,secret=previous': 1,
      'result=missing,secret=none': 1,
      'result=not_bearer,secret=none': 1,
      'result=wrong,secret=none': 2,
    });
    assert.equal(exposition.value('apono_sentinel_previous_secret_last_used_timestamp_seconds'), usedAt / 1000);
  });
});

describe('delivery', () => {
  it('counts calls by what the answer means, and makes no series of a status that nobody foresaw', async () => {
    const { metrics, read } = create();
    const before = (await read()).samples.length;
    const lost = { message: '', clientRequestId: '' } as const;
    const token = { aadsts: null, message: '', said: null, isForeign: false };
    const results: readonly UploadResult[] = [
      ...[200, 204, 302, 400, 401, 403, 404, 407, 408, 413, 418, 429, 500, 502, 503, 504, 599].map((status) =>
        answered(status),
      ),
      answered(400, 'InvalidStream'),
      { type: 'unanswered', reason: 'network', ...lost },
      { type: 'unanswered', reason: 'timeout', ...lost },
      { type: 'unanswered', reason: 'aborted', ...lost },
      { type: 'no_token', failure: { ...token, code: 'token_refused' } },
      { type: 'no_token', failure: { ...token, code: 'token_unreachable' } },
    ];
    for (const result of results) metrics.onDelivery(upload(result));
    const exposition = await read();
    const counted = exposition.nonZero('apono_sentinel_uploads_total');
    assert.equal(exposition.samples.length, before);
    assert.equal(exposition.sum('apono_sentinel_uploads_total'), results.length);
    const of = (outcome: string, code: string) => counted[`code=${code},outcome=${outcome},stream=${stream}`];
    assert.deepEqual([of('delivered', '204'), of('hold', '2xx'), of('split', '413')], [1, 1, 1]);
    assert.deepEqual([of('refused', '400'), of('hold', '400'), of('hold', '4xx'), of('hold', '3xx')], [1, 1, 1, 1]);
    assert.deepEqual([of('retry', '5xx'), of('retry', '503'), of('retry', 'timeout')], [1, 1, 1]);
    assert.deepEqual([of('retry', 'no_token'), of('hold', 'no_token')], [1, 1]);
  });

  it('measures rows and bytes of calls that carry any, and the time of all', async () => {
    const { metrics, read } = create();
    metrics.onDelivery(upload(answered(204), { rows: 20, bytes: 12_000, durationMs: 250 }));
    metrics.onDelivery(upload(answered(204), { rows: 0, bytes: 2 }));
    const exposition = await read();
    assert.equal(exposition.value('apono_sentinel_upload_rows_count', { stream }), 1);
    assert.equal(exposition.value('apono_sentinel_upload_rows_sum', { stream }), 20);
    assert.equal(exposition.value('apono_sentinel_upload_bytes_sum', { stream }), 12_000);
    const labels = { stream, outcome: 'delivered' };
    assert.equal(exposition.value('apono_sentinel_upload_duration_seconds_count', labels), 2);
    assert.equal(exposition.value('apono_sentinel_upload_duration_seconds_sum', labels), 0.29);
  });

  it('measures from the receipt to the delivery, and a clock that was set back makes no negative time', async () => {
    const { metrics, clock, read } = create();
    const receivedAt = clock.now();
    clock.advance(2_500);
    metrics.onDelivery({ type: 'delivered', kind: 'request', stream, action: 'Granted', receivedAt, rows: 3 });
    metrics.onDelivery({
      type: 'delivered',
      kind: 'request',
      stream,
      action: 'Granted',
      receivedAt: clock.now() + 86_400_000,
      rows: 1,
    });
    const exposition = await read();
    assert.equal(exposition.value('apono_sentinel_delivery_latency_seconds_sum', { stream }), 2.5);
    assert.equal(exposition.value('apono_sentinel_delivery_latency_seconds_count', { stream }), 2);
    assert.equal(exposition.value('apono_sentinel_delivered_rows_total', { stream }), 4);
    assert.equal(exposition.value('apono_sentinel_last_delivery_timestamp_seconds', { stream }), clock.now() / 1000);
  });

  it('knows the codes of dead letters that docs/errors.md lists', () => {
    const [, section = ''] = readFileSync(errorsFile, 'utf8').split('\n## Dead letters\n');
    const codes = [...(section.split('\n## ')[0] ?? '').matchAll(/^- `(\w+)`: /gm)].map(([, code]) => code);
    assert.deepEqual([...buriedCodes, 'salvaged'].sort(), codes.sort());
  });

  it('counts pauses, dead rows, failures of the outbox and defects', async () => {
    const { metrics, read } = create();
    metrics.onDelivery({ type: 'retry_scheduled', stream, failures: 1, delayMs: 5 });
    metrics.onDelivery({ type: 'buried', eventId: 'v1-x', stream, rows: 7, code: 'refused_by_azure' });
    metrics.onDelivery({ type: 'outbox_failed', stream, operation: 'settle', message: '' });
    metrics.onDelivery({ type: 'defect', stream, message: '' });
    const exposition = await read();
    assert.equal(exposition.value('apono_sentinel_delivery_retries_total', { stream }), 1);
    assert.equal(exposition.value('apono_sentinel_dead_rows_total', { stream, code: 'refused_by_azure' }), 7);
    assert.equal(exposition.value('apono_sentinel_outbox_failures_total', { operation: 'settle' }), 1);
    assert.equal(exposition.value('apono_sentinel_delivery_defects_total', { stream }), 1);
  });
});

function holdOf(code: Hold['code'], since = 0): Hold {
  return { kind: 'request', stream, since, code, reason: '', fix: '', message: null, clientRequestId: null };
}

describe('the outbox', () => {
  it('shows events and ages by state, held ones apart', async () => {
    const clock = manualClock();
    const at = clock.now();
    const stats: OutboxStats = {
      ...emptyStats,
      waiting: {
        request: { count: 5, oldestReceivedAt: at - 90_000 },
        audit: { count: 2, oldestReceivedAt: at - 10_000 },
      },
      dead: { count: 1, oldestReceivedAt: at - 500_000 },
      quarantined: { count: 3, oldestReceivedAt: at - 7_000 },
      bytes: { waiting: 700, dead: 100, quarantined: 30 },
      usedBytes: 8_192,
      logBytes: 4_096,
    };
    const holds: Hold[] = [];
    const { read } = create({ stats: async () => stats, holds: () => holds });
    const free = await read();
    assert.deepEqual(free.nonZero('apono_sentinel_outbox_events'), {
      'state=waiting': 7,
      'state=dead': 1,
      'state=quarantined': 3,
    });
    assert.equal(free.value('apono_sentinel_outbox_oldest_age_seconds', { state: 'waiting' }), 90);
    holds.push(holdOf('token_rejected', at));
    const held = await read();
    assert.deepEqual(held.nonZero('apono_sentinel_outbox_events'), {
      'state=waiting': 2,
      'state=held': 5,
      'state=dead': 1,
      'state=quarantined': 3,
    });
    assert.deepEqual(held.nonZero('apono_sentinel_outbox_oldest_age_seconds'), {
      'state=waiting': 10,
      'state=held': 90,
      'state=dead': 500,
      'state=quarantined': 7,
    });
    assert.deepEqual(held.nonZero('apono_sentinel_outbox_bytes'), {
      'state=waiting': 700,
      'state=dead': 100,
      'state=quarantined': 30,
    });
    assert.equal(held.value('apono_sentinel_outbox_used_bytes'), 8_192);
    assert.equal(held.value('apono_sentinel_outbox_log_bytes'), 4_096);
    assert.equal(held.value('apono_sentinel_outbox_max_bytes'), 1_000_000);
  });

  it('shows the reason of a hold, the one of now', async () => {
    let holds: readonly Hold[] = [holdOf('role_missing', 7_000)];
    const { read } = create({ holds: () => holds });
    const first = await read();
    assert.deepEqual(first.nonZero('apono_sentinel_hold'), { [`reason=role_missing,stream=${stream}`]: 1 });
    assert.equal(first.value('apono_sentinel_hold_since_timestamp_seconds', { stream }), 7);
    holds = [holdOf('token_rejected', 7_000)];
    assert.deepEqual((await read()).nonZero('apono_sentinel_hold'), { [`reason=token_rejected,stream=${stream}`]: 1 });
    holds = [];
    const after = await read();
    assert.deepEqual(after.nonZero('apono_sentinel_hold'), {});
    assert.equal(after.value('apono_sentinel_hold_since_timestamp_seconds', { stream }), 0);
  });

  it('shows commits with their time and group', async () => {
    const { metrics, read } = create();
    metrics.onStore({ type: 'commit', durationMs: 8, puts: 4, events: 9, outcome: 'committed' });
    metrics.onStore({ type: 'commit', durationMs: 3, puts: 1, events: 1, outcome: 'failed' });
    const exposition = await read();
    const duration = 'apono_sentinel_outbox_commit_duration_seconds';
    assert.equal(exposition.value(`${duration}_sum`, { outcome: 'committed' }), 0.008);
    assert.equal(exposition.value(`${duration}_count`, { outcome: 'failed' }), 1);
    assert.equal(exposition.value('apono_sentinel_outbox_commit_group_puts_sum'), 5);
    assert.equal(exposition.value('apono_sentinel_outbox_commit_group_events_bucket', { le: '5' }), 1);
  });

  it('has its troubles counted by operation', async () => {
    const { metrics, read } = create();
    metrics.onStore({ type: 'trouble', operation: 'checkpoint', reason: 'disk I/O error', isDamage: false });
    metrics.onStore({ type: 'trouble', operation: 'commit', reason: 'disk I/O error', isDamage: false });
    metrics.onStore({
      type: 'trouble',
      operation: 'commit',
      reason: 'database disk image is malformed',
      isDamage: true,
    });
    const exposition = await read();
    const found = exposition.nonZero('apono_sentinel_outbox_troubles_total');
    assert.deepEqual(found, { 'operation=commit': 2, 'operation=checkpoint': 1 });
  });

  it('is shown as not writable and damaged when it is', async () => {
    const { read } = create({
      stats: async () => ({ ...emptyStats, writable: false, problem: 'full' }),
      outbox: { damagedFile: 'outbox.db.damaged', trouble: null, folder: '/data' },
      disk: () => Promise.reject(new Error('no such file system')),
    });
    const exposition = await read();
    assert.equal(exposition.value('apono_sentinel_outbox_writable'), 0);
    assert.equal(exposition.value('apono_sentinel_outbox_damaged'), 1);
    assert.equal(exposition.value('apono_sentinel_disk_size_bytes'), 0);
  });
});

describe('a scrape', () => {
  it('ends after 2 s when outbox and disk hang, does not ask them twice, and the age goes on', async () => {
    let asked = 0;
    let hangs = false;
    let answer = () => {};
    const oldestReceivedAt = manualClock().now() - 60_000;
    const stats = { ...emptyStats, waiting: { request: { count: 1, oldestReceivedAt } } };
    const { read, clock } = create({
      stats() {
        asked++;
        if (!hangs) return Promise.resolve(stats);
        return new Promise((resolve) => {
          answer = () => resolve(stats);
        });
      },
      disk: () => new Promise(() => {}),
    });
    const scrape = async (): Promise<Exposition> => {
      const exposing = read();
      await eventually(() => clock.timerCount === (hangs ? 2 : 1));
      clock.advance(STATS_LIMIT_MS);
      return exposing;
    };
    assert.equal((await scrape()).value('apono_sentinel_outbox_writable'), 1);
    hangs = true;
    const second = await scrape();
    const third = await scrape();
    assert.equal(asked, 2, 'the third scrape waits for the question of the second');
    assert.equal(second.value('apono_sentinel_outbox_writable'), 0);
    assert.equal(second.value('apono_sentinel_outbox_events', { state: 'waiting' }), 1);
    assert.deepEqual(
      [second, third].map((each) => each.value('apono_sentinel_outbox_oldest_age_seconds', { state: 'waiting' })),
      [64, 66],
    );
    assert.equal(clock.timerCount, 0);
    hangs = false;
    answer();
    assert.equal((await scrape()).value('apono_sentinel_outbox_writable'), 1);
  });

  it('goes on when the outbox rejects or throws', async () => {
    for (const stats of [
      () => Promise.reject(new Error('gone')),
      () => {
        throw new Error('gone');
      },
    ]) {
      assert.equal((await create({ stats }).read()).value('apono_sentinel_outbox_writable'), 0);
    }
  });
});

describe('the token', () => {
  it('shows age, expiry and tries by result', async () => {
    const { metrics, clock, read } = create();
    const expiresAt = clock.now() + 3_600_000;
    metrics.onTokenEvent({ type: 'obtained', expiresAt, background: false });
    clock.advance(90_000);
    metrics.onTokenEvent({ type: 'failed', error: new TokenError('token_refused', 'no'), background: true });
    metrics.onTokenEvent({ type: 'failed', error: new TokenError('token_unreachable', 'no'), background: true });
    const exposition = await read();
    assert.equal(exposition.value('apono_sentinel_token_age_seconds'), 90);
    assert.equal(exposition.value('apono_sentinel_token_expiry_timestamp_seconds'), expiresAt / 1000);
    assert.deepEqual(exposition.nonZero('apono_sentinel_token_refreshes_total'), {
      'result=obtained,trigger=call': 1,
      'result=refused,trigger=background': 1,
      'result=unreachable,trigger=background': 1,
    });
  });
});

function sorted(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(
    Object.entries(labels)
      .filter(([label]) => label !== 'le')
      .sort(),
  );
}
