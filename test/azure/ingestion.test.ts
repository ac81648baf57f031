import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import { generate } from 'selfsigned';
import { readProxy } from '../../src/config/proxy.ts';
import type { UploadResult } from '../../src/delivery/outcome.ts';
import type { Row } from '../../src/sentinel/row.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import type { FaultAnswer } from '../support/azure/faults.ts';
import type { RecordedRequest } from '../support/azure/requests.ts';
import { startTestEmulator, requestStream as stream } from '../support/emulator.ts';
import { manualClock } from '../support/manual-clock.ts';
import { countOf, secretCredential, testIngestion, testTokens } from './support.ts';

const secretText = 'requester justification 5e1f';
const row: Row = { TimeGenerated: new Date().toISOString(), event_type: 'Granted', justification: secretText };
const oneRow = JSON.stringify([row]);

function ingestCalls(emulator: Emulator): readonly RecordedRequest[] {
  return emulator.requests.filter(({ kind }) => kind === 'ingest');
}

type Answered = Extract<UploadResult, { type: 'answered' }>;

function assertAnswered(result: UploadResult, status: number): asserts result is Answered {
  assert.equal(result.type, 'answered', JSON.stringify(result));
  assert.ok(result.type === 'answered');
  assert.equal(result.status, status, JSON.stringify(result));
}

test('rows arrive as one compressed request with the id that the result names', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion, lines } = testIngestion(t, emulator);
  const rows = [row, { ...row, justification: 'O\'Neil said "no"\n漢字 🎉' }];
  const result = await ingestion.upload(stream, JSON.stringify(rows));
  assertAnswered(result, 204);
  assert.deepEqual([result.code, result.message, result.retryAfter], [null, null, null]);
  const [call, ...others] = ingestCalls(emulator);
  assert.equal(others.length, 0);
  assert.equal(call?.clientRequestId, result.clientRequestId);
  assert.match(result.clientRequestId, /^[0-9a-f-]{36}$/);
  assert.equal(call?.contentEncoding, 'gzip');
  assert.match(call?.userAgent ?? '', /^apono-sentinel\/\d+\.\d+\.\d+ /);
  assert.deepEqual(
    emulator.rows(stream).map(({ justification }) => justification),
    [secretText, 'O\'Neil said "no"\n漢字 🎉'],
  );
  assert.ok(lines.every((line) => !line.includes(secretText)));
});

test('a call is the same to Azure as one of the upload of the SDK', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion, tokens } = testIngestion(t, emulator);
  const rows = [row, { ...row, justification: '漢字' }];
  await new LogsIngestionClient(emulator.origin, tokens).upload(emulator.ruleId, stream, rows);
  await ingestion.upload(stream, JSON.stringify(rows));
  const [theirs, ours, ...others] = ingestCalls(emulator).map(
    ({ method, path, contentEncoding, bodyBytes, decompressedBytes, rowCount, status }) => {
      return { method, path, contentEncoding, bodyBytes, decompressedBytes, rowCount, status };
    },
  );
  assert.deepEqual([ours, others.length], [theirs, 0]);
  const [first, second, third, fourth] = emulator.rows(stream);
  assert.deepEqual([third, fourth], [first, second]);
});

test('an empty list is posted as [], through the same policies, and stores nothing', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, '[]'), 204);
  const [call] = ingestCalls(emulator);
  assert.equal(call?.decompressedBytes, 2);
  assert.equal(call?.contentEncoding, 'gzip');
  assert.equal(call?.rowCount, 0);
  assert.match(call?.userAgent ?? '', /^apono-sentinel\//);
  assert.equal(emulator.rowCount(stream), 0);
  assertAnswered(await ingestion.upload('Custom-Nobody_CL', '[]'), 400);
});

test('numbers beyond a double keep their digits', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const digits = JSON.rawJSON('12345678901234567890');
  assertAnswered(await ingestion.upload(stream, JSON.stringify([{ ...row, custom_fields: { id: digits } }])), 204);
  assert.match(JSON.stringify(emulator.rows(stream)[0]), /12345678901234567890/);
});

