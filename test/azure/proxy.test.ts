import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createCredential } from '../../src/azure/credential.ts';
import { createIncidents } from '../../src/azure/incidents.ts';
import { createIngestion } from '../../src/azure/ingestion.ts';
import { createResourceManager } from '../../src/azure/resource-manager.ts';
import { createTokenCache } from '../../src/azure/token-cache.ts';
import { TokenError } from '../../src/azure/token-error.ts';
import { explainTokenFailure } from '../../src/azure/token-fixes.ts';
import { clouds, databaseScope, ingestionScope, resourceManagerScope } from '../../src/config/clouds.ts';
import type { CredentialConfig } from '../../src/config/credential.ts';
import { readProxy } from '../../src/config/proxy.ts';
import { makeCertificate } from '../../src/emulator/certificate.ts';
import { systemClock } from '../../src/ground/clock.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { requestStream, startTestEmulator, trust } from '../support/emulator.ts';
import { logLines, secretCredential } from './support.ts';

type Variables = Readonly<Record<string, string>>;

/** Everything that the service asks Azure, with the proxy of these variables; what the environment of the test says does not count. */
function azureThrough(t: TestContext, emulator: Emulator, variables: Variables, credential?: CredentialConfig) {
  const { proxy } = readProxy(variables);
  assert.ok(proxy !== null);
  const tokensFor = (scope: string) => {
    const tokens = createTokenCache({
      createCredential: () => createCredential(credential ?? secretCredential(emulator), proxy),
      scope,
      clock: systemClock,
      log: logLines().log,
    });
    t.after(() => tokens.close());
    return tokens;
  };
  const { origin, ruleId } = emulator;
  const managerTokens = tokensFor(resourceManagerScope(clouds.public));
  const workspaceId = '/subscriptions/a/resourceGroups/b/providers/Microsoft.OperationalInsights/workspaces/c';
  return {
    databaseToken: () => tokensFor(databaseScope(clouds.public)).getToken(),
    ingestion: createIngestion({
      endpoint: origin,
      ruleId,
      tokens: tokensFor(ingestionScope(clouds.public)),
      proxy,
    }),
    resourceManager: createResourceManager({
      ...{ origin, tokens: managerTokens, proxy, clock: systemClock },
      credential: credential ?? secretCredential(emulator),
    }),
    incidents: createIncidents({
      origin,
      workspaceId,
      credential: secretCredential(emulator),
      tokens: managerTokens,
      proxy,
      clock: systemClock,
      random: Math.random,
      maxAttempts: 1,
      onRetry: () => {},
    }),
  };
}

test('token, rows, Resource Manager and incidents go through the proxy, signed in as curl would', async (t) => {
  const emulator = await startTestEmulator(t);
  const login = 'CORP\\bob:a#b@c/d:100%é';
  const proxy = await startConnectProxy(t, { login });
  // The SDK reads this itself, and fails with "Invalid URL" at what curl takes.
  process.env['HTTPS_PROXY'] = '10.0.0.1:3128';
  t.after(() => void delete process.env['HTTPS_PROXY']);
  const azure = azureThrough(t, emulator, { HTTPS_PROXY: `CORP\\bob:a#b@c/d:100%é@127.0.0.1:${proxy.port}` });
  const steps: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['token and rows', () => azure.ingestion.upload(requestStream, '[]')],
    ['token for the database', () => azure.databaseToken()],
    ['rule', () => azure.resourceManager.getDataCollectionRule('/subscriptions/a/x/y').catch(() => null)],
    ['incidents', () => azure.incidents.get('33333333-3333-4333-8333-333333333333').catch(() => null)],
  ];
  const before = { requests: emulator.requests.length, tunnels: 0 };
  for (const [name, step] of steps) {
    const result = await step();
    if (name === 'token and rows') assert.equal((result as { status?: number }).status, 204);
    assert.ok(proxy.tunnels.length > before.tunnels, `${name} went past the proxy`);
    assert.ok(emulator.requests.length > before.requests, `${name} did not arrive`);
    Object.assign(before, { requests: emulator.requests.length, tunnels: proxy.tunnels.length });
  }
  assert.deepEqual([...new Set(proxy.tunnels)], [new URL(emulator.origin).host]);
  assert.deepEqual([...new Set(proxy.logins)], [login]);
});

test('a proxy that itself takes TLS is spoken to in TLS', async (t) => {
  const emulator = await startTestEmulator(t);
  const { caPem, certPem, keyPem } = await makeCertificate(['localhost']);
  trust(caPem);
  const proxy = await startConnectProxy(t, { tls: { cert: certPem, key: keyPem }, host: 'localhost' });
  const azure = azureThrough(t, emulator, { https_proxy: `https://localhost:${proxy.port}` });
  const result = await azure.ingestion.upload(requestStream, '[]');
  assert.equal(result.type === 'answered' && result.status, 204, JSON.stringify(result));
  assert.ok(proxy.tunnels.length >= 2);
});

test('what NO_PROXY names is asked without the proxy', async (t) => {
  const emulator = await startTestEmulator(t);
  const proxy = await startConnectProxy(t);
  const { host } = new URL(emulator.origin);
  const azure = azureThrough(t, emulator, { HTTPS_PROXY: `127.0.0.1:${proxy.port}`, NO_PROXY: `example.com ${host}` });
  const result = await azure.ingestion.upload(requestStream, '[]');
  assert.equal(result.type === 'answered' && result.status, 204);
  assert.deepEqual(proxy.logins, []);
});

test('a managed identity is never asked for through the proxy, its rows go through it', async (t) => {
  const emulator = await startTestEmulator(t);
  process.env['IDENTITY_ENDPOINT'] = emulator.identityEndpoint;
  process.env['IDENTITY_HEADER'] = emulator.identityHeader;
  t.after(() => {
    delete process.env['IDENTITY_ENDPOINT'];
    delete process.env['IDENTITY_HEADER'];
  });
  const proxy = await startConnectProxy(t);
  const managed = { type: 'managed', clientId: null } as const;
  const azure = azureThrough(t, emulator, { HTTPS_PROXY: `127.0.0.1:${proxy.port}` }, managed);
  const result = await azure.ingestion.upload(requestStream, '[]');
  assert.equal(result.type === 'answered' && result.status, 204, JSON.stringify(result));
  assert.equal(proxy.tunnels.length, 1);
});

test('a proxy that wants a sign-in before the token is named, and is no refusal of the credential', async (t) => {
  const emulator = await startTestEmulator(t);
  const proxy = await startConnectProxy(t, { login: 'bob:right' });
  const azure = azureThrough(t, emulator, { HTTPS_PROXY: `http://bob:wr0ng-pw@127.0.0.1:${proxy.port}` });
  const error = await azure.databaseToken().then(
    () => assert.fail('a token was given'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TokenError);
  assert.equal(error.code, 'token_unreachable');
  const explained = explainTokenFailure(error, secretCredential(emulator));
  assert.match(explained.fix, /user and password into HTTPS_PROXY/);
  assert.ok(!JSON.stringify(explained).includes('wr0ng-pw'));
});
