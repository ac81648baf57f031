import type { Clock } from '../ground/clock.ts';
import type { JsonObject } from '../ground/json.ts';
import type { Row } from '../sentinel/row.ts';
import { makeCertificate } from './certificate.ts';
import type { DeclaredColumn } from './columns.ts';
import { FaultPlan, type FaultStep, type FaultTarget } from './faults.ts';
import type { IncidentDetail, IncidentSource, PagingOddities } from './incident-book.ts';
import { type RecordedRequest, RequestLog } from './requests.ts';
import { type RunningServer, startServer } from './server.ts';
import { type AzureState, initialState } from './state.ts';
import { summary } from './summary.ts';
import { switches } from './switches.ts';
import { Waiters } from './waiters.ts';

export type { DeclaredColumn } from './columns.ts';
export type { CutPoint, FaultAnswer, FaultStep, FaultTarget } from './faults.ts';
export type { IncidentDetail, IncidentSource, PagingOddities } from './incident-book.ts';
export type { RecordedRequest, RequestKind, TokenState } from './requests.ts';

export interface EmulatorOptions {
  /** Default 127.0.0.1: it holds no real secrets, but nobody else needs to reach it. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Names and IP addresses for the certificate beside localhost, 127.0.0.1 and ::1. */
  readonly hostNames?: readonly string[];
  readonly tenantId?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** Immutable id of the data collection rule: `dcr-` and 32 hex digits. */
  readonly ruleId?: string;
  /** The rule's stream declarations, by stream name (`Custom-…`); each flows into the table of the same name. */
  readonly streams: Readonly<Record<string, readonly DeclaredColumn[]>>;
  /** Default 3600. As Entra does, `expires_in` says one second less. MSAL takes a token as expired 5 minutes early. */
  readonly tokenLifetimeSeconds?: number;
  /** Sent with each token as `refresh_in`; default: not sent. */
  readonly refreshInSeconds?: number;
  /** Time of the tokens, of arrival and of planned delays. The certificate's is always the machine's. */
  readonly clock?: Clock;
  /** How many requests are remembered; default 100,000. */
  readonly maxRequests?: number;
  /** How much stored JSON is remembered, oldest forgotten first; default 256 MiB. */
  readonly maxStoredBytes?: number;
}

/**
 * A local Azure over HTTPS: Entra's token endpoint, a managed identity endpoint, Logs Ingestion, Resource Manager and,
 * below it, Sentinel's incidents.
 */
export interface Emulator {
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
  /** How many rows were ever stored, also when the oldest were forgotten. */
  rowCount(stream: string): number;
  /** The last `maxRequests` requests and a few more, oldest first; `requestCount` says how many came in all. */
  readonly requests: readonly RecordedRequest[];
  readonly requestCount: number;

  /** Appends steps: what to answer next. */
  plan(...steps: FaultStep[]): void;
  /** Forgets the steps of one target, or all. */
  clearPlan(target?: FaultTarget): void;
  readonly remainingPlan: readonly FaultStep[];

  /**
   * Resolves as soon as the predicate holds; it is asked now, and whenever a request comes, is read or is answered. Rejects
   * with an EmulatorTimeoutError that sums up what came instead; default after 10,000 ms of real time.
   */
  waitFor(predicate: (emulator: Emulator) => boolean, timeoutMs?: number): Promise<void>;

