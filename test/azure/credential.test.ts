import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generate } from 'selfsigned';
import { createCredential } from '../../src/azure/credential.ts';
import { TokenError } from '../../src/azure/token-error.ts';
import { clouds, ingestionScope } from '../../src/config/clouds.ts';
import type { CredentialConfig } from '../../src/config/credential.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import type { FaultAnswer } from '../support/azure/faults.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { secretCredential } from './support.ts';

const scope = ingestionScope(clouds.public);

async function failureOf(config: CredentialConfig, abortSignal?: AbortSignal): Promise<TokenError> {
  try {
    await createCredential(config).getToken(scope, {
      enableCae: true,
      ...(abortSignal === undefined ? {} : { abortSignal }),
    });
  } catch (error) {
    assert.ok(error instanceof TokenError, `${error}`);
    return error;
  }
  return assert.fail('a token was given');
}

async function temporaryFile(t: TestContext, content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'credential-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'file');
  await writeFile(file, content);
  return file;
}

test('what Entra refuses is refused, with its number', async (t) => {
  const emulator = await startTestEmulator(t);
  const good = secretCredential(emulator);
  const wrong = await failureOf({ ...good, clientSecret: 'not-the-secret-7f3a' });
  assert.deepEqual([wrong.code, wrong.aadsts], ['token_refused', 'AADSTS7000215']);
  assert.doesNotMatch(wrong.message, /not-the-secret-7f3a|Trace ID/);
  const client = await failureOf({ ...good, clientId: '99999999-9999-4999-8999-999999999999' });
  assert.deepEqual([client.code, client.aadsts], ['token_refused', 'AADSTS700016']);
  // Comes up while MSAL reads the openid document, of which it only says "endpoints_resolution_error".
  const tenant = await failureOf({ ...good, tenantId: '99999999-9999-4999-8999-999999999999' });
  assert.deepEqual([tenant.code, tenant.aadsts], ['token_refused', 'AADSTS90002']);
  emulator.setClientSecretExpired(true);
  const expired = await failureOf(good);
  assert.deepEqual([expired.code, expired.aadsts], ['token_refused', 'AADSTS7000222']);
});

test('an answer that judges nobody is no refusal', async (t) => {
  const emulator = await startTestEmulator(t);
  const busy = { error: 'temporarily_unavailable', error_description: 'AADSTS90033: A transient error. Trace ID: x' };
  const cases: readonly (readonly [FaultAnswer, RegExp])[] = [
    [{ type: 'status', status: 429, headers: { 'retry-after': '120' }, body: { error: 'throttled' } }, /429/],
    [{ type: 'status', status: 500, body: {} }, /500/],
    [{ type: 'status', status: 503, body: busy }, /503.*AADSTS90033/],
    [
      { type: 'status', status: 403, headers: { 'content-type': 'text/html' }, body: '<h1>Blocked by proxy</h1>' },
      /403/,
    ],
    [{ type: 'status', status: 200, body: '<h1>Sign in to this Wi-Fi</h1>' }, /200 without a token/],
    [{ type: 'status', status: 200, body: { token_type: 'Bearer' } }, /200 without a token/],
    [{ type: 'reset' }, /ECONNRESET/],
  ];
  for (const [answer, message] of cases) {
    for (const target of ['token', 'openid'] as const) {
      const before = emulator.requests.length;
      emulator.plan({ target, answer });
      const error = await failureOf(secretCredential(emulator));
      assert.equal(error.code, 'token_unreachable', `${target} ${message}: ${error.message}`);
      assert.match(error.message, message);
      assert.equal(
        error.isForeign,
        /403|200/.test(message.source),
        'what Entra never answers comes from something else',
      );
      assert.equal(emulator.requests.length - before, target === 'token' ? 2 : 1, 'nothing is tried again in here');
    }
  }
});

