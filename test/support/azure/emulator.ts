import type { Socket } from 'node:net';
import type { Row } from '../../../src/sentinel/row.ts';
import { ruleResourceId } from './core.ts';
import { handle, type Parts, remoteSocketOf } from './exchange.ts';
import { FaultPlan, type FaultStep, type FaultTarget } from './faults.ts';
import { startServer } from './https-server.ts';
import type { RecordedRequest } from './requests.ts';
import { type EmulatorOptions, fakeAzure, workspaceResourceId } from './state.ts';
import { type Switches, switches } from './switches.ts';
import { Waiters } from './waiters.ts';

/**
 * A local Azure that is as strict as the real one: Entra, a managed identity endpoint, Logs Ingestion, Resource Manager with
 * Sentinel's incidents, a record of the requests, planned faults, and what an administrator can change.
 */
export interface Emulator extends Switches {
  /** `https://localhost:PORT`: ingestion endpoint, authority host and Resource Manager at once. */
  readonly origin: string;
  readonly port: number;
  /** The CA certificate to trust, for NODE_EXTRA_CA_CERTS or `tls.setDefaultCACertificates`. */
  readonly caPem: string;
  readonly tenantId: string;
  readonly clientId: string;
  /** The secret that is good now. */
  readonly clientSecret: string;
  readonly ruleId: string;
  /** ARM ids of the data collection rule and of its workspace. */
  readonly ruleResourceId: string;
  readonly workspaceResourceId: string;
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of the managed identity endpoint, App Service form. */
  readonly identityEndpoint: string;
  readonly identityHeader: string;

  /** What Azure has stored, in order of arrival: declared columns only, null where a value is missing or of another type. */
  rows(stream: string): readonly Row[];
  rowCount(stream: string): number;
  /** All requests, oldest first. */
  readonly requests: readonly RecordedRequest[];

  /** Appends steps to the plan of what to answer next. */
  plan(...steps: FaultStep[]): void;
  /** Removes the steps of one target, or all of them. */
  clearPlan(target?: FaultTarget): void;
  readonly remainingPlan: readonly FaultStep[];

  /**
   * Resolves as soon as the predicate holds; it is asked now, and whenever a request comes, is read or is answered. Rejects
   * with an EmulatorTimeoutError that sums up what came instead; default after 120,000 ms of real time.
   */
  waitFor(predicate: (emulator: Emulator) => boolean, timeoutMs?: number): Promise<void>;

  /** Ends every connection at once, hanging ones too; resolves when the port is free. May be called again. */
  stop(): Promise<void>;
}

export class EmulatorTimeoutError extends Error {
  override readonly name = 'EmulatorTimeoutError';
  readonly code = 'emulator_timeout';
}

/** Rejects when the address is taken. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { host, port, hostNames, certificate } = options;
  const state = fakeAzure(options);
  const waiters = new Waiters();
  const plan = new FaultPlan();
  const connections = new Map<string, Socket>();
  const parts: Parts = { connections, state, plan, requests: [], changed: () => waiters.notify() };
  const server = await startServer({
    host,
    port,
    hostNames,
    certificate,
    handle: (exchange) => handle(parts, exchange),
  });
  server.server.on('connection', (socket: Socket) => {
    const key = remoteSocketOf(socket);
    connections.set(key, socket);
    socket.once('close', () => connections.get(key) === socket && connections.delete(key));
  });
  const { tenantId, clientId, ruleId, identityHeader } = state;
  /** A misspelt stream would look like one without rows, and a test of "nothing arrived" could not fail. */
  function rowsOf(stream: string): readonly Row[] {
    const rows = state.rows.get(stream);
    if (rows !== undefined) return rows;
    throw new RangeError(
      `the stream ${stream} was never declared; declared were: ${[...state.rows.keys()].join(', ')}`,
    );
  }
  const emulator: Emulator = {
    ...switches(state),
    ...{ tenantId, clientId, ruleId, ruleResourceId, workspaceResourceId, identityHeader },
    ...{ origin: server.origin, port: server.port, caPem: server.caPem },
    identityEndpoint: `${server.origin}/msi/token`,
    get clientSecret() {
      return state.clientSecret;
    },
    rows: rowsOf,
    rowCount: (stream) => rowsOf(stream).length,
    requests: parts.requests,
    plan: (...steps) => plan.add(steps),
    clearPlan: (target) => plan.clear(target),
    get remainingPlan() {
      return plan.remaining;
    },
    waitFor(predicate, timeoutMs = 120_000) {
      const timedOut = () => new EmulatorTimeoutError(`not so within ${timeoutMs} ms\n${summary(parts)}`);
      return waiters.wait(() => predicate(emulator), timeoutMs, timedOut);
    },
    async stop() {
      waiters.close(new Error('the emulator was stopped'));
      // Those that are still at their TLS handshake are not known to the HTTP server.
      for (const socket of connections.values()) socket.destroy();
      await server.stop();
    },
  };
  return emulator;
}

/** Says in the message of a failed wait what came instead. */
function summary({ requests, plan, state }: Parts): string {
  const last = requests.slice(-15).map((request) => `  ${line(request)}`);
  const rows = [...state.rows].map(([stream, stored]) => `${stream}: ${stored.length}`);
  return [
    `rows stored: ${rows.join(', ') || 'no stream was declared'}`,
    `fault steps left: ${plan.remaining.length}`,
    `requests: ${requests.length}${last.length > 0 ? ', the last of them:' : ''}`,
    ...last,
  ].join('\n');
}

function line(request: RecordedRequest): string {
  const { index, kind, outcome, status, errorCode, stream, rowCount, tokenState, fault } = request;
  const answer = [outcome, status, errorCode].filter((part) => part !== null).join(' ');
  const rows = stream === null ? '' : ` ${stream} rows ${rowCount ?? '?'}`;
  const token = tokenState === 'none' || tokenState === 'valid' ? '' : ` token ${tokenState}`;
  return `#${index} ${kind}${rows}: ${answer}${token}${fault === null ? '' : ` (plan: ${fault})`}`;
}