test('ten uploads at a cold start share one token request', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const results = await Promise.all(Array.from({ length: 10 }, () => ingestion.upload(stream, oneRow)));
  for (const result of results) assertAnswered(result, 204);
  assert.equal(countOf(emulator, 'token'), 1);
  assert.equal(new Set(results.map((result) => result.type === 'answered' && result.clientRequestId)).size, 10);
});

test('what Azure answers is given back as it is, after one request', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const error = (code: string, message: string) => ({ error: { code, message } });
  const html =
    '<!DOCTYPE html><html><head><title>Bad Request</title></head><body><h2>Invalid Hostname</h2></body></html>';
  const cases: readonly (readonly [Extract<FaultAnswer, { type: 'status' }>, Partial<Answered>])[] = [
    [
      { type: 'status', status: 400, body: error('InvalidStream', 'no stream') },
      { code: 'InvalidStream', message: 'no stream' },
    ],
    [
      { type: 'status', status: 400, headers: { 'content-type': 'text/html' }, body: html },
      { by: 'page', code: null, message: 'Bad Request' },
    ],
    [{ type: 'status', status: 403, body: error('OperationFailed', 'no access') }, { code: 'OperationFailed' }],
    [{ type: 'status', status: 404, body: error('NotFound', 'no rule') }, { code: 'NotFound' }],
    [
      { type: 'status', status: 413, body: error('ContentLengthLimitExceeded', 'big') },
      { code: 'ContentLengthLimitExceeded' },
    ],
    [
      { type: 'status', status: 429, headers: { 'retry-after': '17' }, body: '' },
      { retryAfter: '17', message: null },
    ],
    [
      { type: 'status', status: 500, body: { error: { code: null, message: null } } },
      { code: null, message: null },
    ],
    [
      { type: 'status', status: 502, headers: { 'content-type': 'application/json' }, body: '{"error":' },
      { message: '{"error":' },
    ],
    [
      {
        type: 'status',
        status: 503,
        headers: { 'x-ms-error-code': 'ServerBusy', 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' },
      },
      { code: 'ServerBusy', retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT' },
    ],
    // Successes that the SDK takes for errors.
    [
      { type: 'status', status: 200, body: {} },
      { by: 'azure', code: null },
    ],
    [
      { type: 'status', status: 202, body: 'Accepted' },
      { by: 'azure', code: null, message: 'Accepted' },
    ],
  ];
  for (const [answer, expected] of cases) {
    emulator.plan({ target: 'ingest', answer });
    const before = ingestCalls(emulator).length;
    const result = await ingestion.upload(stream, oneRow);
    assertAnswered(result, answer.status);
    for (const [name, value] of Object.entries(expected))
      assert.equal(result[name as keyof Answered], value, `${answer.status} ${name}`);
    assert.equal(ingestCalls(emulator).length - before, 1, `${answer.status} is not tried again in here`);
  }
  assert.equal(emulator.rowCount(stream), 0);
});

test('a redirect is an answer: the token goes to no other place', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  for (const status of [301, 302, 307, 308]) {
    emulator.plan({
      target: 'ingest',
      answer: { type: 'status', status, headers: { location: `${emulator.origin}/elsewhere` } },
    });
    assertAnswered(await ingestion.upload(stream, oneRow), status);
  }
  assert.ok(emulator.requests.every(({ kind }) => kind !== 'other'));
});

