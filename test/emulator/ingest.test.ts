import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { manualClock } from '../support/manual-clock.ts';
import { type Answer, bearer, errorOf, managementScope, type PostOptions, post } from './client.ts';

const limit = 1_048_576;
const oneOfEach = [
  { name: 'TimeGenerated', type: 'datetime' },
  { name: 'text', type: 'string' },
  { name: 'small', type: 'int' },
  { name: 'big', type: 'long' },
  { name: 'flag', type: 'boolean' },
  { name: 'when', type: 'datetime' },
  { name: 'any', type: 'dynamic' },
] as const;

/** A JSON array of one row of exactly so many bytes. */
function bodyOf(bytes: number): string {
  const frame = JSON.stringify([{ justification: '' }]).length;
  return JSON.stringify([{ justification: 'x'.repeat(bytes - frame) }]);
}

async function stored(emulator: Emulator, stream: string, row: object) {
  const before = emulator.rowCount(stream);
  const answer = await post(emulator, [row], { stream });
  assert.equal(answer.status, 204, answer.text);
  assert.equal(emulator.rowCount(stream), before + 1);
  const last = emulator.rows(stream).at(-1);
  assert.ok(last !== undefined);
  return last;
}

function assertError(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, errorOf(answer).code], [status, code]);
  assert.equal(answer.headers['x-ms-error-code'], code);
  assert.match(String(answer.headers['content-type']), /^application\/json/);
}

