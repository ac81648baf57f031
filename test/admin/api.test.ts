import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { quarantineId } from '../../src/apono/event.ts';
import { assertProblem, send } from '../http/edge.ts';
import { delivered, event, quarantined, rowsOf, settlement } from '../outbox/samples.ts';
import { type Admin, startAdmin } from './fixture.ts';

type Json = Record<string, unknown>;

const base = '/admin/v1/outbox';
const webhook = JSON.stringify({ event_type: 'RequestGranted', event_time: 1_767_323_045, data: { id: 'r1' } });

/** A body that is read without a complaint, in quarantine all the same: as after an update of the service. */
function readable(body: string) {
  const bytes = Buffer.from(body);
  return quarantined(quarantineId(bytes, null), { body: bytes, code: 'unknown_kind', reason: 'was unknown then' });
}

async function bury(admin: Admin, id: string, rowCount: number): Promise<void> {
  await admin.outbox.put([event(id, { rowCount })]);
  const [claimed] = (await admin.outbox.claim({ kind: 'request', maxBytes: 1_000_000 })).events;
  assert.ok(claimed?.eventId === id);
  const dead = [{ rows: [[0, 1]] as const, code: 'refused_by_azure', reason: 'no' }];
  await admin.outbox.settle([settlement(claimed, { delivered: [[1, rowCount]], dead })]);
}

describe('records', () => {
  it('come in pages, oldest first, each once, and one that goes meanwhile moves no other', async (t) => {
    const admin = await startAdmin(t);
    const ids = Array.from({ length: 2_500 }, (_, index) => `q-${index}`);
    await admin.outbox.put(ids.map((id, index) => quarantined(id, { receivedAt: 1_700_000_000_000 + index })));
    const seen: unknown[] = [];
    let after: unknown = null;
    do {
      const query: string = after === null ? '' : `&after=${encodeURIComponent(String(after))}`;
      const { status, json } = await admin.get(`${base}/records?state=quarantined&limit=1000${query}`);
      assert.equal(status, 200);
      const page = json['records'] as Json[];
      assert.ok(page.length <= 1_000);
      seen.push(...page.map(({ id }) => id));
      if (after === null) await admin.post(`${base}/purge`, { ids: ['q-0', 'q-999', 'q-1500'] });
      after = json['next'];
    } while (after !== null);
    assert.deepEqual(
      seen,
      ids.filter((id) => id !== 'q-1500'),
    );
  });

  it('are shown with what is known of them, the body as text or as base64', async (t) => {
    const admin = await startAdmin(t);
    await bury(admin, 'an/event ?#%', 3);
    await admin.outbox.put([quarantined('bytes', { body: Uint8Array.of(0xff, 0x00, 0x41) })]);
    const shown = await admin.get(`${base}/records/${encodeURIComponent('an/event ?#%')}`);
    assert.equal(shown.status, 200, shown.text);
    const { dead_letters: letters, body, rows, dead_rows: dead, pending } = shown.json;
    assert.deepEqual([rows, dead, pending, 'body_form' in shown.json], [3, 1, [], false]);
    assert.deepEqual(
      (letters as Json[]).map((letter) => [letter['rows'], letter['code'], letter['reason']]),
      [[[[0, 1]], 'refused_by_azure', 'no']],
    );
    assert.equal(body, `[${rowsOf(event('an/event ?#%', { rowCount: 3 })).join(',')}]`);
    const bytes = await admin.get(`${base}/records/bytes`);
    assert.equal(bytes.json['body_base64'], Buffer.of(0xff, 0, 0x41).toString('base64'));
    for (const id of ['none', '%zz', '%00', '..%2f..%2fetc']) {
      assert.equal((await admin.get(`${base}/records/${id}`)).status, 404, id);
    }
  });

  it('are refused for parameters that mean nothing, with what is wrong with each', async (t) => {
    const admin = await startAdmin(t);
    const cases = [
      ['', ['state']],
      ['?state=lost', ['state']],
      ['?state=dead&state=dead', ['state', 'state']],
      ['?state=dead&limit=0', ['limit']],
      ['?state=dead&limit=1001', ['limit']],
      ['?state=dead&limit=1e3&stat=x', ['stat']],
      ['?state=dead&limit=ten&after=', ['after', 'limit']],
      ['?state=dead&__proto__=x', ['__proto__']],
      ['?state=dead&after=no-cursor-of-ours', ['after']],
      [`?state=dead&after=${Buffer.from('NaN.NaN').toString('base64url')}`, ['after']],
    ] as const;
    for (const [query, paths] of cases) {
      const reply = await admin.get(`${base}/records${query}`);
      assertProblem(reply, 400, 'request_invalid');
      assert.deepEqual(
        (reply.json['errors'] as Json[]).map(({ path }) => path),
        paths,
        query,
      );
    }
  });
});