  /** Entra: another secret is good from now on; the former one gets AADSTS7000215. */
  setClientSecret(secret: string): void;
  /** Entra: the right secret gets AADSTS7000222. */
  setClientSecretExpired(expired: boolean): void;
  setTokenLifetime(seconds: number): void;
  /** All tokens issued so far get 401. */
  revokeTokens(): void;
  /** Monitoring Metrics Publisher on the rule; without it each upload gets 403. */
  setPublisherRole(granted: boolean): void;
  /** Reader on rule, workspace and Sentinel; without it Resource Manager answers 403. */
  setReaderRole(granted: boolean): void;
  /** Deletes the rule (404), and puts it back. */
  setRulePresent(present: boolean): void;
  /** Declares a stream anew, or with null takes it out of the rule (400 InvalidStream). Its table stays as it is. */
  setStream(stream: string, columns: readonly DeclaredColumn[] | null): void;
  /** Changes the columns of a table (`AponoAccessRequests_CL`), or with null deletes it. Columns it lacks are not stored. */
  setTable(table: string, columns: readonly DeclaredColumn[] | null): void;
  /** The transformation that Resource Manager shows for a stream. It is not run: the emulator runs no KQL. */
  setTransform(stream: string, transformKql: string): void;
  /** Takes Sentinel off the workspace (400, not onboarded), and puts it back. */
  setSentinelEnabled(enabled: boolean): void;
  /** All incidents, from now on; there are none at first. */
  setIncidents(incidents: IncidentSource | readonly JsonObject[]): void;
  /** What belongs to an incident, by its name. */
  setIncidentDetails(detailOf: (name: string) => IncidentDetail): void;
  setAlertRules(rules: readonly JsonObject[]): void;
  /** How the pages of incidents are odd; `{}`: not at all. */
  setPagingOddities(oddities: PagingOddities): void;

  /** Ends every connection at once, also those that hang; resolves when the port is free. Stopping twice does nothing. */
  stop(): Promise<void>;
}

export class EmulatorTimeoutError extends Error {
  override readonly name = 'EmulatorTimeoutError';
  readonly code = 'emulator_timeout';
}

/** Rejects when the address is taken, and with a RangeError for options that make no sense. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const state = initialState(options);
  const log = new RequestLog(options.maxRequests ?? 100_000);
  const plan = new FaultPlan();
  const waiters = new Waiters();
  const host = options.host ?? '127.0.0.1';
  const name = reachedByLocalhost.has(host) ? 'localhost' : host;
  const hostNames = [...new Set(['localhost', '127.0.0.1', '::1', name, ...(options.hostNames ?? [])])];
  const certificate = await makeCertificate(hostNames);
  const changed = (): void => waiters.notify();
  const server = await startServer({ state, plan, log, certificate, hostNames, changed }, host, options.port ?? 0);
  const origin = `https://${name.includes(':') ? `[${name}]` : name}:${server.port}`;
  return emulatorOf({ state, plan, log, waiters, server, origin, caPem: certificate.caPem });
}

const reachedByLocalhost = new Set(['localhost', '127.0.0.1', '::1', '0.0.0.0', '::']);

interface Parts {
  readonly state: AzureState;
  readonly plan: FaultPlan;
  readonly log: RequestLog;
  readonly waiters: Waiters;
  readonly server: RunningServer;
  readonly origin: string;
  readonly caPem: string;
}

function emulatorOf({ state, plan, log, waiters, server, origin, caPem }: Parts): Emulator {
  const emulator: Emulator = {
    ...identity(state),
    ...switches(state),
    origin,
    identityEndpoint: `${origin}/msi/token`,
    port: server.port,
    caPem,
    get clientSecret() {
      return state.clientSecret;
    },
    rows: (stream) => state.store.rows(stream),
    rowCount: (stream) => state.store.count(stream),
    get requests() {
      return log.requests;
    },
    get requestCount() {
      return log.count;
    },
    plan: (...steps) => plan.add(steps),
    clearPlan: (target) => plan.clear(target),
    get remainingPlan() {
      return plan.remaining;
    },
    waitFor(predicate, timeoutMs = 120_000) {
      const timedOut = (): Error =>
        new EmulatorTimeoutError(`not so within ${timeoutMs} ms\n${summary(emulator, state.store.counts())}`);
      return waiters.wait(() => predicate(emulator), timeoutMs, timedOut);
    },
    async stop() {
      waiters.close(new Error('the emulator was stopped'));
      await server.stop();
    },
  };
  return emulator;
}

function identity(state: AzureState) {
  const { tenantId, clientId, ruleId, ruleResourceId, workspaceResourceId, identityHeader } = state;
  return { tenantId, clientId, ruleId, ruleResourceId, workspaceResourceId, identityHeader };
}
