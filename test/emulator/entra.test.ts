import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startTestEmulator } from '../support/emulator.ts';
import { manualClock } from '../support/manual-clock.ts';
import { call, managementScope, requestToken } from './client.ts';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

function encode(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;
}

describe('Entra', () => {
  test('the configuration names the token endpoint under the name that the client used', async (t) => {
    const emulator = await startTestEmulator(t);
    const path = `/${emulator.tenantId}/v2.0/.well-known/openid-configuration`;
    const first = await call(`${emulator.origin}${path}`);
    assert.equal(first.status, 200);
    const tokenEndpoint = (text: string): unknown => (JSON.parse(text) as { token_endpoint: unknown }).token_endpoint;
    assert.equal(tokenEndpoint(first.text), `${emulator.origin}/${emulator.tenantId}/oauth2/v2.0/token`);
    const byAddress = await call(`https://127.0.0.1:${emulator.port}${path}`);
    assert.match(String(tokenEndpoint(byAddress.text)), /^https:\/\/127\.0\.0\.1:\d+\//);
    const forged = await call(`${emulator.origin}${path}`, { headers: { host: 'evil.example:443' } });
    assert.equal(tokenEndpoint(forged.text), tokenEndpoint(first.text));
    const other = await call(`${emulator.origin}/elsewhere/v2.0/.well-known/openid-configuration`);
    assert.equal(other.status, 400);
    assert.match(other.text, /AADSTS90002/);
  });

  test('tokens are JWT-shaped, unique, and say audience and expiry', async (t) => {
    const now = Date.UTC(2026, 0, 1);
    const emulator = await startTestEmulator(t, { clock: manualClock(now), tokenLifetimeSeconds: 900 });
    const one = await requestToken(emulator);
    const two = await requestToken(emulator, { scope: managementScope });
    assert.notEqual(one.body.access_token, two.body.access_token);
    const claims = claimsOf(one.body.access_token);
    assert.deepEqual([claims['aud'], claims['exp']], ['https://monitor.azure.com', now / 1000 + 900]);
    assert.equal(claimsOf(two.body.access_token)['aud'], 'https://management.azure.com');
    assert.equal(one.body.expires_in, 899);
    assert.equal(one.body.refresh_in, undefined);
    assert.equal(one.answer.headers['cache-control'], 'no-store, no-cache');
    assert.equal(emulator.requests[0]?.tokenId, claims['uti']);
  });

  test('each refusal has its OAuth error, its AADSTS number and its status', async (t) => {
    const emulator = await startTestEmulator(t);
    const other = '99999999-9999-4999-8999-999999999999';
    const refusals: [Record<string, string | undefined>, number, string, number][] = [
      [{ client_secret: 'wrong' }, 401, 'invalid_client', 7000215],
      [{ client_secret: '' }, 401, 'invalid_client', 7000215],
      [{ client_secret: undefined }, 401, 'invalid_client', 7000216],
      [{ client_id: other }, 400, 'unauthorized_client', 700016],
      [{ client_id: undefined }, 400, 'unauthorized_client', 700016],
      [{ grant_type: 'password' }, 400, 'unsupported_grant_type', 70003],
      [{ grant_type: undefined }, 400, 'invalid_request', 900144],
      [{ scope: undefined }, 400, 'invalid_request', 900144],
      [{ scope: 'https://monitor.azure.com' }, 400, 'invalid_scope', 1002012],
      [{ scope: 'https://example.com/.default' }, 400, 'invalid_resource', 500011],
    ];
    for (const [fields, status, error, number] of refusals) {
      const { answer, body } = await requestToken(emulator, fields);
      assert.deepEqual(
        [answer.status, body.error, body.error_codes],
        [status, error, [number]],
        JSON.stringify(fields),
      );
      assert.match(
        body.error_description,
        new RegExp(`^AADSTS${number}: .+ Trace ID: .+ Correlation ID: .+ Timestamp: .+Z$`),
      );
      assert.equal(emulator.requests.at(-1)?.errorCode, `AADSTS${number}`);
      assert.equal(emulator.requests.at(-1)?.tokenId, null);
    }
    const tenant = await requestToken(emulator, {}, other);
    assert.deepEqual([tenant.answer.status, tenant.body.error_codes], [400, [90002]]);
  });

  test('scopes of every cloud, with a double slash too, get tokens', async (t) => {
    const emulator = await startTestEmulator(t);
    for (const scope of [
      'https://monitor.azure.us/.default',
      'https://monitor.azure.cn/.default',
      'https://monitor.azure.com//.default',
      'https://management.usgovcloudapi.net/.default',
    ]) {
      assert.equal((await requestToken(emulator, { scope })).answer.status, 200, scope);
    }
  });

  test('an assertion must be a JWT in its time, of this client or federated', async (t) => {
    const now = Date.UTC(2026, 0, 1);
    const emulator = await startTestEmulator(t, { clock: manualClock(now) });
    const { clientId } = emulator;
    const jwt = (claims: unknown): string => `${encode({ alg: 'PS256', typ: 'JWT' })}.${encode(claims)}.c2ln`;
    const exp = now / 1000 + 60;
    const tries: [string, number | null][] = [
      [jwt({ iss: clientId, sub: clientId, exp }), null],
      [
        jwt({ iss: 'https://cluster', sub: 'system:serviceaccount:a:b', aud: ['api://AzureADTokenExchange'], exp }),
        null,
      ],
      [jwt({ iss: clientId, sub: clientId, exp: now / 1000 }), 700024],
      [jwt({ iss: clientId, sub: clientId }), 700024],
      [jwt({ iss: clientId, sub: 'another', exp }), 700021],
      [jwt([1]), 50027],
      ['not.a.jwt', 50027],
      ['abc', 50027],
      ['', 50027],
    ];
    for (const [assertion, number] of tries) {
      const fields = { client_secret: undefined, client_assertion: assertion, client_assertion_type: assertionType };
      const { answer, body } = await requestToken(emulator, fields);
      assert.deepEqual(body.error_codes ?? null, number === null ? null : [number], assertion);
      assert.equal(answer.status, number === null ? 200 : 401);
    }
  });

  test('the managed identity endpoint wants its header, its version and a known resource', async (t) => {
    const emulator = await startTestEmulator(t);
    const ask = async (query: string, header: string): Promise<number> =>
      (await call(`${emulator.identityEndpoint}?${query}`, { headers: { 'x-identity-header': header } })).status;
    const good = 'api-version=2019-08-01&resource=https%3A%2F%2Fmonitor.azure.com';
    assert.equal(await ask(good, emulator.identityHeader), 200);
    assert.equal(await ask(good, 'wrong'), 401);
    assert.equal(await ask('resource=https%3A%2F%2Fmonitor.azure.com', emulator.identityHeader), 400);
    assert.equal(await ask('api-version=2019-08-01&resource=x', emulator.identityHeader), 400);
    assert.equal(await ask(`${good}&client_id=other`, emulator.identityHeader), 400);
    assert.equal(await ask(`${good}&client_id=${emulator.clientId}`, emulator.identityHeader), 200);
  });

  test('no secret and no token is kept in the record of requests', async (t) => {
    const emulator = await startTestEmulator(t);
    const { body } = await requestToken(emulator);
    const record = JSON.stringify(emulator.requests);
    assert.equal(record.includes(emulator.clientSecret), false);
    assert.equal(record.includes(body.access_token), false);
  });
});