test('a 401 brings a token of a fresh credential, and the same request again, whole', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, oneRow), 204);
  emulator.revokeTokens();
  const result = await ingestion.upload(stream, JSON.stringify([{ ...row, justification: 'x'.repeat(5_000) }]));
  assertAnswered(result, 204);
  assert.equal(countOf(emulator, 'token'), 2);
  const [, rejected, again] = ingestCalls(emulator);
  assert.equal(rejected?.status, 401);
  assert.equal(again?.status, 204);
  assert.equal(again?.clientRequestId, rejected?.clientRequestId);
  assert.equal(again?.bodyBytes, rejected?.bodyBytes, 'compressed once');
  assert.equal(emulator.rows(stream)[1]?.['justification'], 'x'.repeat(5_000));
});

const claims = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}';
const base64 = Buffer.from(claims).toString('base64');
// Its base64 has characters that base64url writes otherwise, and padding.
const wideClaims = '{"access_token":{"name":{"value":"éÿ??>>~"}}}';
const wide = Buffer.from(wideClaims);
assert.match(wide.toString('base64'), /[+/].*=$/);
const insufficient = `Bearer realm="", error="insufficient_claims", claims="${base64}"`;
const authorizationUri = 'authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"';

const challenges: readonly (readonly [form: string, headers: string | string[], expected: string | null])[] = [
  ['as Microsoft documents it', insufficient, claims],
  ['the parameters in another order', `Bearer claims="${base64}", error="insufficient_claims", realm=""`, claims],
  ['values without quotes', `Bearer error=insufficient_claims, claims=${base64}`, claims],
  ['scheme and names in other cases', `bEARER Error="Insufficient_Claims", CLAIMS="${base64}"`, claims],
  ['blanks around the equals signs', `Bearer error = "insufficient_claims" ,claims = "${base64}"`, claims],
  ['commas without blanks', `Bearer realm="",error="insufficient_claims",claims="${base64}"`, claims],
  [
    'base64 without padding',
    `Bearer error="insufficient_claims", claims="${wide.toString('base64').replace(/=+$/, '')}"`,
    wideClaims,
  ],
  ['base64 with padding', `Bearer error="insufficient_claims", claims="${wide.toString('base64')}"`, wideClaims],
  ['base64url', `Bearer error="insufficient_claims", claims="${wide.toString('base64url')}"`, wideClaims],
  [
    'base64url with padding, without quotes',
    `Bearer error=insufficient_claims, claims=${wide.toString('base64url')}=`,
    wideClaims,
  ],
  [
    'another challenge before it',
    `PoP realm="", ${authorizationUri}, client_id="00000003-0000-0000-c000-000000000000", nonce="ey==", ${insufficient}`,
    claims,
  ],
  ['another challenge after it', `${insufficient}, Basic realm="claims=\\"x\\", Bearer"`, claims],
  ['two challenges of Bearer, the second with claims', `Bearer realm="", ${authorizationUri}, ${insufficient}`, claims],
  ['schemes without parameters around it', `Negotiate, ${insufficient}, NTLM`, claims],
  [
    'a description with commas, quotes and words',
    `Bearer error_description="The \\"token\\", it is old, claims=none", error="insufficient_claims", claims="${base64}"`,
    claims,
  ],
  [
    'error invalid_token',
    `Bearer ${authorizationUri}, error="invalid_token", error_description="User session has been revoked", claims="${base64}"`,
    claims,
  ],
  ['several headers', ['Basic realm="x"', `Bearer ${authorizationUri}`, insufficient], claims],
  ['claims of another scheme', `PoP error="insufficient_claims", claims="${base64}", Bearer realm=""`, null],
  ['claims that are no JSON', 'Bearer error="insufficient_claims", claims="dGVzdGluZzE="', null],
  ['claims that are no base64', 'Bearer error="insufficient_claims", claims="%%%"', null],
  ['no claims', 'Bearer realm="", error="invalid_token"', null],
  ['an empty header', '', null],
];

