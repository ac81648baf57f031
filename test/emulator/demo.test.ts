import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientSecretCredential } from '@azure/identity';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import { createCredential } from '../../src/azure/credential.ts';
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts';
import { requestColumns, requestStream, trust } from '../support/emulator.ts';
import { call } from './client.ts';

test('the emulator of the demo takes rows from whoever has its environment, and says when they are there', async (t) => {
  const emulator = await startEmulator({ [requestStream]: requestColumns });
  t.after(() => emulator.stop());
  await assert.rejects(emulator.waitForRows(1, 20), /only 0 of 1 rows arrived within 20 ms/);
  const arrival = emulator.waitForRows(2);
  await uploadTo(emulator)(requestStream, [{ event_type: 'a' }, { event_type: 'b' }]);
  await arrival;
  assert.deepEqual(
    emulator.rows(requestStream).map(({ event_type: type }) => type),
    ['a', 'b'],
  );
});

test('lossy cuts every other call of each stream, after its rows were stored', async (t) => {
  const second = 'Custom-Second_CL';
  const emulator = await startEmulator({ [requestStream]: requestColumns, [second]: [] }, { fault: 'lossy' });
  t.after(() => emulator.stop());
  const upload = uploadTo(emulator);
  const seen = [];
  for (const stream of [requestStream, second, requestStream, second, second]) {
    seen.push(await upload(stream, [{}]).then(...outcomes));
  }
  assert.deepEqual(seen, ['cut', 'cut', 'taken', 'taken', 'cut']);
  assert.equal(emulator.allRows().length, 5);
});

test('refused refuses rows of rejected requests, and takes all others and an empty list', async (t) => {
  const emulator = await startEmulator({ [requestStream]: requestColumns }, { fault: 'refused' });
  t.after(() => emulator.stop());
  const upload = uploadTo(emulator);
  const [rejected, created] = [{ event_action: 'Rejected' }, { event_action: 'Created' }];
  const seen = [];
  for (const rows of [[created, rejected], [rejected], [created], []]) {
    seen.push(await upload(requestStream, rows).then(...outcomes));
  }
  assert.deepEqual(seen, [400, 400, 'taken', 'taken']);
  assert.equal(emulator.allRows().length, 1);
});

test('it stores the columns that the stream declares, and null for what a row lacks', async (t) => {
  const emulator = await startEmulator({ 'Custom-Some_CL': [{ name: 'a' }, { name: 'b' }] });
  t.after(() => emulator.stop());
  await uploadTo(emulator)('Custom-Some_CL', [{ a: 1, c: 3 }]);
  assert.deepEqual(emulator.rows('Custom-Some_CL'), [{ a: 1, b: null }]);
});

test('it refuses what can be wrong in a rehearsal: tenant, client, secret, rule and stream', async (t) => {
  const emulator = await startEmulator({ [requestStream]: requestColumns });
  t.after(() => emulator.stop());
  const other = '44444444-4444-4444-8444-444444444444';
  trust(emulator.caPem);
  const { environment: env, origin: authorityHost } = emulator;
  const right = { tenantId: env.AZURE_TENANT_ID, clientId: env.AZURE_CLIENT_ID, clientSecret: env.AZURE_CLIENT_SECRET };
  const signIn = (wrong: Partial<typeof right>) =>
    createCredential({
      ...{ type: 'secret', ...right, ...wrong },
      ...{ authorityHost, instanceDiscovery: false, expiresAt: null },
    }).getToken('https://monitor.azure.com/.default');
  await assert.rejects(signIn({ tenantId: other }), { code: 'token_refused', aadsts: 'AADSTS90002' });
  await assert.rejects(signIn({ clientId: other }), { code: 'token_refused', aadsts: 'AADSTS700016' });
  await assert.rejects(signIn({ clientSecret: 'old' }), { code: 'token_refused', aadsts: 'AADSTS7000215' });
  const outcomeOf = (env: Variables, stream: string) => uploadTo(emulator, env)(stream, [{}]).then(...outcomes);
  assert.equal(await outcomeOf({ DATA_COLLECTION_RULE_ID: `dcr-${'0'.repeat(32)}` }, requestStream), 404);
  assert.equal(await outcomeOf({}, 'Custom-Another_CL'), 400);
  assert.equal(emulator.allRows().length, 0);
});

test('it refuses a token of the start before, a body that is no list, and a path that means nothing', async (t) => {
  const emulator = await startEmulator({ [requestStream]: requestColumns });
  t.after(() => emulator.stop());
  trust(emulator.caPem);
  const { AZURE_CLIENT_ID: client_id, AZURE_CLIENT_SECRET: client_secret, ...env } = emulator.environment;
  const url = `${emulator.origin}/dataCollectionRules/${env.DATA_COLLECTION_RULE_ID}/streams/${requestStream}?api-version=1`;
  const post = (authorization: string, body: string) =>
    call(url, { method: 'POST', headers: { authorization }, body }).then(({ status }) => status);
  assert.equal(await post('Bearer of-the-start-before', '[]'), 401);
  const { text } = await call(`${emulator.origin}/${env.AZURE_TENANT_ID}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id, client_secret }).toString(),
  });
  const authorization = `Bearer ${(JSON.parse(text) as { access_token: string }).access_token}`;
  assert.deepEqual(await Promise.all(['[]', '{}', '[1]', 'x', ''].map((body) => post(authorization, body))), [
    ...[204, 400, 400, 400, 400],
  ]);
  for (const path of ['/', '//', '/%E0%A4%A', '/dataCollectionRules/a', '/fault/none']) {
    assert.equal((await call(emulator.origin, { path })).status, 404, path);
  }
});

type Variables = Readonly<Record<string, string>>;

/** For `then`: what became of a call. */
const outcomes = [
  () => 'taken',
  (error: { readonly errors?: readonly { readonly cause: { readonly statusCode?: number } }[] }) =>
    error.errors?.[0]?.cause.statusCode ?? 'cut',
] as const;

function uploadTo({ caPem, environment }: Emulator, wrong: Variables = {}) {
  const env: Variables = { ...environment, ...wrong };
  trust(caPem);
  const credential = new ClientSecretCredential(
    env['AZURE_TENANT_ID'] ?? '',
    env['AZURE_CLIENT_ID'] ?? '',
    env['AZURE_CLIENT_SECRET'] ?? '',
    { authorityHost: env['AZURE_AUTHORITY_HOST'] ?? '', disableInstanceDiscovery: true },
  );
  const client = new LogsIngestionClient(env['LOGS_INGESTION_ENDPOINT'] ?? '', credential, {
    retryOptions: { maxRetries: 0 },
  });
  return (stream: string, rows: Record<string, unknown>[]) =>
    client.upload(env['DATA_COLLECTION_RULE_ID'] ?? '', stream, rows);
}
