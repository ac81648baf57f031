import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quarantineCodes } from '../../src/intake/quarantine-codes.ts';
import type { Received } from '../../src/outbox/port.ts';
import { manualClock } from '../support/manual-clock.ts';
import { accepted, assertProblem, bearer, event, post, secret, send, withEdge } from './edge.ts';

test('an accepted event is answered with its facts, twice', async () => {
  const events = [event({ eventId: 'v1-1', rows: 3 })];
  await withEdge({ receive: async () => accepted(events) }, async (edge) => {
    const reply = await post(edge.port, '{"a":1}');
    const fields = { status: 'accepted', event_id: 'v1-1', kind: 'request', rows: 3, duplicate: false };
    assert.equal(reply.status, 200);
    assert.match(String(reply.headers['content-type']), /^application\/json/);
    assert.deepEqual(reply.json, { ...fields, data: fields });
    assert.equal(Buffer.from(edge.received[0]?.bytes ?? []).toString(), '{"a":1}');
  });
});

test('a duplicate is accepted too, with the time since when it is stored', async () => {
  const known = event({ duplicate: true, firstStoredAt: Date.UTC(2026, 4, 6, 7, 8, 9) });
  await withEdge({ receive: async () => accepted([known]) }, async ({ port }) => {
    const { status, json } = await post(port, '{}');
    assert.equal(status, 200);
    assert.equal(json['status'], 'accepted');
    assert.equal(json['duplicate'], true);
    assert.equal(json['message'], 'already stored since 2026-05-06T07:08:09.000Z');
    assert.deepEqual(json['data'], Object.fromEntries(Object.entries(json).filter(([key]) => key !== 'data')));
  });
});

test('several events: the first is named, rows are the sum, duplicate only if all are', async () => {
  const events = [
    event({ eventId: 'v1-1', rows: 2, duplicate: true }),
    event({ eventId: 'v1-2', kind: 'audit', rows: 5 }),
  ];
  await withEdge({ receive: async () => accepted(events) }, async ({ port, logs }) => {
    const { json } = await post(port, '[]');
    const fields = {
      status: 'accepted',
      event_id: 'v1-1',
      kind: 'request',
      rows: 7,
      duplicate: false,
      events: [
        { event_id: 'v1-1', kind: 'request', rows: 2, duplicate: true },
        { event_id: 'v1-2', kind: 'audit', rows: 5, duplicate: false },
      ],
    };
    assert.deepEqual(json, { ...fields, data: fields });
    assert.equal(logs().at(-1)?.['event_count'], 2);
  });
});

test('what is not JSON is 400, and says that it is kept and what to do', async () => {
  const received: Received = {
    outcome: 'quarantined',
    code: 'body_not_json',
    detail: 'is not JSON at byte 3',
    errors: [],
  };
  await withEdge({ receive: async () => received }, async ({ port }) => {
    const reply = await post(port, '{"a":');
    assertProblem(reply, 400, 'body_not_json');
    assert.equal(reply.json['quarantined'], true);
    assert.equal(reply.json['detail'], `is not JSON at byte 3. ${quarantineCodes.body_not_json.remedy}`);
  });
});

test('what no schema takes is 422 with the places, and says that it is kept and what to do', async () => {
  const errors = [{ path: '/event_time', message: 'is no time' }];
  const received: Received = { outcome: 'quarantined', code: 'schema_mismatch', detail: 'wrong', errors };
  await withEdge({ receive: async () => received }, async ({ port }) => {
    const reply = await post(port, '{}');
    assertProblem(reply, 422, 'schema_mismatch');
    assert.equal(reply.json['quarantined'], true);
    assert.deepEqual(reply.json['errors'], errors);
    assert.equal(reply.json['detail'], `wrong. ${quarantineCodes.schema_mismatch.remedy}`);
  });
});

test('an answer stays short however much was wrong', async () => {
  const errors = Array.from({ length: 10_000 }, (_, index) => ({ path: `/${index}`, message: 'x'.repeat(10_000) }));
  const received: Received = { outcome: 'quarantined', code: 'schema_mismatch', detail: '😀'.repeat(9_000), errors };
  await withEdge({ receive: async () => received }, async ({ port }) => {
    const reply = await post(port, '{}');
    assertProblem(reply, 422, 'schema_mismatch');
    assert.ok(reply.text.length < 50_000);
    const detail = String(reply.json['detail']);
    assert.ok(detail.isWellFormed() && detail.length <= 500);
    assert.ok(detail.endsWith(`…. ${quarantineCodes.schema_mismatch.remedy}`), 'what to do is not cut off');
  });
});