describe('an id', () => {
  const idOf = (start: string, n: number) => `${start}1abcdef${String(n).padStart(58, '0')}`;

  it('may be shortened to its first eight characters or more, wherever one is asked for', async (t) => {
    const admin = await startAdmin(t);
    await bury(admin, idOf('v', 1), 3);
    const entry = { ...readable(webhook), quarantineId: idOf('q', 1) };
    await admin.outbox.put([entry, quarantined(idOf('q', 2))]);
    const [event1, body1, body2] = [idOf('v', 1), idOf('q', 1), idOf('q', 2)];
    const event8 = event1.slice(0, 8);
    assert.equal((await admin.get(`${base}/records/${event8}`)).json['id'], event1);
    assert.equal((await admin.get(`${base}/records/${body1.slice(0, 65)}`)).json['code'], 'id_ambiguous');
    assert.equal((await admin.get(`${base}/records/${body1}`)).json['id'], body1);
    const replay = await admin.post(`${base}/replay`, { ids: [event8, event1, body1], dry_run: true });
    assert.deepEqual(
      (replay.json['results'] as Json[]).map(({ id, outcome }) => [id, outcome]),
      [
        [event1, 'revived'],
        [event1, 'revived'],
        [body1, 'accepted'],
      ],
    );
    const purge = await admin.post(`${base}/purge`, { ids: [event8, 'q1abcdef', event1.slice(0, 7), body2] });
    const results = purge.json['results'] as Json[];
    assert.deepEqual(
      results.map(({ id, purged, code }) => [id, purged, code]),
      [
        [event1, true, undefined],
        ['q1abcdef', false, 'id_ambiguous'],
        ['v1abcde', false, 'id_too_short'],
        [body2, true, undefined],
      ],
    );
    assert.match(String(results[1]?.['detail']), /^2 records have an id that begins with "q1abcdef"/);
    assert.equal((await admin.get(`${base}/records/q1abcdef`)).json['id'], body1, 'the only one that is left');
  });

  it('that is too short, could be several, or is nobody’s says so and changes nothing', async (t) => {
    const admin = await startAdmin(t);
    await admin.outbox.put([quarantined(idOf('q', 1)), quarantined(idOf('q', 2))]);
    const cases = [
      ['q1abcde', 'id_too_short', /the first 8 characters of an id or more/],
      ['q1abcdef', 'id_ambiguous', /^2 records have an id/],
      ['q1abcdee', 'record_not_found', /no quarantined body, has this id/],
    ] as const;
    for (const [id, code, detail] of cases) {
      const shown = await admin.get(`${base}/records/${id}`);
      assertProblem(shown, 404, code);
      assert.match(String(shown.json['detail']), detail);
      const replay = await admin.post(`${base}/replay`, { ids: [id] });
      const [result] = replay.json['results'] as Json[];
      assert.equal(result?.['outcome'], 'nothing_to_replay');
      assert.equal(result?.['code'], code === 'record_not_found' ? undefined : code);
      const purge = await admin.post(`${base}/purge`, { ids: [id] });
      assert.equal((purge.json['results'] as Json[])[0]?.['purged'], false);
    }
    assert.equal((await admin.outbox.stats()).quarantined.count, 2);
  });
});

