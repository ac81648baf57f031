import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientSecretCredential } from '@azure/identity';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import { startEmulator } from '../../src/emulator/emulator.ts';
import { requestColumns, requestStream, trust } from '../support/emulator.ts';

test('the emulator of the demo takes rows from whoever has its environment, and says when they are there', async (t) => {
  const emulator = await startEmulator({ [requestStream]: requestColumns });
  t.after(() => emulator.stop());
  trust(emulator.caPem);
  const { environment: env } = emulator;
  await assert.rejects(emulator.waitForRows(1, 20), /only 0 of 1 rows arrived within 20 ms/);
  const arrival = emulator.waitForRows(2);
  const credential = new ClientSecretCredential(
    env['AZURE_TENANT_ID'] ?? '',
    env['AZURE_CLIENT_ID'] ?? '',
    env['AZURE_CLIENT_SECRET'] ?? '',
    { authorityHost: env['AZURE_AUTHORITY_HOST'] ?? '', disableInstanceDiscovery: true },
  );
  const client = new LogsIngestionClient(env['LOGS_INGESTION_ENDPOINT'] ?? '', credential);
  await client.upload(env['DATA_COLLECTION_RULE_ID'] ?? '', requestStream, [{ event_type: 'a' }, { event_type: 'b' }]);
  await arrival;
  assert.deepEqual(
    emulator.rows(requestStream).map(({ event_type: type }) => type),
    ['a', 'b'],
  );
});