test('a full outbox is told once a minute in the log, however many webhooks meet it', async () => {
  const clock = manualClock();
  await withEdge({ receive: async () => ({ outcome: 'full' }), clock }, async ({ port, logs }) => {
    const told = () => logs().filter(({ message, code }) => code === 'outbox_full' && message !== 'webhook');
    for (let sent = 0; sent < 3; sent++) await post(port, '{}');
    assert.equal(told().length, 1);
    assert.match(String(told()[0]?.['message']), /the outbox is full/);
    clock.advance(60_000);
    await post(port, '{}');
    assert.deepEqual(
      told().map(({ suppressed }) => suppressed),
      [undefined, 2],
    );
  });
});

for (const [outcome, code] of [
  ['full', 'outbox_full'],
  ['unavailable', 'outbox_unavailable'],
] as const) {
  test(`an outbox that is ${outcome} is 503 with Retry-After`, async () => {
    await withEdge({ receive: async () => ({ outcome }) }, async ({ port }) => {
      const reply = await post(port, '{}');
      assertProblem(reply, 503, code);
      assert.match(String(reply.headers['retry-after']), /^[1-9]\d*$/);
    });
  });
}

test('PUT is the same as POST, and so is a slash behind the path, a query, any content type', async () => {
  await withEdge({}, async ({ port, received }) => {
    for (const [method, path] of [
      ['POST', '/apono/webhook'],
      ['PUT', '/apono/webhook'],
      ['POST', '/apono/webhook/'],
      ['POST', '/apono/webhook?source=apono'],
    ]) {
      for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'nonsense', '']) {
        const headers = { ...bearer, 'content-type': type };
        const reply = await send(port, { ...{ method, path }, headers, body: 'a=1&b=2' } as Parameters<typeof send>[1]);
        assert.equal(reply.status, 200, `${method} ${path} ${type}`);
      }
    }
    assert.equal(received.length, 20);
    assert.ok(received.every(({ bytes }) => Buffer.from(bytes).toString() === 'a=1&b=2'));
  });
});

