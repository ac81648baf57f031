import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import { generate } from 'selfsigned';
import type { UploadResult } from '../../src/delivery/ingestion.ts';
import type { Emulator, FaultAnswer, RecordedRequest } from '../../src/emulator/emulator.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { startTestEmulator, requestStream as stream } from '../support/emulator.ts';
import { manualClock } from '../support/manual-clock.ts';
import { countOf, secretCredential, testIngestion } from './support.ts';

const secretText = 'requester justification 5e1f';
const row: Row = { TimeGenerated: new Date().toISOString(), event_type: 'Granted', justification: secretText };
const rowJson = JSON.stringify(row);

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
  const result = await ingestion.upload(stream, [
    rowJson,
    JSON.stringify({ ...row, justification: 'O\'Neil said "no"\n漢字 🎉' }),
  ]);
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
  await ingestion.upload(
    stream,
    rows.map((each) => JSON.stringify(each)),
  );
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
  assertAnswered(await ingestion.upload(stream, []), 204);
  const [call] = ingestCalls(emulator);
  assert.equal(call?.decompressedBytes, 2);
  assert.equal(call?.contentEncoding, 'gzip');
  assert.equal(call?.rowCount, 0);
  assert.match(call?.userAgent ?? '', /^apono-sentinel\//);
  assert.equal(emulator.rowCount(stream), 0);
  assertAnswered(await ingestion.upload('Custom-Nobody_CL', []), 400);
});

test('numbers beyond a double keep their digits', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const digits = JSON.rawJSON('12345678901234567890');
  assertAnswered(await ingestion.upload(stream, [JSON.stringify({ ...row, custom_fields: { id: digits } })]), 204);
  assert.match(JSON.stringify(emulator.rows(stream)[0]), /12345678901234567890/);
});

test('ten uploads at a cold start share one token request', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const results = await Promise.all(Array.from({ length: 10 }, () => ingestion.upload(stream, [rowJson])));
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
      { code: null, message: 'Bad Request' },
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
      { code: null, message: null },
    ],
    [
      { type: 'status', status: 202, body: 'Accepted' },
      { code: null, message: null },
    ],
  ];
  for (const [answer, expected] of cases) {
    emulator.plan({ target: 'ingest', answer });
    const before = ingestCalls(emulator).length;
    const result = await ingestion.upload(stream, [rowJson]);
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
    assertAnswered(await ingestion.upload(stream, [rowJson]), status);
  }
  assert.ok(emulator.requests.every(({ kind }) => kind !== 'other'));
});

test('a 401 brings a token of a fresh credential, and the same request again, whole', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, [rowJson]), 204);
  emulator.revokeTokens();
  const result = await ingestion.upload(stream, [JSON.stringify({ ...row, justification: 'x'.repeat(5_000) })]);
  assertAnswered(result, 204);
  assert.equal(countOf(emulator, 'token'), 2);
  const [, rejected, again] = ingestCalls(emulator);
  assert.equal(rejected?.status, 401);
  assert.equal(again?.status, 204);
  assert.equal(again?.clientRequestId, rejected?.clientRequestId);
  assert.equal(again?.bodyBytes, rejected?.bodyBytes, 'compressed once');
  assert.equal(emulator.rows(stream)[1]?.['justification'], 'x'.repeat(5_000));
});

test('a claims challenge is passed on to Entra, and the body still arrives', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const claims = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}';
  const challenge = `Bearer realm="", error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`;
  emulator.plan({
    target: 'ingest',
    answer: { type: 'status', status: 401, headers: { 'www-authenticate': challenge } },
  });
  assertAnswered(await ingestion.upload(stream, [rowJson]), 204);
  assert.equal(emulator.rowCount(stream), 1);
  const [, second] = emulator.requests.filter(({ kind }) => kind === 'token');
  assert.match(second?.claims ?? '', /1604106651/);
});