describe('Logs Ingestion: what is answered', () => {
  test('204 has no body, an id of its own and the id of the client', async (t) => {
    const emulator = await startTestEmulator(t);
    const answer = await post(emulator, [{}], { headers: { 'x-ms-client-request-id': 'my-id' } });
    assert.deepEqual([answer.status, answer.text], [204, '']);
    assert.equal(answer.headers['x-ms-client-request-id'], 'my-id');
    assert.match(String(answer.headers['x-ms-request-id']), /^[0-9a-f-]{36}$/);
    assert.equal(emulator.requests.at(-1)?.clientRequestId, 'my-id');
  });

  test('[] proves token, role, rule and stream, and stores nothing', async (t) => {
    const emulator = await startTestEmulator(t);
    assert.equal((await post(emulator, '[]')).status, 204);
    assert.equal((await post(emulator, '[]', { gzip: true })).status, 204);
    assert.equal(emulator.rowCount(requestStream), 0);
    assertError(await post(emulator, '[]', { stream: 'Custom-Other_CL' }), 400, 'InvalidStream');
  });

  test('a token that is missing, unknown, revoked, expired or for another audience is 401', async (t) => {
    const clock = manualClock();
    const emulator = await startTestEmulator(t, { clock, tokenLifetimeSeconds: 600 });
    const authorization = await bearer(emulator);
    const management = await bearer(emulator, managementScope);
    const tries: [string, string | null, string][] = [
      ['missing', null, 'InvalidToken'],
      ['missing', 'Basic abc', 'InvalidToken'],
      ['unknown', `${authorization}x`, 'InvalidToken'],
      ['wrong_audience', management, 'InvalidAudience'],
    ];
    for (const [state, value, code] of tries) {
      const answer = await post(emulator, [{}], { authorization: value });
      assertError(answer, 401, code);
      assert.match(String(answer.headers['www-authenticate']), /^Bearer/);
      assert.equal(emulator.requests.at(-1)?.tokenState, state);
    }
    clock.advance(600_000 - 1000);
    assert.equal((await post(emulator, [{}], { authorization })).status, 204);
    clock.advance(1000);
    assertError(await post(emulator, [{}], { authorization }), 401, 'InvalidToken');
    assert.equal(emulator.requests.at(-1)?.tokenState, 'expired');
    const renewed = await bearer(emulator);
    emulator.revokeTokens();
    assertError(await post(emulator, [{}], { authorization: renewed }), 401, 'InvalidToken');
    assert.equal(emulator.requests.at(-1)?.tokenState, 'unknown');
    assert.equal(emulator.rowCount(requestStream), 1);
  });

  test('the token is checked before the rule, the rule before the role, the role before the body', async (t) => {
    const emulator = await startTestEmulator(t);
    emulator.setPublisherRole(false);
    const wrong: PostOptions = { ruleId: `dcr-${'f'.repeat(32)}`, query: '', stream: 'Custom-Other_CL' };
    assertError(await post(emulator, 'no json', { ...wrong, authorization: null }), 401, 'InvalidToken');
    const notFound = await post(emulator, 'no json', wrong);
    assertError(notFound, 404, 'NotFound');
    assert.equal(errorOf(notFound).message, `Data collection rule with immutable Id '${wrong.ruleId}' not found.`);
    const forbidden = await post(emulator, 'no json', { query: '' });
    assertError(forbidden, 403, 'OperationFailed');
    assert.match(
      errorOf(forbidden).message,
      /immutable Id 'dcr-[0-9a-f]{32}' PipelineAccessResult: AccessGranted: False/,
    );
    emulator.setPublisherRole(true);
    emulator.setRulePresent(false);
    assertError(await post(emulator, [{}]), 404, 'NotFound');
    emulator.setRulePresent(true);
    assert.equal((await post(emulator, [{}])).status, 204);
  });

  test('the api-version is required and must be known', async (t) => {
    const emulator = await startTestEmulator(t);
    assertError(await post(emulator, [{}], { query: '' }), 400, 'MissingApiVersionParameter');
    assertError(await post(emulator, [{}], { query: '?api-version=2020-01-01' }), 400, 'UnsupportedApiVersion');
    assert.equal((await post(emulator, [{}], { query: '?api-version=2023-01-01' })).status, 204);
    assertError(await post(emulator, [{}], { method: 'PUT' }), 405, 'MethodNotAllowed');
  });

  test('exactly 1,048,576 bytes pass, one more is 413, compressed or not', async (t) => {
    const emulator = await startTestEmulator(t);
    for (const gzip of [false, true]) {
      assert.equal((await post(emulator, bodyOf(limit), { gzip })).status, 204);
      const answer = await post(emulator, bodyOf(limit + 1), { gzip });
      assertError(answer, 413, 'ContentLengthLimitExceeded');
      assert.equal(
        errorOf(answer).message,
        'Maximum allowed content length: 1048576 bytes (1 MB). Provided content length: 1048577 bytes.',
      );
    }
    assert.equal(emulator.rowCount(requestStream), 2);
  });

  test('a body of which the compressed form alone is too large is 413, and so is a gzip bomb', async (t) => {
    const emulator = await startTestEmulator(t);
    const noise = JSON.stringify([{ justification: randomBytes(limit).toString('base64') }]);
    assertError(await post(emulator, noise, { gzip: true }), 413, 'ContentLengthLimitExceeded');
    assert.ok((emulator.requests.at(-1)?.bodyBytes ?? 0) > limit);
    const bomb = gzipSync(Buffer.alloc(200 * limit, 0x20));
    const answer = await post(emulator, bomb, { headers: { 'content-encoding': 'gzip' } });
    assertError(answer, 413, 'ContentLengthLimitExceeded');
    assert.match(errorOf(answer).message, new RegExp(`${200 * limit} bytes`));
  });

  test('what is no JSON array of objects is 400 and stores nothing', async (t) => {
    const emulator = await startTestEmulator(t);
    const bodies = [
      '{}',
      '{"event_type":"x"}',
      '[1]',
      '[{}, null]',
      '[[{}]]',
      '"text"',
      'null',
      '[{}',
      '[{}]]',
      '{"a":',
    ];
    for (const body of bodies) assertError(await post(emulator, body), 400, 'InvalidPayload');
    assertError(await post(emulator, Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])), 400, 'InvalidPayload');
    const truncated = gzipSync('[{"event_type":"x"}]').subarray(0, 20);
    assertError(await post(emulator, truncated, { headers: { 'content-encoding': 'gzip' } }), 400, 'InvalidPayload');
    assertError(await post(emulator, '[{}]', { headers: { 'content-encoding': 'gzip' } }), 400, 'InvalidPayload');
    assertError(await post(emulator, '[{}]', { headers: { 'content-encoding': 'br' } }), 415, 'UnsupportedMediaType');
    assert.equal(emulator.rowCount(requestStream), 0);
  });

  test('no body at all is 500 without a code, as recorded from Azure', async (t) => {
    const emulator = await startTestEmulator(t);
    const answer = await post(emulator, '');
    assert.deepEqual([answer.status, errorOf(answer).code], [500, null]);
  });

  test('a body that nests without end does not bring it down', async (t) => {
    const emulator = await startTestEmulator(t);
    const deep = `[{"approvals":${'['.repeat(400_000)}${']'.repeat(400_000)}}]`;
    const answer = await post(emulator, deep);
    assert.ok([204, 400, 500].includes(answer.status), `answered ${answer.status}`);
    assert.equal((await post(emulator, [{}])).status, 204);
  });
});

