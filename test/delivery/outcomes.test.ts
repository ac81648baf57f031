import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FaultAnswer } from '../support/azure/faults.ts';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { advanceUntil, requestEvent, startDelivery, units } from './harness.ts';

const ingest = (answer: FaultAnswer, times: number | 'forever' = 1) => ({ target: 'ingest', answer, times }) as const;
const status = (code: number, more: Partial<FaultAnswer & { type: 'status' }> = {}) =>
  ({ type: 'status', status: code, ...more }) as const;

for (const [name, headers] of [
  ['204', {}],
  ['204 with Content-Encoding: gzip and no body', { 'content-encoding': 'gzip' }],
  ['204 with headers of a body that does not come', { 'content-encoding': 'br', 'content-type': 'text/html' }],
] as const) {
  test(`${name}: delivered once, the body is gone from the outbox`, async (t) => {
    const f = await startDelivery(t);
    f.emulator.plan(ingest(status(204, { headers, processed: true })));
    await f.sendAndFlush(requestEvent('r-1'));
    await eventually(async () => (await f.waiting()) === 0);
    assert.equal(f.rows().length, 1);
    assert.equal(f.calls().length, 1);
    assert.deepEqual(f.delivered, [{ kind: 'request', rows: 1 }]);
    const line = f.logLines.find(({ outcome }) => outcome !== undefined);
    assert.ok(line !== undefined);
    assert.deepEqual([line['rows'], line['outcome'], line['status']], [1, 'delivered', 204]);
    assert.equal(line['client_request_id'], f.calls()[0]?.clientRequestId);
  });
}

const blocked = '<!DOCTYPE html><html><head><title>Web Page Blocked</title></head><body>zoe@example.com</body></html>';
const html = { 'content-type': 'text/html' };
const notAzure: readonly (readonly [string, FaultAnswer])[] = [
  ['200 with a page', status(200, { body: blocked, headers: html, foreign: true })],
  ['200 of Azure', status(200, { body: {} })],
  ['202', status(202)],
  ['200 with Content-Encoding: gzip and no gzip', status(200, { headers: { 'content-encoding': 'gzip' }, body: 'x' })],
  ['a redirect to a sign-in page', status(302, { headers: { location: 'https://portal.example/' }, foreign: true })],
  ['400 with a page', status(400, { body: blocked, headers: html, foreign: true })],
  ['400 of nobody', status(400, { foreign: true })],
  ['401 of nobody', status(401, { foreign: true })],
  ['403 of nobody', status(403, { body: 'Forbidden', foreign: true })],
  ["403 with a page, Azure's request id on it", status(403, { body: blocked, headers: html })],
  ['404 of nobody', status(404, { foreign: true })],
  ['407 of nobody', status(407, { foreign: true })],
  ['413 with a page', status(413, { body: blocked, headers: html, foreign: true })],
  ['413 of nobody', status(413, { body: '{"error":"too large"}', foreign: true })],
  ['502 with a page', status(502, { body: blocked, headers: html, foreign: true })],
];

for (const [name, answer] of notAzure) {
  test(`${name} is not Azure's answer: a hold that buries nothing and quotes nothing, until Azure answers`, async (t) => {
    const f = await startDelivery(t);
    f.emulator.plan(ingest(answer, 'forever'));
    await f.sendAndFlush(requestEvent('r-1', units(3)));
    await eventually(() => f.delivery.holds().length === 1);
    const [hold] = f.delivery.holds();
    assert.equal(hold?.code, 'not_azure');
    assert.match(hold.fix, /HTTPS_PROXY/);
    assert.doesNotMatch(JSON.stringify([hold.reason, hold.fix, f.logLines]), /Blocked|zoe/);
    assert.deepEqual([await f.waiting(), f.buried.length, f.rows().length], [1, 0, 0]);
    f.emulator.clearPlan();
    await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
    await eventually(() => f.ended.length === 1);
    assert.deepEqual([f.rows().length, f.buried.length], [3, 0]);
  });
}

for (const target of ['openid', 'token'] as const) {
  for (const [name, answer] of notAzure.filter(([each]) => /page|407/.test(each) && !each.startsWith('502'))) {
    test(`${name} to a request for a token (${target}) is not Entra's answer: the same hold`, async (t) => {
      const f = await startDelivery(t);
      f.emulator.plan({ target, answer, times: 'forever' });
      await f.sendAndFlush(requestEvent('r-1'));
      await eventually(() => f.delivery.holds().length === 1);
      const [hold] = f.delivery.holds();
      assert.equal(hold?.code, 'not_azure');
      assert.match(hold.fix, /HTTPS_PROXY/);
      assert.doesNotMatch(JSON.stringify([hold.reason, hold.fix, f.logLines]), /Blocked|zoe/);
      f.emulator.clearPlan();
      await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
      assert.deepEqual([f.rows().length, f.buried.length], [1, 0]);
    });
  }
}

