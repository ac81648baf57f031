import type { TestContext } from 'node:test';
import tls from 'node:tls';
import requestTable from '../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import {
  type DeclaredColumn,
  type Emulator,
  type EmulatorOptions,
  startEmulator,
} from '../../src/emulator/emulator.ts';

export const requestStream = 'Custom-AponoAccessRequests_CL';
export const requestColumns = requestTable.columns as readonly DeclaredColumn[];

/**
 * A running emulator that this process trusts and that stops after the test. Without `streams` it has the stream of
 * request events.
 */
export async function startTestEmulator(t: TestContext, options: Partial<EmulatorOptions> = {}): Promise<Emulator> {
  const emulator = await startEmulator({ streams: { [requestStream]: requestColumns }, ...options });
  t.after(() => emulator.stop());
  trust(emulator.caPem);
  return emulator;
}

/** Adds a CA to those that TLS clients of this process trust by default. */
export function trust(caPem: string): void {
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