test('a claims challenge is passed on to Entra in each of its forms, and the body still arrives', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, '[]'), 204);
  for (const [index, [form, challenge, expected]] of challenges.entries()) {
    const headers = { 'www-authenticate': challenge };
    emulator.plan({ target: 'ingest', answer: { type: 'status', status: 401, headers } });
    assertAnswered(await ingestion.upload(stream, oneRow), 204);
    assert.equal(emulator.rowCount(stream), index + 1, form);
    const asked = emulator.requests.filter(({ kind }) => kind === 'token').at(-1)?.claims ?? '{}';
    // The SDK adds what it is capable of.
    const { xms_cc: _, ...token } = JSON.parse(asked)['access_token'] ?? {};
    assert.deepEqual(token, expected === null ? {} : JSON.parse(expected)['access_token'], form);
  }
});

test('a second 401 is the answer', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const body = { error: { code: 'InvalidToken', message: 'The token is bad.' } };
  emulator.plan({ target: 'ingest', answer: { type: 'status', status: 401, body }, times: 'forever' });
  const result = await ingestion.upload(stream, oneRow);
  assertAnswered(result, 401);
  assert.deepEqual([result.code, result.message], ['InvalidToken', 'The token is bad.']);
  assert.equal(ingestCalls(emulator).length, 2);
  assert.equal(countOf(emulator, 'token'), 2);
});

test('without a token nothing is sent, and the result says who refused', async (t) => {
  const emulator = await startTestEmulator(t);
  const credential = secretCredential(emulator, 'wrong-secret-c41d');
  const { ingestion, lines } = testIngestion(t, emulator, { credential });
  const result = await ingestion.upload(stream, oneRow);
  assert.ok(result.type === 'no_token', JSON.stringify(result));
  assert.deepEqual([result.failure.code, result.failure.aadsts], ['token_refused', 'AADSTS7000215']);
  emulator.plan({ target: 'token', answer: { type: 'status', status: 503 } });
  const busy = await ingestion.upload(stream, oneRow);
  assert.ok(busy.type === 'no_token' && busy.failure.code === 'token_unreachable', JSON.stringify(busy));
  assert.equal(ingestCalls(emulator).length, 0);
  const texts = [result, busy].flatMap(({ failure }) => [failure.message, JSON.stringify(failure)]);
  for (const text of [...texts, ...lines]) assert.doesNotMatch(text, /wrong-secret-c41d/);
});

test('a refused refresh after a 401 says so, and not only 401', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, '[]'), 204);
  emulator.revokeTokens();
  emulator.setClientSecretExpired(true);
  const result = await ingestion.upload(stream, oneRow);
  assert.ok(result.type === 'no_token' && result.failure.code === 'token_refused', JSON.stringify(result));
  assert.equal(result.failure.aadsts, 'AADSTS7000222');
});

test('an upload ends at its time limit, wherever the answer stops', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator, { clock });
  assertAnswered(await ingestion.upload(stream, '[]'), 204);
  for (const [hung, at] of (['start', 'headers', 'half_body'] as const).entries()) {
    emulator.plan({ target: 'ingest', answer: { type: 'hang', at } });
    const upload = ingestion.upload(stream, oneRow);
    await emulator.waitFor(({ requests }) => requests.filter(({ outcome }) => outcome === 'hung').length > hung);
    clock.advance(30_000);
    const result = await upload;
    assert.ok(result.type === 'unanswered' && result.reason === 'timeout', `${at}: ${JSON.stringify(result)}`);
    assert.match(result.clientRequestId, /^[0-9a-f-]{36}$/);
  }
});

test('the limit of an upload begins when the token is there', async (t) => {
  const clock = manualClock(Date.now());
  const azureClock = manualClock(Date.now());
  const emulator = await startTestEmulator(t, { clock: azureClock });
  const { ingestion } = testIngestion(t, emulator, { clock });
  emulator.plan({ target: 'token', answer: { type: 'pass', delayMs: 5_000 } });
  emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
  const late = ingestion.upload(stream, oneRow);
  await emulator.waitFor((azure) => countOf(azure, 'token') === 1);
  clock.advance(5_000);
  // The emulator begins to wait when it has read the request.
  while (countOf(emulator, 'ingest') === 0) {
    azureClock.advance(5_000);
    await setImmediate();
  }
  clock.advance(29_999);
  assert.equal(await Promise.race([late, setImmediate('still waiting')]), 'still waiting');
  clock.advance(1);
  const ended = await late;
  assert.ok(ended.type === 'unanswered' && ended.reason === 'timeout', JSON.stringify(ended));
  assertAnswered(await ingestion.upload(stream, oneRow), 204);
});

