/**
 * A local Azure on port 443 of a container, under the name that AZURE_NAME gives, so that the service in the containers
 * beside it reaches it as the real one. Writes its CA and its client secret into the folder OUTPUT, and on SIGUSR2 the
 * row_ids that have arrived, in order.
 */
import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { requestKind } from '../../src/kinds/request.ts';
import { startEmulator } from '../support/azure/emulator.ts';

const stream = 'Custom-AponoAccessRequests_CL';
const name = process.env['AZURE_NAME'] ?? 'localhost';
const folder = process.env['OUTPUT'] ?? '.';
const emulator = await startEmulator({
  host: '0.0.0.0',
  port: 443,
  hostNames: [name],
  streams: { [stream]: requestKind.table.columns },
});

function write(file: string, text: string): void {
  const target = path.join(folder, file);
  writeFileSync(`${target}.new`, text);
  chmodSync(`${target}.new`, 0o644);
  // Who reads it finds all of it or the file before.
  renameSync(`${target}.new`, target);
}

const settings = { ruleId: emulator.ruleId, tenantId: emulator.tenantId, clientId: emulator.clientId };
process.on('SIGUSR2', () => {
  write('rows.json', JSON.stringify(emulator.rows(stream).map((row) => row['row_id'])));
});
process.on('SIGTERM', () => void emulator.stop().then(() => process.exit(0)));
write('ca.pem', emulator.caPem);
write('client-secret', emulator.clientSecret);
write('settings.json', JSON.stringify(settings));