test('a page that echoes the client secret does not carry it into what Entra is said to say', async (t) => {
  const emulator = await startTestEmulator(t);
  const config = secretCredential(emulator, 'not-the-secret-7f3a-9d2e-1b2c');
  // 300 characters of a page are kept. A secret that this cut divides must not stay in part.
  for (const filler of ['', 'x'.repeat(290)]) {
    const body = `<pre>${filler} ${config.clientSecret}</pre>`;
    emulator.plan({ target: 'token', answer: { type: 'status', status: 403, body } });
    const { said } = await failureOf(config);
    assert.match(said ?? '', /\[redact/);
    assert.doesNotMatch(said ?? '', /not-the/);
  }
});

test('a redirect does not take the client secret to another host', async (t) => {
  const emulator = await startTestEmulator(t);
  const elsewhere = `${emulator.origin}/elsewhere`;
  emulator.plan({ target: 'token', answer: { type: 'status', status: 307, headers: { location: elsewhere } } });
  const error = await failureOf(secretCredential(emulator));
  assert.equal(error.code, 'token_unreachable');
  assert.ok(emulator.requests.every(({ kind }) => kind !== 'other'));
});

test('a host that is not there, and one whose certificate is not trusted, are told apart', async (t) => {
  const emulator = await startTestEmulator(t);
  const config = { ...secretCredential(emulator), authorityHost: 'https://login.invalid' };
  const dns = await failureOf(config);
  assert.equal(dns.code, 'token_unreachable');
  assert.match(dns.message, /login\.invalid.*(ENOTFOUND|EAI_AGAIN)/);

  const names = [{ name: 'commonName', value: 'localhost' }];
  const untrusted = await generate(names);
  const server = createServer({ key: untrusted.private, cert: untrusted.cert }, (_, answer) => answer.end('{}'));
  await new Promise<void>((resolve) => server.listen(0, resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const tls = await failureOf({ ...config, authorityHost: `https://localhost:${port}` });
  assert.equal(tls.code, 'token_unreachable');
  assert.match(tls.message, /DEPTH_ZERO_SELF_SIGNED_CERT/);
});

test('a hung Entra ends with the signal of the caller, on the wire too', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.plan({ target: 'token', answer: { type: 'hang' } });
  const controller = new AbortController();
  const failure = failureOf(secretCredential(emulator), controller.signal);
  await emulator.waitFor((azure) => azure.requests.some(({ kind }) => kind === 'token'));
  controller.abort();
  assert.equal((await failure).code, 'token_unreachable');
});

test('a certificate signs in and sends its chain', async (t) => {
  const emulator = await startTestEmulator(t);
  const pair = await generate([{ name: 'commonName', value: 'apono-sentinel' }], { keySize: 2048 });
  const certificatePath = await temporaryFile(t, `${pair.private}\n${pair.cert}`);
  const { clientSecret: _, ...identity } = secretCredential(emulator);
  const config = { ...identity, type: 'certificate', certificatePath, certificatePassword: null } as const;
  assert.ok((await createCredential(config).getToken(scope))?.token);
  assert.equal(emulator.requests.find(({ kind }) => kind === 'token')?.credential, 'client_assertion');

  // The SDK takes the first certificate of a file for the client's own, and Entra looks its key up by that thumbprint.
  const issuer = await generate([{ name: 'commonName', value: 'CA' }], {
    keySize: 2048,
    extensions: [{ name: 'basicConstraints', cA: true }],
  });
  const issued = await generate([{ name: 'commonName', value: 'apono-sentinel' }], {
    keySize: 2048,
    ca: { key: issuer.private, cert: issuer.cert },
  });
  const encrypted = createPrivateKey(issued.private).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'hunter2',
  });
  const reversed = `\uFEFF${issuer.cert}\n${issued.cert}\n${encrypted}`.replaceAll('\n', '\r\n');
  const chained = { ...config, certificatePath: await temporaryFile(t, reversed), certificatePassword: 'hunter2' };
  assert.ok((await createCredential(chained).getToken(scope))?.token);
  await writeFile(chained.certificatePath, `${pair.private}\n${pair.cert}`);
  assert.ok((await createCredential(chained).getToken(scope))?.token, 'a renewed file needs no restart');
  await writeFile(chained.certificatePath, `${issuer.cert}\n${encrypted}`);
  const wrong = await failureOf(chained);
  assert.match(wrong.message, /AZURE_CLIENT_CERTIFICATE_PATH names .*private key of another certificate/);
  assert.doesNotMatch(wrong.message, /hunter2/);

  const missing = await failureOf({ ...config, certificatePath: `${certificatePath}.missing` });
  assert.equal(missing.code, 'token_refused', 'only a person can put the file there');
  assert.match(missing.message, /ENOENT/);
  const broken = await failureOf({ ...config, certificatePath: await temporaryFile(t, 'no certificate') });
  assert.equal(broken.code, 'token_refused');
});

