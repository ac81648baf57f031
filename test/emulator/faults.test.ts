import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Emulator } from '../support/azure/emulator.ts';
import type { CutPoint } from '../support/azure/faults.ts';
import { azureFailure, throttled, unavailable } from '../support/azure/faults.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { manualClock } from '../support/manual-clock.ts';
import { bearer, call, errorOf, post, requestToken } from './client.ts';

const second = 'Custom-Second_CL';
const columns = [
  { name: 'TimeGenerated', type: 'datetime' },
  { name: 'event_type', type: 'string' },
] as const;

async function statuses(emulator: Emulator, times: number, body: unknown = [{ event_type: 'x' }]): Promise<number[]> {
  const seen: number[] = [];
  for (let n = 0; n < times; n += 1) seen.push((await post(emulator, body)).status);
  return seen;
}

describe('planned answers', () => {
  test('steps are used in their order, as often as they say, and then all is well again', async (t) => {
    const emulator = await startTestEmulator(t);
    emulator.plan(
      { target: 'ingest', times: 2, answer: unavailable(3) },
      { target: 'ingest', answer: { type: 'pass' } },
    );
    emulator.plan({ target: 'ingest', answer: throttled() });
    assert.deepEqual(await statuses(emulator, 5), [503, 503, 204, 429, 204]);
    assert.equal(emulator.remainingPlan.length, 0);
    assert.equal(emulator.rowCount(requestStream), 2);
    const ingests = emulator.requests.filter(({ kind }) => kind === 'ingest');
    assert.deepEqual(
      ingests.map(({ fault, errorCode }) => [fault, errorCode]),
      [
        ['status 503', 'ServiceUnavailable'],
        ['status 503', 'ServiceUnavailable'],
        ['pass', null],
        ['status 429', 'TooManyRequests'],
        [null, null],
      ],
    );
  });

  test('status, headers and body are those of the step', async (t) => {
    const emulator = await startTestEmulator(t);
    emulator.plan(
      { target: 'ingest', answer: unavailable('Wed, 21 Oct 2026 07:28:00 GMT') },
      { target: 'ingest', answer: throttled(3600) },
      { target: 'ingest', answer: { type: 'status', status: 502, body: '<html>', foreign: true } },
      { target: 'ingest', answer: azureFailure(400, 'RecordsTimeRangeIsMoreThan30Minutes', 'too wide') },
      { target: 'ingest', answer: { type: 'status', status: 200 } },
    );
    const dated = await post(emulator, [{}], { headers: { 'x-ms-client-request-id': 'id-1' } });
    assert.equal(dated.headers['retry-after'], 'Wed, 21 Oct 2026 07:28:00 GMT');
    assert.equal(dated.headers['x-ms-error-code'], 'ServiceUnavailable');
    assert.equal(dated.headers['x-ms-client-request-id'], 'id-1');
    assert.equal((await post(emulator, [{}])).headers['retry-after'], '3600');
    const foreign = await post(emulator, [{}]);
    assert.deepEqual([foreign.status, foreign.text], [502, '<html>']);
    assert.equal(foreign.headers['x-ms-request-id'], undefined);
    const refused = await post(emulator, [{}]);
    assert.deepEqual(errorOf(refused), { code: 'RecordsTimeRangeIsMoreThan30Minutes', message: 'too wide' });
    const empty = await post(emulator, [{}]);
    assert.deepEqual([empty.status, empty.text], [200, '']);
    assert.equal(emulator.rowCount(requestStream), 0);
  });

  test('a step can be for one stream, for rows that match, or for any other condition', async (t) => {
    const emulator = await startTestEmulator(t, { streams: { [requestStream]: columns, [second]: columns } });
    emulator.plan(
      { target: 'ingest', times: 'forever', stream: second, answer: unavailable() },
      {
        target: 'ingest',
        times: 'forever',
        matchesRow: (row) => row['event_type'] === 'poison',
        answer: azureFailure(400, 'InvalidRow', 'poison'),
      },
      { target: 'ingest', matches: ({ rowCount }) => rowCount === 3, answer: throttled() },
    );
    const row = { event_type: 'good' };
    const poison = { event_type: 'poison' };
    assert.equal((await post(emulator, [row], { stream: second })).status, 503);
    assert.equal((await post(emulator, [row, poison], { gzip: true })).status, 400);
    assert.equal((await post(emulator, [poison])).status, 400);
    assert.equal((await post(emulator, [row, row])).status, 204);
    assert.equal((await post(emulator, [row, row, row])).status, 429);
    assert.equal((await post(emulator, [row, row, row])).status, 204);
    emulator.clearPlan();
    assert.equal((await post(emulator, [poison], { stream: second })).status, 204);
  });

  test('the steps of one target leave the others alone, and can be cleared alone', async (t) => {
    const emulator = await startTestEmulator(t);
    emulator.plan(
      { target: 'token', times: 2, answer: { type: 'status', status: 401, body: { error_codes: [7000222] } } },
      { target: 'ingest', times: 'forever', answer: unavailable() },
      { target: 'openid', answer: { type: 'status', status: 503 } },
    );
    const { answer, body } = await requestToken(emulator);
    assert.deepEqual([answer.status, body.error_codes], [401, [7000222]]);
    assert.equal(emulator.requests.at(-1)?.fault, 'status 401');
    emulator.clearPlan('token');
    assert.deepEqual(await statuses(emulator, 2), [503, 503]);
    const openid = `${emulator.origin}/${emulator.tenantId}/v2.0/.well-known/openid-configuration`;
    assert.deepEqual([(await call(openid)).status, (await call(openid)).status], [503, 200]);
  });

  test('rows can be stored although the answer says otherwise, or is lost', async (t) => {
    const emulator = await startTestEmulator(t);
    const authorization = await bearer(emulator);
    emulator.plan(
      { target: 'ingest', answer: { type: 'reset', processed: true } },
      { target: 'ingest', answer: { type: 'status', status: 500, processed: true } },
      { target: 'ingest', answer: { type: 'reset' } },
    );
    await assert.rejects(post(emulator, [{ event_type: 'a' }], { authorization }), { code: 'ECONNRESET' });
    assert.equal((await post(emulator, [{ event_type: 'b' }], { authorization })).status, 500);
    await assert.rejects(post(emulator, [{ event_type: 'c' }], { authorization }), { code: 'ECONNRESET' });
    assert.deepEqual(
      emulator.rows(requestStream).map(({ event_type }) => event_type),
      ['a', 'b'],
    );
    assert.deepEqual(
      emulator.requests.slice(1).map(({ outcome, status, storedRowCount }) => [outcome, status, storedRowCount]),
      [
        ['reset', null, 1],
        ['answered', 500, 1],
        ['reset', null, 0],
      ],
    );
  });

  test('a lost answer of a call that Azure refuses stores nothing', async (t) => {
    const emulator = await startTestEmulator(t);
    emulator.plan({ target: 'ingest', answer: { type: 'reset', processed: true } });
    await assert.rejects(post(emulator, [{}], { authorization: null }), { code: 'ECONNRESET' });
    assert.equal(emulator.rowCount(requestStream), 0);
  });

  for (const at of ['start', 'headers', 'half_body'] satisfies CutPoint[]) {
    test(`a reset at ${at} breaks the answer there, for ingest and token`, async (t) => {
      const emulator = await startTestEmulator(t);
      const authorization = await bearer(emulator);
      emulator.plan(
        { target: 'ingest', answer: { type: 'reset', at } },
        { target: 'token', answer: { type: 'reset', at } },
      );
      await assert.rejects(post(emulator, [{}], { authorization }), { code: 'ECONNRESET' });
      await assert.rejects(requestToken(emulator), { code: 'ECONNRESET' });
      await emulator.waitFor((e) =>
        e.requests.slice(1).every(({ outcome, endedAt }) => outcome === 'reset' && endedAt !== null),
      );
      assert.equal((await post(emulator, [{}])).status, 204);
    });

    test(`a hang at ${at} lasts until the client gives up`, async (t) => {
      const emulator = await startTestEmulator(t);
      const authorization = await bearer(emulator);
      emulator.plan({ target: 'ingest', answer: { type: 'hang', at } });
      const url = `${emulator.origin}/dataCollectionRules/${emulator.ruleId}/streams/${requestStream}?api-version=2023-01-01`;
      const stop = new AbortController();
      const heads = fetch(url, { method: 'POST', headers: { authorization }, body: '[{}]', signal: stop.signal });
      const whole = heads.then((response) => response.text());
      whole.catch(() => {});
      await emulator.waitFor((e) => e.requests.at(-1)?.outcome === 'hung');
      if (at !== 'start') assert.equal((await heads).status, 503);
      stop.abort();
      await assert.rejects(whole, { name: 'AbortError' });
      await emulator.waitFor((e) => e.requests.at(-1)?.endedAt !== null);
      assert.equal(emulator.requests.at(-1)?.outcome, 'hung');
      assert.equal(emulator.requests.at(-1)?.status, at === 'start' ? null : 503);
    });
  }

  test('a delay passes by the clock of the emulator; Azure has acted before', async (t) => {
    const clock = manualClock(Date.now());
    const emulator = await startTestEmulator(t, { clock });
    const authorization = await bearer(emulator);
    emulator.plan({ target: 'ingest', answer: { type: 'pass', delayMs: 60_000 } });
    let answered = false;
    const answer = post(emulator, [{}], { authorization }).finally(() => {
      answered = true;
    });
    await emulator.waitFor((e) => e.rowCount(requestStream) === 1);
    assert.equal(answered, false);
    assert.equal(emulator.requests.at(-1)?.outcome, 'pending');
    clock.advance(60_000);
    assert.equal((await answer).status, 204);
    assert.equal((emulator.requests.at(-1)?.endedAt ?? 0) - (emulator.requests.at(-1)?.at ?? 0), 60_000);
  });

  test('a client that goes away during a delay is recorded as aborted', async (t) => {
    const clock = manualClock(Date.now());
    const emulator = await startTestEmulator(t, { clock });
    emulator.plan({ target: 'token', answer: { type: 'status', status: 503, delayMs: 1000 } });
    const stop = new AbortController();
    const url = `${emulator.origin}/${emulator.tenantId}/oauth2/v2.0/token`;
    const asked = fetch(url, { method: 'POST', body: 'a=b', signal: stop.signal });
    await emulator.waitFor((e) => e.requests[0]?.fault === 'status 503');
    stop.abort();
    await assert.rejects(asked, { name: 'AbortError' });
    await emulator.waitFor((e) => e.requests[0]?.outcome === 'aborted');
    clock.advance(1000);
    await requestToken(emulator);
    assert.deepEqual([emulator.requests[0]?.outcome, emulator.requests[0]?.status], ['aborted', null]);
  });

  test('a number of times that makes no sense is refused', async (t) => {
    const emulator = await startTestEmulator(t);
    for (const times of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => emulator.plan({ target: 'ingest', times, answer: unavailable() }), RangeError);
    }
  });
});