const passing: readonly (readonly [string, FaultAnswer])[] = [
  ['408', status(408)],
  ['429 without Retry-After', status(429)],
  ['500', status(500, { body: { error: { code: null, message: 'x' } } })],
  ['501', status(501)],
  ['502 with a page of HTML', status(502, { body: '<html>Bad Gateway</html>' })],
  ['503', status(503)],
  ['503 of a load balancer, without a mark of Azure', status(503, { body: 'no healthy upstream', foreign: true })],
  ['429 without a mark of Azure', status(429, { foreign: true })],
  ['an error that is cut in the middle of its body', { type: 'reset', at: 'half_body' }],
  ['504', status(504)],
  ['a reset before the answer', { type: 'reset' }],
  ['a reset in the middle of the answer', { type: 'reset', at: 'half_body', processed: false }],
];

for (const [name, answer] of passing) {
  test(`${name}: the same rows again after 1 s × 2ⁿ, without limit, and nothing is buried`, async (t) => {
    const f = await startDelivery(t);
    f.emulator.plan(ingest(answer, 3));
    await f.sendAndFlush(requestEvent('r-1'));
    for (const [failures, seconds] of [
      [1, 1],
      [2, 2],
      [3, 4],
    ] as const) {
      await eventually(() => f.retries.length === failures);
      assert.deepEqual(f.retries.at(-1)?.delayMs, seconds * 1000 * (1 - Number.EPSILON / 2));
      const before = f.calls().length;
      f.clock.advance(seconds * 1000 - 1);
      assert.equal(await f.waiting(), 1);
      assert.equal(f.calls().length, before, 'nothing is sent before the time');
      f.clock.advance(1);
      await eventually(() => f.calls().length === before + 1);
    }
    await eventually(async () => (await f.waiting()) === 0);
    assert.deepEqual([f.calls().length, f.rows().length, f.buried.length], [4, 1, 0]);
    assert.equal(f.delivery.holds().length, 0);
  });
}

test('backoff stops growing at 5 minutes, and there is no attempt limit', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan(ingest(status(503), 14));
  await f.sendAndFlush(requestEvent('r-1'));
  for (let failures = 1; failures <= 14; failures++) {
    await eventually(() => f.retries.length === failures);
    // Not more than is needed: the emulator's token lives by the real time.
    f.clock.advance(f.retries.at(-1)?.delayMs ?? 0);
  }
  await eventually(async () => (await f.waiting()) === 0);
  assert.ok(f.retries.every(({ delayMs }) => delayMs <= 300_000));
  assert.ok((f.retries.at(-1)?.delayMs ?? 0) > 299_999);
  assert.equal(f.rows().length, 1);
});

test('jitter takes up to half of the delay off', async (t) => {
  const f = await startDelivery(t, { random: () => 0 });
  f.emulator.plan(ingest(status(503), 2));
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => f.retries.length === 1);
  assert.equal(f.retries[0]?.delayMs, 500);
});

const retryAfter: readonly (readonly [string, number])[] = [
  ['7', 7_000],
  ['86400', 900_000],
  ['-5', 1_000],
  ['soon', 1_000],
  ['0', 1_000],
  ['', 1_000],
];

for (const [header, delayMs] of retryAfter) {
  test(`429 with Retry-After "${header}" waits ${delayMs} ms`, async (t) => {
    const f = await startDelivery(t);
    f.emulator.plan(ingest(status(429, { headers: { 'Retry-After': header } })));
    await f.sendAndFlush(requestEvent('r-1'));
    await eventually(() => f.retries.length === 1);
    assert.equal(Math.round(f.retries[0]?.delayMs ?? 0), delayMs);
    f.clock.advance(delayMs);
    await eventually(async () => (await f.waiting()) === 0);
    assert.equal(f.calls().length, 2);
  });
}

test('429 with Retry-After as a date waits until then', async (t) => {
  const f = await startDelivery(t);
  const at = new Date(Math.floor(f.clock.now() / 1000) * 1000 + 61_000);
  f.emulator.plan(ingest(status(429, { headers: { 'Retry-After': at.toUTCString() } })));
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(() => f.retries.length === 1);
  assert.equal(f.retries[0]?.delayMs, at.getTime() - f.clock.now());
});

test('a hanging Azure is given up after 30 s and tried again', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan(ingest({ type: 'hang' }));
  await f.sendAndFlush(requestEvent('r-1'));
  await f.emulator.waitFor(() => f.calls().length === 1);
  f.clock.advance(29_999);
  assert.equal(f.inFlight(), 1);
  f.clock.advance(1);
  await eventually(() => f.retries.length === 1);
  const result = f.uploads[0]?.result;
  assert.ok(result?.type === 'unanswered' && result.reason === 'timeout');
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 1);
});