test('a second 401 is the answer', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const body = { error: { code: 'InvalidToken', message: 'The token is bad.' } };
  emulator.plan({ target: 'ingest', answer: { type: 'status', status: 401, body }, times: 'forever' });
  const result = await ingestion.upload(stream, [rowJson]);
  assertAnswered(result, 401);
  assert.deepEqual([result.code, result.message], ['InvalidToken', 'The token is bad.']);
  assert.equal(ingestCalls(emulator).length, 2);
  assert.equal(countOf(emulator, 'token'), 2);
});

test('without a token nothing is sent, and the result says who refused', async (t) => {
  const emulator = await startTestEmulator(t);
  const credential = secretCredential(emulator, 'wrong-secret-c41d');
  const { ingestion, lines } = testIngestion(t, emulator, { credential });
  const result = await ingestion.upload(stream, [rowJson]);
  assert.ok(result.type === 'no_token', JSON.stringify(result));
  assert.deepEqual([result.refused, result.aadsts], [true, 'AADSTS7000215']);
  emulator.plan({ target: 'token', answer: { type: 'status', status: 503 } });
  const busy = await ingestion.upload(stream, [rowJson]);
  assert.ok(busy.type === 'no_token' && !busy.refused, JSON.stringify(busy));
  assert.equal(ingestCalls(emulator).length, 0);
  for (const text of [JSON.stringify([result, busy]), ...lines]) assert.doesNotMatch(text, /wrong-secret-c41d/);
});

test('a refused refresh after a 401 says so, and not only 401', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, []), 204);
  emulator.revokeTokens();
  emulator.setClientSecretExpired(true);
  const result = await ingestion.upload(stream, [rowJson]);
  assert.ok(result.type === 'no_token' && result.refused, JSON.stringify(result));
  assert.equal(result.aadsts, 'AADSTS7000222');
});

test('an upload ends at its time limit, wherever the answer stops', async (t) => {
  const clock = manualClock(Date.now());
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator, { clock, timeLimitMs: 300 });
  assertAnswered(await ingestion.upload(stream, []), 204);
  for (const [hung, at] of (['start', 'headers', 'half_body'] as const).entries()) {
    emulator.plan({ target: 'ingest', answer: { type: 'hang', at } });
    const upload = ingestion.upload(stream, [rowJson]);
    await emulator.waitFor(({ requests }) => requests.filter(({ outcome }) => outcome === 'hung').length > hung);
    clock.advance(300);
    const result = await upload;
    assert.ok(result.type === 'unanswered' && result.reason === 'timeout', `${at}: ${JSON.stringify(result)}`);
    assert.match(result.clientRequestId, /^[0-9a-f-]{36}$/);
  }
});

test('the limit of an upload begins when the token is there', async (t) => {
  const clock = manualClock(Date.now());
  const azureClock = manualClock(Date.now());
  const emulator = await startTestEmulator(t, { clock: azureClock });
  const { ingestion } = testIngestion(t, emulator, { clock, timeLimitMs: 1_000 });
  emulator.plan({ target: 'token', answer: { type: 'pass', delayMs: 5_000 } });
  const result = ingestion.upload(stream, [rowJson]);
  await emulator.waitFor((azure) => countOf(azure, 'token') === 1);
  clock.advance(5_000);
  // The emulator begins to wait when it has read the request.
  while (emulator.requests.some(({ outcome }) => outcome === 'pending')) {
    azureClock.advance(5_000);
    await setImmediate();
  }
  assertAnswered(await result, 204);
  emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
  const late = ingestion.upload(stream, [rowJson]);
  await emulator.waitFor((azure) => countOf(azure, 'ingest') === 2);
  clock.advance(1_000);
  const ended = await late;
  assert.ok(ended.type === 'unanswered' && ended.reason === 'timeout', JSON.stringify(ended));
});