test('a workload identity signs in with the token of its file', async (t) => {
  const emulator = await startTestEmulator(t);
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: 'https://cluster.example',
    sub: 'system:serviceaccount:a:b',
    aud: 'api://AzureADTokenExchange',
  };
  const exp = Math.floor(Date.now() / 1000) + 600;
  const assertion = `${encode({ alg: 'RS256' })}.${encode({ ...claims, exp })}.c2ln`;
  const { clientSecret: _, ...identity } = secretCredential(emulator);
  const config = { ...identity, type: 'workload', tokenFile: await temporaryFile(t, assertion) } as const;
  assert.ok((await createCredential(config).getToken(scope))?.token);
  const missing = await failureOf({ ...config, tokenFile: `${config.tokenFile}.missing` });
  assert.equal(missing.code, 'token_refused');
});

test('a managed identity signs in at the endpoint of its host', async (t) => {
  const emulator = await startTestEmulator(t);
  process.env['IDENTITY_ENDPOINT'] = emulator.identityEndpoint;
  process.env['IDENTITY_HEADER'] = emulator.identityHeader;
  t.after(() => {
    delete process.env['IDENTITY_ENDPOINT'];
    delete process.env['IDENTITY_HEADER'];
  });
  const unknown = await failureOf({ type: 'managed', clientId: '99999999-9999-4999-8999-999999999999' });
  assert.equal(unknown.code, 'token_refused');
  assert.match(unknown.said ?? '', /No User Assigned identity/);
  assert.doesNotMatch(unknown.message, /No User/);
  emulator.plan({ target: 'managed_identity', answer: { type: 'status', status: 500, body: {} } });
  const busy = await failureOf({ type: 'managed', clientId: null });
  assert.equal(busy.code, 'token_unreachable', busy.message);
  await assertAnswersOfIdentity(emulator);
  assert.ok((await createCredential({ type: 'managed', clientId: emulator.clientId }).getToken(scope))?.token);
  assert.ok((await createCredential({ type: 'managed', clientId: null }).getToken(scope))?.token);
});

/** The forms of field reports: azure-sdk-for-net#28568, azure-container-apps#502, MSAL.NET#4998. */
async function assertAnswersOfIdentity(emulator: Emulator): Promise<void> {
  const html = { 'content-type': 'text/html' };
  const cases: readonly (readonly [number, object | string, TokenError['code'], RegExp])[] = [
    [400, { error: 'invalid_request', error_description: 'Identity not found' }, 'token_refused', /Identity not found/],
    [400, { error: { code: 'invalid_scope', message: 'No such resource' } }, 'token_refused', /No such resource/],
    [403, { StatusCode: 403, Message: 'Not allowed here' }, 'token_refused', /HTTP 403: Not allowed here/],
    [403, '<html><title>Forbidden by host</title></html>', 'token_refused', /Forbidden by host/],
    [404, { error: 'not_found', error_description: 'Updating' }, 'token_unreachable', /404 not_found: Updating/],
    [410, '<html><title>Gone</title></html>', 'token_unreachable', /410 without a token: Gone/],
    [429, { statusCode: 429, message: 'Too many' }, 'token_unreachable', /429: Too many/],
    [500, { error: { code: 'x', message: 'Failed' } }, 'token_unreachable', /500 x: Failed/],
    [503, {}, 'token_unreachable', /HTTP 503 without a token$/],
    // What Docker Desktop answers for an address that it cannot reach.
    [
      403,
      'connecting to 169.254.169.254:80: unreachable network',
      'token_unreachable',
      /^[\w.:]+: .*unreachable network/,
    ],
  ];
  for (const [status, body, code, message] of cases) {
    const headers = typeof body === 'string' ? html : {};
    emulator.plan({ target: 'managed_identity', answer: { type: 'status', status, body, headers } });
    const error = await failureOf({ type: 'managed', clientId: null });
    assert.equal(error.code, code, `${status} ${error.message}`);
    assert.match(error.said === null ? error.message : `${error.message}: ${error.said}`, message);
    // What may be logged holds no foreign sentence.
    assert.doesNotMatch(error.message, /Identity not|resource|allowed|Forbidden|Updating|Gone|Too many|Failed/);
  }
}
