import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientSecretCredential } from '@azure/identity';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts';
import { requestColumns, requestStream, trust } from '../support/emulator.ts';

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

/** For `then`: what became of a call. */
const outcomes = [
  () => 'taken',
  (error: { readonly errors?: readonly { readonly cause: { readonly statusCode?: number } }[] }) =>
    error.errors?.[0]?.cause.statusCode ?? 'cut',
] as const;

function uploadTo({ caPem, environment: env }: Emulator) {
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
