import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { makeCertificate } from '../../src/emulator/certificate.ts';
import { heartbeatDefaultStream, heartbeatTable } from '../../src/heartbeat/row.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { requestKind } from '../../src/kinds/request.ts';
import type { DeclaredColumn } from './azure/core.ts';
import { type Emulator, startEmulator } from './azure/emulator.ts';
import type { Certificate } from './azure/https-server.ts';
import type { EmulatorOptions } from './azure/state.ts';

export const requestStream = requestKind.defaultStream;
export const requestColumns: readonly DeclaredColumn[] = requestKind.table.columns;
export const heartbeatStream = heartbeatDefaultStream;
export const heartbeatColumns: readonly DeclaredColumn[] = heartbeatTable.columns;
/** As the deployment template makes them: one for each kind of webhook, and that of the heartbeat. */
export const allStreams: Readonly<Record<string, readonly DeclaredColumn[]>> = Object.fromEntries([
  ...kinds.map(({ defaultStream, table }) => [defaultStream, table.columns]),
  [heartbeatStream, heartbeatColumns],
]);

let certificate: Promise<Certificate> | null = null;

/**
 * A running emulator that this process trusts and that stops after the test. Without `streams` it has all streams. Those
 * of one process share a certificate: to make and to trust one takes Node as long as many a test.
 */
export async function startTestEmulator(t: TestContext, options: Partial<EmulatorOptions> = {}): Promise<Emulator> {
  certificate ??= makeCertificate(['localhost', '127.0.0.1', '::1']);
  const shared = options.hostNames === undefined ? { certificate: await certificate } : {};
  const emulator = await startEmulator({ streams: allStreams, ...shared, ...options });
  t.after(() => emulator.stop());
  trust(emulator.caPem);
  return emulator;
}

const trusted = new Set<string>();

/** Adds a CA to those that TLS clients of this process trust by default. */
export function trust(caPem: string): void {
  if (trusted.has(caPem)) return;
  trusted.add(caPem);
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), caPem]);
}

/** The variables that point the product at the emulator. A child process needs NODE_EXTRA_CA_CERTS beside them. */
export function azureEnv(emulator: Emulator): Record<string, string> {
  return {
    LOGS_INGESTION_ENDPOINT: emulator.origin,
    DATA_COLLECTION_RULE_ID: emulator.ruleId,
    AZURE_TENANT_ID: emulator.tenantId,
    AZURE_CLIENT_ID: emulator.clientId,
    AZURE_CLIENT_SECRET: emulator.clientSecret,
    AZURE_AUTHORITY_HOST: emulator.origin,
  };
}