for (const method of ['GET', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
  test(`${method} on the webhook is 405 with Allow, with and without the secret`, async () => {
    await withEdge({}, async ({ port, received }) => {
      for (const headers of [{}, bearer]) {
        const reply = await send(port, { method, headers });
        assert.equal(reply.status, 405);
        assert.equal(reply.headers['allow'], 'POST, PUT');
        if (method === 'HEAD') assert.equal(reply.text, '');
        else assertProblem(reply, 405, 'method_not_allowed');
      }
      assert.equal(received.length, 0);
    });
  });
}

for (const path of ['/', '/apono', '/apono/webhook/x', '/apono//webhook', '/apono/webhook%2F', '/%', '/metrics', '*']) {
  test(`the path ${path} is 404, with the secret too`, async () => {
    await withEdge({}, async ({ port, received }) => {
      assertProblem(await send(port, { path, headers: bearer }), 404, 'not_found');
      assert.equal(received.length, 0);
    });
  });
}

test('the feed label is handed on, trimmed and as UTF-8', async () => {
  await withEdge({}, async ({ port, received }) => {
    const utf8 = Buffer.from('  Zürich 東京  ').toString('latin1');
    await post(port, '{}', { 'x-apono-feed': utf8 });
    await post(port, '{}');
    assert.deepEqual(
      received.map(({ feed }) => feed),
      ['Zürich 東京', null],
    );
  });
});

test('a feed label that cannot be used costs no event, and the log says so', async () => {
  await withEdge({}, async ({ port, received, logs }) => {
    const labels = ['x'.repeat(129), 'tab\there', Buffer.from('‮evil').toString('latin1'), '\xff\xfe', ['a', 'b']];
    for (const label of labels) {
      const reply = await post(port, '{}', { 'x-apono-feed': label });
      assert.equal(reply.status, 200);
    }
    assert.deepEqual([...new Set(received.map(({ feed }) => feed))], [null]);
    assert.equal(logs().filter((line) => line['feed_ignored'] === true).length, labels.length);
  });
});

test('a well-formed request id is kept, another is replaced', async () => {
  await withEdge({}, async ({ port, logs }) => {
    const kept = await post(port, '{}', { 'x-request-id': 'abc-1.2_3' });
    assert.equal(kept.headers['x-request-id'], 'abc-1.2_3');
    assert.equal(logs().at(-1)?.['request_id'], 'abc-1.2_3');
    for (const wrong of ['', 'a b', 'x'.repeat(129), '"quoted"', 'ü', 'a, b']) {
      const replaced = await post(port, '{}', { 'x-request-id': wrong });
      assert.match(String(replaced.headers['x-request-id']), /^[0-9a-f]{8}-[0-9a-f-]{27}$/, wrong);
    }
  });
});

test('a webhook leaves one log line with chosen fields and nothing of the request', async () => {
  const justification = 'because-of-incident-4711';
  await withEdge({}, async ({ port, logs, logText }) => {
    await post(port, JSON.stringify({ justification, email: 'jane@example.com' }), {
      'x-webhook-secret': 'other-secret-value',
      cookie: 'session=cookie-value',
      'x-apono-feed': 'feed-value',
      'user-agent': 'agent-value',
    });
    assert.equal(logs().length, 1);
    const { time, duration_ms: durationMs, request_id: requestId, ...fields } = logs()[0] ?? {};
    assert.ok(typeof time === 'string' && typeof durationMs === 'number' && typeof requestId === 'string');
    assert.deepEqual(fields, {
      level: 'info',
      method: 'POST',
      route: 'webhook',
      status: 200,
      body_bytes: 71,
      event_id: 'v1-abc',
      kind: 'request',
      rows: 71,
      duplicate: false,
      message: 'webhook',
    });
    assert.doesNotMatch(logText(), /4711|jane|other-secret|correct-horse|cookie|feed-value|agent-value/);
  });
});

test('the log names the address of a caller without the secret, and none of one with it', async () => {
  await withEdge({}, async ({ port, logs }) => {
    await send(port);
    assert.equal(logs().at(-1)?.['client_address'], '127.0.0.1');
    assert.equal(logs().at(-1)?.['code'], 'secret_missing');
    await post(port, '{}');
    assert.equal(logs().at(-1)?.['client_address'], undefined);
  });
});

test('a defect is answered 500 without a word of it, and the log gets no text of the body', async () => {
  const defects: (() => never)[] = [
    () => {
      JSON.parse('justification of jane@example.com');
      throw new Error('not reached');
    },
    () => {
      throw new RangeError('the index is out of range');
    },
    () => {
      throw `a string of ${secret}`;
    },
  ];
  let next = 0;
  await withEdge({ receive: async () => (defects[next++] as () => never)() }, async ({ port, logs, logText }) => {
    for (const _ of defects) {
      const reply = await post(port, '{}', { connection: 'close' });
      assertProblem(reply, 500, 'internal_error');
      assert.doesNotMatch(reply.text, /jane|range|string of/);
    }
    assert.doesNotMatch(logText(), /jane|correct-horse/);
    assert.match(logText(), /the index is out of range/);
    assert.match(logText(), /webhook\.test\.ts/);
    assert.equal(logs().filter(({ level }) => level === 'error').length, 6);
  });
});

test('answers carry the headers of something that is never a page, and not what made them', async () => {
  await withEdge({}, async ({ port }) => {
    for (const { headers } of [await post(port, '{}'), await send(port), await send(port, { path: '/nowhere' })]) {
      assert.equal(headers['x-powered-by'], undefined);
      assert.equal(headers['etag'], undefined);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cache-control'], 'no-store');
      assert.match(String(headers['content-security-policy']), /default-src 'none'; ?frame-ancestors 'none'/);
    }
  });
});

test('200 webhooks at once are all answered, each with its own facts', async () => {
  await withEdge({}, async ({ port }) => {
    const sizes = Array.from({ length: 200 }, (_, index) => index + 1);
    const replies = await Promise.all(sizes.map((size) => post(port, 'x'.repeat(size))));
    assert.deepEqual(
      replies.map(({ json }) => json['rows']),
      sizes,
    );
  });
});