test('an abort ends the upload while it waits for the token, and while it is on its way', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const assertAborted = (result: UploadResult) =>
    assert.ok(result.type === 'unanswered' && result.reason === 'aborted', JSON.stringify(result));
  assertAborted(await ingestion.upload(stream, oneRow, AbortSignal.abort()));
  assert.equal(emulator.requests.length, 0);

  const early = new AbortController();
  emulator.plan({ target: 'token', answer: { type: 'hang' } });
  const waiting = ingestion.upload(stream, oneRow, early.signal);
  await emulator.waitFor((azure) => countOf(azure, 'token') === 1);
  early.abort();
  assertAborted(await waiting);

  const other = testIngestion(t, emulator).ingestion;
  const late = new AbortController();
  emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
  const sending = other.upload(stream, oneRow, late.signal);
  await emulator.waitFor((azure) => countOf(azure, 'ingest') === 1);
  late.abort();
  assertAborted(await sending);
  assertAnswered(await other.upload(stream, oneRow), 204);
});

test('a connection that is cut before the answer, or in the middle of a success, is a network failure', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const cuts = [{ at: 'start' }, { at: 'headers', processed: true }, { at: 'half_body', processed: true }] as const;
  for (const cut of cuts) {
    emulator.plan({ target: 'ingest', answer: { type: 'reset', ...cut } });
    const before = countOf(emulator, 'ingest');
    const result = await ingestion.upload(stream, oneRow);
    assert.ok(result.type === 'unanswered' && result.reason === 'network', `${cut.at}: ${JSON.stringify(result)}`);
    assert.equal(countOf(emulator, 'ingest') - before, 1, 'not tried again in here');
  }
  assertAnswered(await ingestion.upload(stream, oneRow), 204);
});

test('an error that is cut after its headers is judged by its status', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  for (const at of ['headers', 'half_body'] as const) {
    emulator.plan({ target: 'ingest', answer: { type: 'reset', at } });
    assertAnswered(await ingestion.upload(stream, oneRow), 503);
  }
});

const azureBody = JSON.stringify({ error: { code: 'OperationFailed', message: 'no access' } });

test('what Azure says of an error is read in each encoding, and a body that cannot be read is an empty one', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const said = ['OperationFailed', 'no access'];
  const cases: readonly (readonly [encoding: string, body: string | Uint8Array, expected: (string | null)[]])[] = [
    ['gzip', gzipSync(azureBody), said],
    ['GZIP', gzipSync(azureBody), said],
    ['x-gzip', gzipSync(azureBody), said],
    ['deflate', deflateSync(azureBody), said],
    ['deflate', deflateRawSync(azureBody), said],
    ['br', brotliCompressSync(azureBody), said],
    ['identity', azureBody, said],
    ['gzip', '', [null, null]],
    ['gzip', gzipSync(azureBody).subarray(0, 30), [null, null]],
    ['gzip', 'this is not gzip', [null, null]],
    ['br', brotliCompressSync(azureBody).subarray(0, 10), [null, null]],
    ['zstd', 'whatever it is', [null, null]],
    ['gzip, br', gzipSync(azureBody), [null, null]],
    // A bomb of 16 MiB.
    ['br', brotliCompressSync(Buffer.alloc(16_777_216, 97)), [null, null]],
  ];
  for (const [encoding, body, expected] of cases) {
    const headers = { 'content-encoding': encoding, 'content-type': 'application/json' };
    emulator.plan({ target: 'ingest', answer: { type: 'status', status: 403, headers, body } });
    const result = await ingestion.upload(stream, oneRow);
    assertAnswered(result, 403);
    assert.deepEqual([result.by, result.code, result.message], ['azure', ...expected], encoding);
  }
});