describe('replay', () => {
  it('tells what it would do, does it, and tells delivery', async (t) => {
    const admin = await startAdmin(t);
    await bury(admin, 'dead', 3);
    const entry = readable(webhook);
    await admin.outbox.put([entry, quarantined('broken'), event('waiting')]);
    const ids = ['dead', entry.quarantineId, 'broken', 'waiting', 'none', 'dead'];
    admin.waiting.length = 0;
    const dry = await admin.post(`${base}/replay`, { ids, dry_run: true });
    assert.equal(dry.json['dry_run'], true);
    const outcomes = (reply: { json: Json }) =>
      (reply.json['results'] as Json[]).map(({ id, outcome }) => [id, outcome]);
    const expected = [
      ['dead', 'revived'],
      [entry.quarantineId, 'accepted'],
      ['broken', 'still_refused'],
      ['waiting', 'nothing_to_replay'],
      ['none', 'nothing_to_replay'],
      ['dead', 'revived'],
    ];
    assert.deepEqual(outcomes(dry), expected);
    const before = await admin.outbox.stats();
    assert.deepEqual([before.dead.count, before.quarantined.count], [1, 2]);
    assert.equal(admin.waiting.length, 0);
    const done = await admin.post(`${base}/replay`, { ids });
    assert.deepEqual(outcomes(done), expected);
    assert.deepEqual(done.json['results'], dry.json['results']);
    const after = await admin.outbox.stats();
    assert.deepEqual([after.dead.count, after.quarantined.count, after.waiting['request']?.count], [0, 1, 3]);
    assert.deepEqual(
      admin.waiting.map(({ kind }) => kind),
      ['request', null],
    );
    assert.ok(
      admin.waiting.every(({ bytes }) => bytes > 0),
      'or delivery would wait for more',
    );
    assert.match(admin.logText(), /"message":"replayed"/);
    assert.deepEqual(outcomes(await admin.post(`${base}/replay`, { ids: ['dead'] })), [['dead', 'nothing_to_replay']]);
  });

  it('of a body whose event is known already makes no rows, and takes it out of quarantine', async (t) => {
    const admin = await startAdmin(t);
    const one = readable(webhook);
    const two = readable(`[${webhook},${webhook}]`);
    await admin.outbox.put([one, two]);
    const dry = await admin.post(`${base}/replay`, { ids: [two.quarantineId], dry_run: true });
    const eventsOf = (reply: { json: Json }) =>
      (reply.json['results'] as Json[]).flatMap(({ events }) => events as Json[]);
    assert.deepEqual(
      eventsOf(dry).map(({ duplicate, rows }) => [duplicate, rows]),
      [
        [false, 1],
        [true, 0],
      ],
    );
    const both = await admin.post(`${base}/replay`, { ids: [one.quarantineId, two.quarantineId] });
    assert.deepEqual(
      eventsOf(both).map(({ duplicate }) => duplicate),
      [false, true, true],
    );
    const { waiting, quarantined: left } = await admin.outbox.stats();
    assert.deepEqual([waiting['request']?.count, left.count], [1, 0]);
    const { events: claimed } = await admin.outbox.claim({ kind: 'request', maxBytes: 1_000_000 });
    await admin.outbox.settle(claimed.map(delivered));
    await admin.outbox.put([one]);
    const afterwards = await admin.post(`${base}/replay`, { ids: [one.quarantineId], dry_run: true });
    assert.deepEqual(
      eventsOf(afterwards).map(({ duplicate, rows }) => [duplicate, rows]),
      [[true, 0]],
      'it was delivered',
    );
  });
});

