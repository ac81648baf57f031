import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Row } from '../sentinel/row.ts';
import { azureError, type Call, type CallHead, jsonReply, type Reply, readBody, send } from './call.ts';
import { openid, token } from './entra.ts';
import { ingest, type Payload, readPayload } from './ingestion.ts';
import { type Exchange, startServer } from './server.ts';
import { type AzureState, type DeclaredColumn, initialState } from './state.ts';

/** What may be wrong with the emulated ingestion, and what that looks like. Sign-in works all the time. */
export const faults = {
  '403': 'the role is missing',
  '429': 'the quota is used up: 429 with Retry-After: 5',
  down: 'an outage: 503',
  lossy: 'every other call of a stream is cut after its rows were stored',
  refused: 'rows of rejected requests are refused: 400',
  slow: 'each answer takes 5 seconds',
} as const;

export type Fault = keyof typeof faults;

const SLOW_MS = 5_000;

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
  readonly onAnswer: EmulatorOptions['onAnswer'];
  fault: Fault | null;
  /** How many calls the faults have met. */
  faultyCalls: number;
  /** The streams whose last call was cut by `lossy`. */
  readonly cutStreams: Set<string>;
}

/**
 * A local Azure over HTTPS: Entra's token endpoint and Logs Ingestion, with one client and one data collection rule. The
 * rule has these streams, by name (`Custom-…`), and the client may send to it. Rejects when the port is taken.
 */
export async function startEmulator(
  streams: Readonly<Record<string, readonly DeclaredColumn[]>>,
  { port, fault = null, onAnswer }: EmulatorOptions = {},
) {
  const state = initialState(streams);
  const emulated: Emulated = { state, onAnswer, fault, faultyCalls: 0, cutStreams: new Set() };
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
    const payload = call.kind === 'ingest' ? readPayload(call) : null;
    const fault = payload && emulated.fault;
    const reply = payload === null ? answer(emulated, call) : await ingestion(emulated, call, payload);
    if (reply === null) res.destroy();
    else send(res, reply);
    emulated.onAnswer?.({
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

function answer(emulated: Emulated, call: Call): Reply {
  if (call.kind === 'openid') return openid(emulated.state, call);
  if (call.kind === 'token') return token(emulated.state, call);
  return changeFault(emulated, call) ?? nothingHere();
}

/** Does what Azure does with rows, or what the fault makes of it; null when the connection is to be cut. */
async function ingestion(emulated: Emulated, call: Call, payload: Payload): Promise<Reply | null> {
  const { state, fault } = emulated;
  const proper = (how = state): Reply => ingest(how, call, payload);
  if (fault !== null) emulated.faultyCalls += 1;
  switch (fault) {
    case null:
      return proper();
    case '403':
      return proper({ ...state, publisherRole: false });
    case '429':
      return azureError(429, 'TooManyRequests', 'The request quota of the data collection rule is exceeded.', {
        'retry-after': '5',
      });
    case 'down':
      return azureError(503, 'ServiceUnavailable', 'The service is temporarily unavailable.');
    case 'lossy': {
      const reply = proper();
      const stream = call.segments[3] ?? '';
      if (emulated.cutStreams.delete(stream)) return reply;
      emulated.cutStreams.add(stream);
      return null;
    }
    case 'refused': {
      const isRejected = ({ event_action: action }: Row): boolean => action === 'Rejected';
      if (payload.type !== 'rows' || !payload.rows.some(isRejected)) return proper();
      return azureError(400, 'InvalidPayload', 'A row is of a rejected request, which the emulator refuses now.');
    }
    case 'slow':
      // It keeps no process that has ended otherwise.
      await delay(SLOW_MS, undefined, { ref: false });
      return proper();
  }
}

/** `POST /fault/<name>`, which is the emulator's own: Azure has no such path. */
function changeFault(emulated: Emulated, { method, segments: [first, name = '', ...more] }: Call): Reply | null {
  if (method !== 'POST' || first !== 'fault' || more.length > 0) return null;
  if (name !== 'none' && !Object.hasOwn(faults, name)) {
    return azureError(400, 'UnknownFault', `The faults are none, ${Object.keys(faults).join(', ')}.`);
  }
  emulated.fault = name === 'none' ? null : (name as Fault);
  const reply = jsonReply(200, { fault: name });
  // For the terminal that `curl` prints it on.
  return { ...reply, body: `${reply.body}\n` };
}

export function nothingHere(): Reply {
  return azureError(404, 'NotFound', 'The emulator has nothing at this path.');
}

export function defect(error: unknown): Reply {
  return azureError(500, 'EmulatorDefect', error instanceof Error ? error.message : String(error));
}