test('a 204 is a 204, whatever its headers say of a body', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const cases = [
    { 'content-encoding': 'gzip' },
    { 'content-encoding': 'br', 'content-type': 'text/html' },
    { 'content-encoding': 'unheard-of', 'content-length': '500' },
    { 'content-type': 'application/json', 'content-length': '0' },
  ];
  for (const headers of cases) {
    emulator.plan({ target: 'ingest', answer: { type: 'status', status: 204, headers, processed: true } });
    const result = await ingestion.upload(stream, oneRow);
    assertAnswered(result, 204);
    assert.equal(result.message, null);
  }
  assert.equal(emulator.rowCount(stream), cases.length, 'each row once');
});

test('who answered is told apart by the marks of Azure: request id, error code, form of its errors', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const html = '<!doctype html>\n<title>Web Page Blocked</title>';
  type Planned = Omit<Extract<FaultAnswer, { type: 'status' }>, 'type'>;
  const cases: readonly (readonly [Planned, Answered['by']])[] = [
    [{ status: 403, body: '' }, 'azure'],
    [{ status: 403, body: '', foreign: true }, 'unmarked'],
    [{ status: 403, body: azureBody, foreign: true }, 'azure'],
    [{ status: 403, body: '', foreign: true, headers: { 'x-ms-error-code': 'OperationFailed' } }, 'azure'],
    [{ status: 403, body: '{"error":"blocked"}', foreign: true }, 'unmarked'],
    [{ status: 200, body: html, foreign: true }, 'page'],
    [{ status: 400, body: html }, 'page'],
    [{ status: 400, body: 'x', foreign: true, headers: { 'content-type': 'text/html; charset=us-ascii' } }, 'page'],
    [{ status: 502, body: html, foreign: true }, 'page'],
    [{ status: 502, body: html }, 'azure'],
    [{ status: 429, body: html }, 'azure'],
    [{ status: 503, body: 'no healthy upstream', foreign: true }, 'unmarked'],
    // Longer than what is read of a body.
    [{ status: 403, body: html + ' '.repeat(200_000), foreign: true }, 'page'],
  ];
  for (const [planned, by] of cases) {
    emulator.plan({ target: 'ingest', answer: { type: 'status', ...planned } });
    const result = await ingestion.upload(stream, oneRow);
    assertAnswered(result, planned.status);
    assert.equal(result.by, by, JSON.stringify(planned).slice(0, 200));
  }
});

test('a code that does not look like one is not taken for a code: it may be anything', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  for (const code of ['zoe@example.com is no datetime', 'x'.repeat(65), 'a\u001b[2J', '']) {
    const answer = { type: 'status', status: 403, body: { error: { code, message: 'm' } } } as const;
    emulator.plan({ target: 'ingest', answer });
    const result = await ingestion.upload(stream, oneRow);
    assertAnswered(result, 403);
    assert.deepEqual([result.code, result.message], [null, 'm']);
  }
});

test('a host that does not resolve, and a certificate that is not trusted, are network failures with their code', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator, { endpoint: 'https://nothing-here.invalid' });
  const dns = await ingestion.upload(stream, oneRow);
  assert.ok(dns.type === 'unanswered' && dns.reason === 'network', JSON.stringify(dns));
  assert.match(dns.message, /^(ENOTFOUND|EAI_AGAIN)/);

  const untrusted = await generate([{ name: 'commonName', value: 'localhost' }]);
  const server = createTlsServer({ key: untrusted.private, cert: untrusted.cert }, (_, answer) => answer.end());
  const port = await listen(t, server);
  const unknown = testIngestion(t, emulator, { endpoint: `https://localhost:${port}` }).ingestion;
  const tls = await unknown.upload(stream, oneRow);
  assert.ok(tls.type === 'unanswered' && tls.reason === 'network', JSON.stringify(tls));
  assert.match(tls.message, /^DEPTH_ZERO_SELF_SIGNED_CERT/);
});