test('an abort ends the upload while it waits for the token, and while it is on its way', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  const assertAborted = (result: UploadResult) =>
    assert.ok(result.type === 'unanswered' && result.reason === 'aborted', JSON.stringify(result));
  assertAborted(await ingestion.upload(stream, [rowJson], { signal: AbortSignal.abort() }));
  assert.equal(emulator.requestCount, 0);

  const early = new AbortController();
  emulator.plan({ target: 'token', answer: { type: 'hang' } });
  const waiting = ingestion.upload(stream, [rowJson], { signal: early.signal });
  await emulator.waitFor((azure) => countOf(azure, 'token') === 1);
  early.abort();
  assertAborted(await waiting);

  const other = testIngestion(t, emulator).ingestion;
  const late = new AbortController();
  emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
  const sending = other.upload(stream, [rowJson], { signal: late.signal });
  await emulator.waitFor((azure) => countOf(azure, 'ingest') === 1);
  late.abort();
  assertAborted(await sending);
  assertAnswered(await other.upload(stream, [rowJson]), 204);
});

test('a connection that is cut is a network failure, wherever it is cut', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator);
  for (const at of ['start', 'headers', 'half_body'] as const) {
    emulator.plan({ target: 'ingest', answer: { type: 'reset', at } });
    const before = countOf(emulator, 'ingest');
    const result = await ingestion.upload(stream, [rowJson]);
    assert.ok(result.type === 'unanswered' && result.reason === 'network', `${at}: ${JSON.stringify(result)}`);
    assert.equal(countOf(emulator, 'ingest') - before, 1, 'not tried again in here');
  }
  assertAnswered(await ingestion.upload(stream, [rowJson]), 204);
});

test('a host that does not resolve, and a certificate that is not trusted, are network failures with their code', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion } = testIngestion(t, emulator, { endpoint: 'https://nothing-here.invalid' });
  const dns = await ingestion.upload(stream, [rowJson]);
  assert.ok(dns.type === 'unanswered' && dns.reason === 'network', JSON.stringify(dns));
  assert.match(dns.message, /^(ENOTFOUND|EAI_AGAIN)/);

  const untrusted = await generate([{ name: 'commonName', value: 'localhost' }]);
  const server = createTlsServer({ key: untrusted.private, cert: untrusted.cert }, (_, answer) => answer.end());
  const port = await listen(t, server);
  const unknown = testIngestion(t, emulator, { endpoint: `https://localhost:${port}` }).ingestion;
  const tls = await unknown.upload(stream, [rowJson]);
  assert.ok(tls.type === 'unanswered' && tls.reason === 'network', JSON.stringify(tls));
  assert.match(tls.message, /^DEPTH_ZERO_SELF_SIGNED_CERT/);
});

test('an answer that echoes the request does not carry the token into a message', async (t) => {
  const emulator = await startTestEmulator(t);
  const { ingestion, tokens, lines } = testIngestion(t, emulator);
  const { token } = await tokens.getToken();
  const echo = { error: { code: 'Echo', message: `you sent authorization: Bearer ${token} and ${token}` } };
  for (const body of [echo, `<pre>authorization: Bearer ${token}</pre>`]) {
    emulator.plan({ target: 'ingest', answer: { type: 'status', status: 400, body } });
    const result = await ingestion.upload(stream, [rowJson]);
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
  assertAnswered(await ingestion.upload(stream, [half, half]), 413);
  assert.equal(emulator.requests.filter(({ kind }) => kind === 'ingest').length, 1);
});

test('an endpoint without TLS is refused', async (t) => {
  const emulator = await startTestEmulator(t);
  assert.throws(() => testIngestion(t, emulator, { endpoint: 'http://localhost:1' }), TypeError);
});

test('HTTPS_PROXY is used for the token and for the rows', async (t) => {
  const emulator = await startTestEmulator(t);
  const tunnels: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket, head) => {
    tunnels.push(request.url ?? '');
    const upstream = connect(emulator.port, 'localhost', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  const port = await listen(t, proxy);
  process.env['HTTPS_PROXY'] = `http://127.0.0.1:${port}`;
  t.after(() => void delete process.env['HTTPS_PROXY']);
  const { ingestion } = testIngestion(t, emulator);
  assertAnswered(await ingestion.upload(stream, [rowJson]), 204);
  const { host } = new URL(emulator.origin);
  assert.ok(tunnels.length >= 2 && tunnels.every((target) => target === host), tunnels.join(' '));
});

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
