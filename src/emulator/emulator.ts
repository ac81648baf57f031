import { once } from 'node:events';
import type { Row } from '../sentinel/row.ts';
import { azureError, type Call, type CallHead, jsonReply, type Reply, readBody, send } from './call.ts';
import { openid, token } from './entra.ts';
import { type Fault, faults, faulty, isFault } from './faults.ts';
import { ingest, readPayload } from './ingestion.ts';
import { type Exchange, startServer } from './server.ts';
import { type AzureState, type DeclaredColumn, initialState } from './state.ts';

export type Emulator = Awaited<ReturnType<typeof startEmulator>>;

export interface EmulatorOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** What is wrong from the start. `POST /fault/<name>` changes it, and `POST /fault/none` ends it. */
  readonly fault?: Fault | null;
  /** Called after each answer. */
  readonly onAnswer?: (answered: Answered) => void;
}

/** One call and what became of it. */
export interface Answered {
  readonly kind: CallHead['kind'];
  readonly method: string;
  readonly path: string;
  /** Null when the connection was cut. */
  readonly status: number | null;
  /** Of a call to the ingestion that could be read. */
  readonly rows: readonly Row[];
  readonly fault: Fault | null;
}

interface Emulated {
  readonly state: AzureState;
  readonly onAnswer: (answered: Answered) => void;
  fault: Fault | null;
  /** How many calls the faults have met. */
  faultyCalls: number;
}

/**
 * A local Azure over HTTPS: Entra's token endpoint and Logs Ingestion, with one client and one data collection rule. The
 * rule has these streams, by name (`Custom-…`), and the client may send to it. Rejects when the port is taken.
 */
export async function startEmulator(
  streams: Readonly<Record<string, readonly DeclaredColumn[]>>,
  { port, fault = null, onAnswer = () => {} }: EmulatorOptions = {},
) {
  const state = initialState(streams);
  const emulated: Emulated = { state, onAnswer, fault, faultyCalls: 0 };
  const { origin, caPem, stop } = await startServer({ port, handle: (exchange) => handle(emulated, exchange) });
  const allRows = (): readonly Row[] => [...state.rows.values()].flat();
  return {
    origin,
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
    allRows,
    /** Resolves when so many rows are stored in all. Rejects if that takes longer than `limitMs`. */
    async waitForRows(count: number, limitMs?: number): Promise<void> {
      const signal = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
      while (allRows().length < count) {
        await once(state.arrivals, 'rows', { signal }).catch((cause: unknown) => {
          throw new Error(`only ${allRows().length} of ${count} rows arrived within ${limitMs} ms`, { cause });
        });
      }
    },
    /** How many calls the faults have met. */
    faultyCalls: () => emulated.faultyCalls,
    heal(): void {
      emulated.fault = null;
    },
    /** Ends every connection at once; resolves when the port is free. */
    stop,
  };
}

async function handle(emulated: Emulated, { head, req, res }: Exchange): Promise<void> {
  try {
    const call = { ...head, body: await readBody(req) };
    const fault = call.kind === 'ingest' ? emulated.fault : null;
    const reply =
      fault === null ? answer(emulated, call) : await faulty(emulated.state, call, fault, emulated.faultyCalls++);
    if (reply === null) res.destroy();
    else send(res, reply);
    const payload = call.kind === 'ingest' ? readPayload(call) : null;
    emulated.onAnswer({
      kind: call.kind,
      method: call.method,
      path: `/${call.segments.join('/')}`,
      status: reply?.status ?? null,
      rows: payload?.type === 'rows' ? payload.rows : [],
      fault,
    });
  } catch (error) {
    // Either the client went away before all of its body was read, or the emulator has a defect.
    if (!res.destroyed) send(res, defect(error));
  }
}

/** Does what Azure does, and returns its answer. */
function answer(emulated: Emulated, call: Call): Reply {
  switch (call.kind) {
    case 'openid':
      return openid(emulated.state, call);
    case 'token':
      return token(emulated.state, call);
    case 'ingest':
      return ingest(emulated.state, call, readPayload(call));
    case 'other':
      return changeFault(emulated, call) ?? nothingHere();
  }
}

/** `POST /fault/<name>`, which is the emulator's own: Azure has no such path. */
function changeFault(emulated: Emulated, { method, segments: [first, name = '', ...more] }: Call): Reply | null {
  if (method !== 'POST' || first !== 'fault' || more.length > 0) return null;
  if (name !== 'none' && !isFault(name)) {
    return azureError(400, 'UnknownFault', `The faults are none, ${Object.keys(faults).join(', ')}.`);
  }
  emulated.fault = name === 'none' ? null : name;
  return jsonReply(200, { fault: name });
}

export function nothingHere(): Reply {
  return azureError(404, 'NotFound', 'The emulator has nothing at this path.');
}

export function defect(error: unknown): Reply {
  return azureError(500, 'EmulatorDefect', error instanceof Error ? error.message : String(error));
}