describe('requests that change something', () => {
  it('are refused when they are not exactly what is expected, and change nothing', async (t) => {
    const admin = await startAdmin(t);
    await admin.outbox.put([quarantined('a')]);
    const bodies = [
      ['', ''],
      ['{"ids":["a"]', ''],
      ['["a"]', ''],
      ['null', ''],
      [{}, '/ids'],
      [{ ids: [] }, '/ids'],
      [{ ids: 'a' }, '/ids'],
      [{ ids: ['a', 7] }, '/ids'],
      [{ ids: ['a', ''] }, '/ids'],
      [{ ids: Array.from({ length: 1_001 }, (_, index) => `x${index}`) }, '/ids'],
      [{ ids: ['a'], all: true }, '/all'],
    ] as const;
    for (const path of ['purge', 'replay']) {
      for (const [body, at] of bodies) {
        const reply = await admin.post(`${base}/${path}`, body);
        assertProblem(reply, 400, 'request_invalid');
        assert.equal((reply.json['errors'] as Json[])[0]?.['path'], at, JSON.stringify(body));
      }
    }
    assertProblem(await admin.post(`${base}/replay`, { ids: ['a'], 'dry-run': true }), 400, 'request_invalid');
    assertProblem(await admin.post(`${base}/replay`, { ids: ['a'], dry_run: 'yes' }), 400, 'request_invalid');
    assertProblem(await admin.post(`${base}/purge`, { ids: ['a'], dry_run: true }), 400, 'request_invalid');
    assertProblem(await admin.post(`${base}/purge`, { ids: ['y'.repeat(300_000)] }), 413, 'body_too_large');
    assertProblem(await admin.get(`${base}/purge`), 405, 'method_not_allowed');
    assertProblem(await admin.post(`${base}/records?state=dead`, {}), 405, 'method_not_allowed');
    assert.equal((await admin.outbox.stats()).quarantined.count, 1);
  });

  it('may be compressed, and say charset', async (t) => {
    const admin = await startAdmin(t);
    await admin.outbox.put([quarantined('a')]);
    const reply = await send(admin.port, {
      method: 'POST',
      path: `${base}/purge`,
      headers: { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' },
      body: gzipSync('{"ids":["a","b","a"]}'),
    });
    assert.deepEqual(
      (reply.json['results'] as Json[]).map(({ id, purged }) => [id, purged]),
      [
        ['a', true],
        ['b', false],
        ['a', true],
      ],
    );
    assert.match(admin.logText(), /"records":1,"ids":\["a"\],"message":"purged"/);
  });

  it('whatever they hold, are answered 200 or 400', async (t) => {
    const admin = await startAdmin(t);
    const body = fc.oneof(
      fc.json(),
      fc.record(
        { ids: fc.oneof(fc.jsonValue(), fc.array(fc.string())), dry_run: fc.jsonValue() },
        { requiredKeys: [] },
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('replay', 'purge'), body, async (path, value) => {
        assert.ok([200, 400].includes((await admin.post(`${base}/${path}`, value)).status));
      }),
      { numRuns: 200 },
    );
    await fc.assert(
      fc.asyncProperty(fc.webQueryParameters(), fc.string(), async (query, id) => {
        assert.ok([200, 400].includes((await admin.get(`${base}/records?${query}`)).status));
        assert.equal((await admin.get(`${base}/records/x${encodeURIComponent(id.toWellFormed())}`)).status, 404);
      }),
      { numRuns: 200 },
    );
  });
});

it('an outbox that does not answer is 503, and a replay says of which records', async (t) => {
  const admin = await startAdmin(t);
  await admin.outbox.close();
  for (const path of [base, `${base}/records?state=dead`, `${base}/records/x`]) {
    const reply = await admin.get(path);
    assertProblem(reply, 503, 'outbox_unavailable');
    assert.equal(reply.headers['retry-after'], '10');
  }
  assertProblem(await admin.post(`${base}/purge`, { ids: ['a'] }), 503, 'outbox_unavailable');
  const replay = await admin.post(`${base}/replay`, { ids: ['a'] });
  assert.deepEqual(replay.json['results'], [{ id: 'a', outcome: 'unavailable' }]);
});
