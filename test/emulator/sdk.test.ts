import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential } from '@azure/identity';
import { isAggregateLogsUploadError, LogsIngestionClient } from '@azure/monitor-ingestion';
import type { Emulator } from '../support/azure/emulator.ts';
import { throttled } from '../support/azure/faults.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';

function credential(emulator: Emulator, secret = emulator.clientSecret): ClientSecretCredential {
  return new ClientSecretCredential(emulator.tenantId, emulator.clientId, secret, {
    authorityHost: emulator.origin,
    disableInstanceDiscovery: true,
    retryOptions: { maxRetries: 0 },
  });
}

function client(emulator: Emulator, secret?: string): LogsIngestionClient {
  return new LogsIngestionClient(emulator.origin, credential(emulator, secret), { retryOptions: { maxRetries: 0 } });
}

/** What came of an upload that must fail: the cause that the SDK has for it. */
async function failure(upload: Promise<void>): Promise<Error & { statusCode?: number; code?: string }> {
  try {
    await upload;
  } catch (error) {
    if (!isAggregateLogsUploadError(error)) return error as Error;
    const cause = error.errors[0]?.cause;
    assert.ok(cause !== undefined);
    return cause;
  }
  return assert.fail('the upload succeeded');
}

describe('the Azure SDKs against the emulator', () => {
  test('a client secret gets a token, and the rows of an upload arrive', async (t) => {
    const emulator = await startTestEmulator(t);
    const now = new Date().toISOString();
    const sent = { TimeGenerated: now, event_type: 'AccessRequestGranted', justification: 'ünïcode "quoted"\n漢字 🎉' };
    await client(emulator).upload(emulator.ruleId, requestStream, [sent, { ...sent, event_type: 'Second' }]);

    const rows = emulator.rows(requestStream);
    assert.deepEqual(
      rows.map(({ TimeGenerated, event_type, justification }) => ({ TimeGenerated, event_type, justification })),
      [sent, { ...sent, event_type: 'Second' }],
    );
    assert.deepEqual(
      emulator.requests.map(({ kind, status, outcome }) => [kind, status, outcome]),
      [
        ['openid', 200, 'answered'],
        ['token', 200, 'answered'],
        ['ingest', 204, 'answered'],
      ],
    );
    const [, token, ingest] = emulator.requests;
    assert.equal(token?.scope, 'https://monitor.azure.com/.default');
    assert.equal(token?.credential, 'client_secret');
    assert.equal(ingest?.tokenState, 'valid');
    assert.equal(ingest?.tokenId, token?.tokenId);
    assert.equal(ingest?.contentEncoding, 'gzip');
    assert.equal(ingest?.rowCount, 2);
    assert.equal(
      ingest?.decompressedBytes,
      Buffer.byteLength(JSON.stringify([sent, { ...sent, event_type: 'Second' }])),
    );
    assert.ok((ingest?.bodyBytes ?? 0) > 0 && ingest?.bodyBytes !== ingest?.decompressedBytes);
    assert.match(ingest?.clientRequestId ?? '', /^[0-9a-f-]{36}$/);
    assert.match(ingest?.userAgent ?? '', /monitor-ingestion/);
  });

  test('a wrong secret is AADSTS7000215, an expired one AADSTS7000222, and a new secret works', async (t) => {
    const emulator = await startTestEmulator(t);
    assert.match(
      (await failure(client(emulator, 'wrong').upload(emulator.ruleId, requestStream, [{}]))).message,
      /AADSTS7000215/,
    );
    emulator.setClientSecretExpired(true);
    assert.match(
      (await failure(client(emulator).upload(emulator.ruleId, requestStream, [{}]))).message,
      /AADSTS7000222/,
    );
    emulator.setClientSecretExpired(false);
    const former = emulator.clientSecret;
    emulator.setClientSecret('another-secret');
    assert.equal(emulator.clientSecret, 'another-secret');
    assert.match(
      (await failure(client(emulator, former).upload(emulator.ruleId, requestStream, [{}]))).message,
      /AADSTS7000215/,
    );
    await client(emulator).upload(emulator.ruleId, requestStream, [{}]);
    assert.equal(emulator.rowCount(requestStream), 1);
    assert.deepEqual(
      emulator.requests.filter(({ kind }) => kind === 'token').map(({ errorCode }) => errorCode),
      ['AADSTS7000215', 'AADSTS7000222', 'AADSTS7000215', null],
    );
  });

  test('a wrong tenant or client is refused by name', async (t) => {
    const emulator = await startTestEmulator(t);
    const other = '99999999-9999-4999-8999-999999999999';
    const options = { authorityHost: emulator.origin, disableInstanceDiscovery: true, retryOptions: { maxRetries: 0 } };
    const scope = 'https://monitor.azure.com/.default';
    const wrongClient = new ClientSecretCredential(emulator.tenantId, other, emulator.clientSecret, options);
    await assert.rejects(wrongClient.getToken(scope), /AADSTS700016/);
    const wrongTenant = new ClientSecretCredential(other, emulator.clientId, emulator.clientSecret, options);
    await assert.rejects(wrongTenant.getToken(scope));
    assert.equal(emulator.requests.at(-1)?.errorCode, 'AADSTS90002');
  });

  test('an answer of Azure reaches the caller with its status, code and text', async (t) => {
    const emulator = await startTestEmulator(t);
    const sdk = client(emulator);
    emulator.setPublisherRole(false);
    const forbidden = await failure(sdk.upload(emulator.ruleId, requestStream, [{}]));
    assert.deepEqual([forbidden.statusCode, forbidden.code], [403, 'OperationFailed']);
    assert.match(forbidden.message, /does not have access to ingest data for the data collection rule/);
    emulator.setPublisherRole(true);
    emulator.setRulePresent(false);
    const missing = await failure(sdk.upload(emulator.ruleId, requestStream, [{}]));
    assert.deepEqual([missing.statusCode, missing.code], [404, 'NotFound']);
    emulator.setRulePresent(true);
    const stream = await failure(sdk.upload(emulator.ruleId, 'Custom-Other_CL', [{}]));
    assert.deepEqual([stream.statusCode, stream.code], [400, 'InvalidStream']);
    emulator.revokeTokens();
    const revoked = await failure(sdk.upload(emulator.ruleId, requestStream, [{}]));
    assert.deepEqual([revoked.statusCode, revoked.code], [401, 'InvalidToken']);
    emulator.plan({ target: 'ingest', answer: throttled(7) });
    const busy = await failure(sdk.upload(emulator.ruleId, requestStream, [{}]));
    assert.equal(busy.statusCode, 429);
    assert.equal(emulator.rowCount(requestStream), 0);
  });

  test('an upload to an Azure that hangs can be aborted', { timeout: 300_000 }, async (t) => {
    const emulator = await startTestEmulator(t);
    emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
    const stop = new AbortController();
    const upload = failure(client(emulator).upload(emulator.ruleId, requestStream, [{}], { abortSignal: stop.signal }));
    await emulator.waitFor((e) => e.requests.some(({ outcome }) => outcome === 'hung'));
    assert.equal(emulator.requests.at(-1)?.endedAt, null);
    stop.abort();
    assert.equal((await upload).name, 'AbortError');
    await emulator.waitFor((e) => e.requests.at(-1)?.endedAt !== null);
    assert.equal(emulator.requests.at(-1)?.status, null);
    assert.equal(emulator.rowCount(requestStream), 0);
  });

  test('refresh_in reaches the credential', async (t) => {
    const emulator = await startTestEmulator(t, { refreshInSeconds: 600 });
    const token = await credential(emulator).getToken('https://monitor.azure.com/.default');
    const secondsFromNow = (time = 0): number => (time - Date.now()) / 1000;
    // MSAL rounds to whole seconds.
    const life = secondsFromNow(token.expiresOnTimestamp);
    assert.ok(life > 3500 && life <= 3600, `lives ${life} s`);
    const refresh = secondsFromNow(token.refreshAfterTimestamp);
    assert.ok(refresh > 500 && refresh <= 601, `refresh after ${refresh} s`);
  });

  test('a client assertion signs in', async (t) => {
    const emulator = await startTestEmulator(t);
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const exp = Math.floor(Date.now() / 1000) + 600;
    const claims = { iss: 'https://cluster', sub: 'system:serviceaccount:a:b', aud: 'api://AzureADTokenExchange', exp };
    const assertion = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}.c2ln`;
    const workload = new ClientAssertionCredential(emulator.tenantId, emulator.clientId, async () => assertion, {
      authorityHost: emulator.origin,
      disableInstanceDiscovery: true,
    });
    await new LogsIngestionClient(emulator.origin, workload).upload(emulator.ruleId, requestStream, [{}]);
    assert.equal(emulator.requests.find(({ kind }) => kind === 'token')?.credential, 'client_assertion');
    assert.equal(emulator.rowCount(requestStream), 1);
  });

  test('a managed identity signs in', async (t) => {
    const emulator = await startTestEmulator(t);
    process.env['IDENTITY_ENDPOINT'] = emulator.identityEndpoint;
    process.env['IDENTITY_HEADER'] = emulator.identityHeader;
    t.after(() => {
      delete process.env['IDENTITY_ENDPOINT'];
      delete process.env['IDENTITY_HEADER'];
    });
    const identity = new ManagedIdentityCredential();
    await new LogsIngestionClient(emulator.origin, identity).upload(emulator.ruleId, requestStream, [{}]);
    assert.equal(emulator.rowCount(requestStream), 1);
    assert.deepEqual(
      emulator.requests.map(({ kind }) => kind),
      ['managed_identity', 'ingest'],
    );
  });
});