test('413: halves until it fits, and a single row that is too big is a dead letter with its reason', async (t) => {
  const f = await startDelivery(t);
  const isBig = (row: Readonly<Record<string, unknown>>) => row['resource_id'] === 'resource-5';
  f.emulator.plan({
    target: 'ingest',
    times: 'forever',
    matchesRow: isBig,
    answer: status(413, { body: { error: { code: 'ContentLengthLimitExceeded', message: 'x' } } }),
  });
  await f.sendAndFlush(requestEvent('r-1', units(8)));
  await eventually(async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 7);
  assert.deepEqual(
    f.buried.map(({ rows, code }) => [rows, code]),
    [[1, 'row_too_large']],
  );
  // 8 → 4 + 4 → (2 + 2) → (1 + 1): the whole, and at each step the half that passes and the one that does not.
  assert.equal(f.calls().length, 7);
  assert.equal((await f.stats()).dead.count, 1);
});

test('413 of what stands before Azure and takes less: halves until it passes, nothing held and nothing buried', async (t) => {
  const f = await startDelivery(t);
  const isMany = (request: { rowCount: number | null }) => (request.rowCount ?? 0) > 2;
  f.emulator.plan({ target: 'ingest', times: 'forever', matches: isMany, answer: status(413, { foreign: true }) });
  await f.sendAndFlush(requestEvent('r-1', units(8)));
  await eventually(async () => (await f.waiting()) === 0);
  assert.deepEqual([f.rows().length, f.buried.length, f.holds.length], [8, 0, 0]);
});

test('413 because the body came too slowly: smaller calls, never a dead letter, and the last row alone later', async (t) => {
  const f = await startDelivery(t);
  const slow = status(413, {
    body: { error: { code: 'TimeoutExpired', message: 'ReadyBody_ClientConnectionAbort' } },
  });
  const isMany = (request: { rowCount: number | null }) => (request.rowCount ?? 0) > 2;
  f.emulator.plan({ target: 'ingest', times: 'forever', matches: isMany, answer: slow });
  await f.sendAndFlush(requestEvent('r-1', units(8)));
  await eventually(async () => (await f.waiting()) === 0);
  assert.deepEqual([f.rows().length, f.calls().length, f.buried.length], [8, 7, 0]);
  f.emulator.clearPlan();
  f.emulator.plan(ingest(slow, 4));
  await f.sendAndFlush(requestEvent('r-2'));
  await eventually(() => f.retries.length === 1);
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.deepEqual([f.rows().length, f.buried.length, f.holds.length], [9, 0, 0]);
});

test('400 InvalidStream holds the stream at once: nothing is buried', async (t) => {
  const f = await startDelivery(t);
  f.emulator.setStream(requestStream, null);
  await f.sendAndFlush(requestEvent('r-1', units(3)));
  await eventually(() => f.delivery.holds().length === 1);
  assert.match(f.delivery.holds()[0]?.fix ?? '', /LOGS_INGESTION_STREAM/);
  assert.equal(f.calls().length, 1);
  assert.equal(await f.waiting(), 1);
});

test('400 to an empty call as well holds the stream: nothing is buried', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan(ingest(status(400, { body: { error: { code: 'BadRequest', message: 'x' } } }), 4));
  await f.sendAndFlush(requestEvent('r-1', units(3)));
  await eventually(() => f.delivery.holds().length === 1);
  assert.equal(f.delivery.holds()[0]?.code, 'stream_refused');
  assert.deepEqual(
    f.calls().map(({ rowCount }) => rowCount),
    [3, 0],
  );
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  await eventually(() => f.ended.length === 1);
  assert.deepEqual([f.rows().length, f.buried.length], [3, 0]);
});

test("what Azure says of a refusal, which may quote a row, is in the hold's message and nowhere else", async (t) => {
  const f = await startDelivery(t);
  const message = 'Row {"requester_email":"zoe@example.com","justification":"my-own-words"} may not be written';
  for (const code of [400, 401, 403, 404, 405, 429, 500]) {
    const answer = status(code, { body: { error: { code: 'OperationFailed', message } } });
    f.emulator.plan(ingest(answer, 'forever'));
    const before = f.uploads.length;
    await f.send(requestEvent(`r-${code}`));
    await advanceUntil(f, 1_000, () =>
      f.uploads.slice(before).some(({ result }) => result.type === 'answered' && result.status === code),
    );
    if (code < 429) {
      await advanceUntil(f, 1_000, () => f.delivery.holds()[0]?.reason.includes(`${code} (OperationFailed)`) === true);
      assert.equal(f.delivery.holds()[0]?.message, message);
    }
    for (const { message: _, ...shown } of f.delivery.holds()) assert.doesNotMatch(JSON.stringify(shown), /zoe|my-own/);
    f.emulator.clearPlan();
    await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  }
  assert.doesNotMatch(JSON.stringify(f.logLines), /zoe|my-own/);
  assert.equal(f.buried.length, 0);
});