test('an answer that echoes the request does not carry the token into a message', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion, tokens, lines } = testIngestion(t, emulator);
  const { token } = await tokens.getToken();
  const echo = { error: { code: 'Echo', message: `you sent authorization: Bearer ${token} and ${token}` } };
  // 300 characters of a page are kept. A token that this cut divides must not stay in part.
  const cut = `<pre>${'x'.repeat(290)} ${token}</pre>`;
  for (const body of [echo, `<pre>authorization: Bearer ${token}</pre>`, cut]) {
    emulator.plan({ target: 'ingest', answer: { type: 'status', status: 400, body } });
    const result = await ingestion.upload(stream, oneRow);
    assertAnswered(result, 400);
    assert.match(result.message ?? '', /redacted/);
    for (const text of [JSON.stringify(result), ...lines]) assert.ok(!text.includes(token), text);
  }
});

test('rows are one request whatever their size', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const half = JSON.stringify({ ...row, justification: 'x'.repeat(600_000) });
  // The SDK's own `upload` would make two of them; what Azure says of the size is an answer.
  assertAnswered(await ingestion.upload(stream, `[${half},${half}]`), 413);
  assert.equal(emulator.requests.filter(({ kind }) => kind === 'ingest').length, 1);
});

test('an endpoint without TLS is refused', async (t) => {
  const emulator = await startTestEmulator(t);
  assert.throws(() => testIngestion(t, emulator, { endpoint: 'http://localhost:1' }), TypeError);
});

const connectAnswers = [
  ['204 No Content', ''],
  ['302 Found', ''],
  ['403 Forbidden', '<title>Access denied</title>'],
  ['407 Proxy Authentication Required', '<title>Sign in</title>'],
  ['502 Bad Gateway', '<title>No route</title>'],
  ['503 Service Unavailable', ''],
] as const;

for (const [statusLine, page] of connectAnswers) {
  test(`a proxy that answers CONNECT with ${statusLine}: it is named, and nothing is taken for Azure's answer`, async (t) => {
    const emulator = await startTestEmulator(t);
    const { tokens } = testTokens(t, emulator);
    await tokens.getToken();
    const proxy = createServer();
    proxy.on('connect', (_, socket) => {
      // Its length promises more than what comes with the headers, as it often does.
      socket.end(`HTTP/1.1 ${statusLine}\r\nContent-Type: text/html\r\nContent-Length: 500\r\n\r\n${page}`);
    });
    const port = await listen(t, proxy);
    const { proxy: way } = readProxy({ HTTPS_PROXY: `http://user:proxy-password-81f@127.0.0.1:${port}` });
    const proxied = testIngestion(t, emulator, { tokens, proxy: way });
    const result = await proxied.ingestion.upload(stream, oneRow);
    assertAnswered(result, Number(statusLine.slice(0, 3)));
    assert.deepEqual([result.by, result.proxy], ['proxy', `127.0.0.1:${port}`]);
    // The sign-in goes the same way.
    const cold = await testIngestion(t, emulator, { proxy: way }).ingestion.upload(stream, oneRow);
    assert.ok(cold.type === 'no_token' && cold.failure.isForeign, JSON.stringify(cold));
    assert.match(
      cold.failure.message,
      new RegExp(`proxy 127.0.0.1:${port} answered ${statusLine.slice(0, 3)} to CONNECT$`),
    );
    assert.doesNotMatch(JSON.stringify([result, cold, proxied.lines]), /proxy-password-81f/);
    assert.equal(countOf(emulator, 'ingest'), 0);
  });
}

async function listen(
  t: TestContext,
  server: ReturnType<typeof createServer | typeof createTlsServer>,
): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
