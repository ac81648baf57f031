import { once } from 'node:events';
import type { Row } from '../sentinel/row.ts';
import { azureError, type Call, type Reply, readBody, send } from './call.ts';
import { openid, token } from './entra.ts';
import { ingest, readPayload } from './ingestion.ts';
import { type Exchange, startServer } from './server.ts';
import { type AzureState, type DeclaredColumn, initialState } from './state.ts';

export type Emulator = Awaited<ReturnType<typeof startEmulator>>;

/**
 * A local Azure over HTTPS: Entra's token endpoint and Logs Ingestion, with one client and one data collection rule. The
 * rule has these streams, by name (`Custom-…`), and the client may send to it.
 */
export async function startEmulator(streams: Readonly<Record<string, readonly DeclaredColumn[]>>) {
  const state = initialState(streams);
  const { origin, caPem, stop } = await startServer({ handle: (exchange) => handle(state, exchange) });
  const stored = (): number => state.rows.values().reduce((sum, rows) => sum + rows.length, 0);
  return {
    /** The variables that point the service at the emulator. */
    environment: {
      LOGS_INGESTION_ENDPOINT: origin,
      DATA_COLLECTION_RULE_ID: state.ruleId,
      AZURE_TENANT_ID: state.tenantId,
      AZURE_CLIENT_ID: state.clientId,
      AZURE_CLIENT_SECRET: state.clientSecret,
      AZURE_AUTHORITY_HOST: origin,
    },
    /** The CA certificate that the service must trust, for a file that NODE_EXTRA_CA_CERTS names. */
    caPem,
    /** What Azure has stored, in order of arrival. */
    rows: (stream: string): readonly Row[] => state.rows.get(stream) ?? [],
    /** Resolves when so many rows are stored in all. Rejects if that takes longer than `limitMs`. */
    async waitForRows(count: number, limitMs?: number): Promise<void> {
      const signal = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
      while (stored() < count) {
        await once(state.arrivals, 'rows', { signal }).catch((cause: unknown) => {
          throw new Error(`only ${stored()} of ${count} rows arrived within ${limitMs} ms`, { cause });
        });
      }
    },
    /** Ends every connection at once; resolves when the port is free. */
    stop,
  };
}

async function handle(state: AzureState, { head, req, res }: Exchange): Promise<void> {
  try {
    send(res, answer(state, { ...head, body: await readBody(req) }));
  } catch (error) {
    // Either the client went away before all of its body was read, or the emulator has a defect.
    if (!res.destroyed) send(res, defect(error));
  }
}

/** Does what Azure does, and returns its answer. */
function answer(state: AzureState, call: Call): Reply {
  switch (call.kind) {
    case 'openid':
      return openid(state, call);
    case 'token':
      return token(state, call);
    case 'ingest':
      return ingest(state, call, readPayload(call));
    case 'other':
      return nothingHere();
  }
}

export function nothingHere(): Reply {
  return azureError(404, 'NotFound', 'The emulator has nothing at this path.');
}

export function defect(error: unknown): Reply {
  return azureError(500, 'EmulatorDefect', error instanceof Error ? error.message : String(error));
}