test('401: one more try with a fresh token; if that is refused too, hold', async (t) => {
  const f = await startDelivery(t);
  await f.sendAndFlush(requestEvent('r-1'));
  await eventually(async () => (await f.waiting()) === 0);
  f.emulator.revokeTokens();
  await f.sendAndFlush(requestEvent('r-2'));
  await eventually(async () => (await f.waiting()) === 0);
  const tokenIds = f.calls().map(({ tokenId }) => tokenId);
  assert.deepEqual(
    f.calls().map((call) => call.status),
    [204, 401, 204],
  );
  assert.equal(tokenIds[0], tokenIds[1]);
  assert.notEqual(tokenIds[1], tokenIds[2]);

  f.emulator.plan(ingest(status(401), 2));
  await f.sendAndFlush(requestEvent('r-3'));
  await eventually(() => f.delivery.holds().length === 1);
  assert.equal(f.calls().length, 5);
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 3);
});

interface Situation {
  readonly name: string;
  readonly break: (emulator: Awaited<ReturnType<typeof startDelivery>>['emulator']) => void;
  readonly mend: (emulator: Awaited<ReturnType<typeof startDelivery>>['emulator']) => void;
  readonly fix: RegExp;
}

const situations: readonly Situation[] = [
  {
    name: '403, the role is missing',
    break: (e) => e.setPublisherRole(false),
    mend: (e) => e.setPublisherRole(true),
    fix: /Monitoring Metrics Publisher/,
  },
  {
    name: '404, the rule is gone',
    break: (e) => e.setRulePresent(false),
    mend: (e) => e.setRulePresent(true),
    fix: /DATA_COLLECTION_RULE_ID/,
  },
  {
    name: 'AADSTS7000222, the client secret is expired',
    break: (e) => e.setClientSecretExpired(true),
    mend: (e) => e.setClientSecretExpired(false),
    fix: /AZURE_CLIENT_SECRET/,
  },
];

for (const situation of situations) {
  test(`${situation.name}: everything waits, one log line a minute says what to fix, then all is delivered`, async (t) => {
    const f = await startDelivery(t);
    situation.break(f.emulator);
    for (let i = 0; i < 5; i++) await f.send(requestEvent(`r-${i}`, units(2)));
    await advanceUntil(f, 1_000, () => f.delivery.holds().length === 1);
    const hold = f.delivery.holds()[0];
    assert.match(hold?.fix ?? '', situation.fix);
    assert.equal(f.holds.length, 1);

    // Six minutes of probes at the backoff's pace: many tries, one line a minute.
    for (let minute = 1; minute <= 6; minute++) await advanceUntil(f, 5_000, () => f.reminders.length === minute);
    assert.ok(f.uploads.length >= 5, `${f.uploads.length} probes`);
    const lines = f.logLines.filter(({ level }) => Number(level) >= 50);
    assert.equal(lines.length, 7);
    assert.ok(lines.every((line) => situation.fix.test(String(line['fix']))));
    assert.equal(
      f.logLines.filter(({ level }) => Number(level) === 40).length,
      1,
      'only the first failed try is a warning',
    );
    assert.deepEqual([await f.waiting(), f.buried.length, f.rows().length], [5, 0, 0]);

    situation.mend(f.emulator);
    await advanceUntil(f, 60_000, async () => (await f.waiting()) === 0);
    await eventually(() => f.delivery.holds().length === 0);
    assert.equal(f.ended.length, 1);
    assert.equal(f.rows().length, 10);
    assert.equal(new Set(f.rows().map((row) => row['row_id'])).size, 10);
  });
}

test('an answer that nobody foresaw buries nothing: it holds', async (t) => {
  for (const code of [302, 405, 409, 415, 422, 451]) {
    const f = await startDelivery(t);
    f.emulator.plan(ingest(status(code)));
    await f.sendAndFlush(requestEvent('r-1'));
    await eventually(
      () => f.holds.length === 1,
      () => [code, f.uploads],
    );
    assert.equal(await f.waiting(), 1);
    await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  }
});

test('an answer that was lost after Azure stored the rows: they come twice, with the same row_id', async (t) => {
  const f = await startDelivery(t);
  f.emulator.plan(ingest({ type: 'reset', processed: true }));
  await f.sendAndFlush(requestEvent('r-1'));
  await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
  assert.equal(f.rows().length, 2);
  assert.equal(new Set(f.rows().map((row) => row['row_id'])).size, 1);
});