describe('Logs Ingestion: what is stored', () => {
  test('undeclared columns vanish, declared ones that are missing are null', async (t) => {
    const emulator = await startTestEmulator(t);
    const row = await stored(emulator, requestStream, { event_type: 'x', made_up: 1, Event_Type: 'y' });
    assert.deepEqual(Object.keys(row).sort(), requestColumns.map(({ name }) => name).sort());
    assert.equal(row['event_type'], 'x');
    assert.equal(row['requester_id'], null);
    const hostile = '[{"__proto__":{"requester_id":"x"},"constructor":1,"event_type":"z"}]';
    assert.equal((await post(emulator, hostile)).status, 204);
    const last = emulator.rows(requestStream).at(-1);
    assert.equal(last?.['requester_id'], null);
    assert.equal(Object.hasOwn(last ?? {}, 'constructor'), false);
  });

  test('a column that the table lacks, or that the stream lost, is not stored', async (t) => {
    const stream = 'Custom-Small_CL';
    const emulator = await startTestEmulator(t, { streams: { [stream]: oneOfEach } });
    emulator.setTable(
      'Small_CL',
      oneOfEach.filter(({ name }) => name !== 'flag'),
    );
    assert.deepEqual(Object.keys(await stored(emulator, stream, { text: 'a', flag: true })), [
      'TimeGenerated',
      'text',
      'small',
      'big',
      'when',
      'any',
    ]);
    emulator.setTable('Small_CL', oneOfEach);
    emulator.setStream(
      stream,
      oneOfEach.filter(({ name }) => name !== 'any'),
    );
    assert.equal(Object.hasOwn(await stored(emulator, stream, { text: 'a', any: 1 }), 'any'), false);
    emulator.setStream(stream, null);
    assertError(await post(emulator, [{ text: 'a' }], { stream }), 400, 'InvalidStream');
    assert.equal(emulator.rowCount(stream), 2);
  });

  test('a value of another type than its column is null', async (t) => {
    const stream = 'Custom-Small_CL';
    const emulator = await startTestEmulator(t, { streams: { [stream]: oneOfEach } });
    const now = new Date().toISOString();
    const good = {
      text: 'a',
      small: -2147483648,
      big: 9007199254740991,
      flag: false,
      when: now,
      any: { a: [1, null] },
    };
    const { TimeGenerated: _, ...kept } = await stored(emulator, stream, good);
    assert.deepEqual(kept, good);
    const bad: Record<string, unknown[]> = {
      text: [1, true, {}, []],
      small: ['1', 2147483648, 1.5, true, [1]],
      big: ['1', 1e20, 0.1, false, {}],
      flag: ['true', 0, 1],
      when: ['yesterday', 1696263265, true, '2026-13-01T00:00:00Z', ''],
    };
    for (const [column, values] of Object.entries(bad)) {
      for (const value of values) {
        const row = await stored(emulator, stream, { [column]: value });
        assert.equal(row[column], null, `${column} ${JSON.stringify(value)}`);
      }
    }
  });

  test('numbers keep the digits that a double cannot hold', async (t) => {
    const stream = 'Custom-Small_CL';
    const emulator = await startTestEmulator(t, { streams: { [stream]: oneOfEach } });
    const body =
      '[{"big":9223372036854775807,"any":{"id":12345678901234567890,"f":1.50,"e":1e3}},{"big":9223372036854775808}]';
    assert.equal((await post(emulator, body, { stream })).status, 204);
    const [first, second] = emulator.rows(stream);
    assert.equal(JSON.stringify(first?.['big']), '9223372036854775807');
    assert.equal(JSON.stringify(first?.['any']), '{"id":12345678901234567890,"f":1.5,"e":1000}');
    assert.equal(second?.['big'], null);
  });

  test('TimeGenerated is kept from two days back to one day ahead, else it is the time of arrival', async (t) => {
    const now = Date.UTC(2026, 5, 15, 12);
    const emulator = await startTestEmulator(t, { clock: manualClock(now) });
    const at = async (value: unknown): Promise<unknown> =>
      (await stored(emulator, requestStream, { TimeGenerated: value }))['TimeGenerated'];
    const arrival = '2026-06-15T12:00:00.000Z';
    for (const kept of ['2026-06-13T12:00:00Z', '2026-06-16T12:00:00.000000Z', '2026-06-15T14:00:00.123456+02:00']) {
      assert.equal(await at(kept), kept);
    }
    const replaced = [
      '2026-06-13T11:59:59.999Z',
      '2026-06-16T12:00:00.001Z',
      '1781524800',
      1781524800,
      'soon',
      null,
      undefined,
    ];
    for (const value of replaced) assert.equal(await at(value), arrival, `${value}`);
  });

  test('a field over 64 KB is cut on a character; a dynamic one is then no JSON any more', async (t) => {
    const stream = 'Custom-Small_CL';
    const emulator = await startTestEmulator(t, { streams: { [stream]: oneOfEach } });
    const fits = { text: 'x'.repeat(65_536), any: ['y'.repeat(65_532)] };
    const { text, any } = await stored(emulator, stream, fits);
    assert.deepEqual({ text, any }, fits);
    const row = await stored(emulator, stream, { text: `${'x'.repeat(65_535)}é`, any: ['y'.repeat(65_533)] });
    assert.equal(row['text'], 'x'.repeat(65_535));
    assert.equal(row['any'], `["${'y'.repeat(65_533)}"`);
    assert.equal((await stored(emulator, stream, { text: '🎉'.repeat(20_000) }))['text'], '🎉'.repeat(16_384));
  });

  test('asking for the rows of a stream that never was is an error', async (t) => {
    const emulator = await startTestEmulator(t);
    assert.throws(
      () => emulator.rows('Custom-Typo_CL'),
      /never declared; declared were: Custom-AponoAccessRequests_CL/,
    );
  });
});
