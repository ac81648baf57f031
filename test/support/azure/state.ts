import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../src/ground/clock.ts';
import { type AzureState, type DeclaredColumn, initialState } from './core.ts';
import type { Certificate } from './https-server.ts';
import { IncidentBook } from './incidents.ts';

export interface EmulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Names and IP addresses for the certificate besides localhost, 127.0.0.1 and ::1. */
  readonly hostNames?: readonly string[];
  /** For localhost, 127.0.0.1 and ::1; default: a new one, of a CA of its own. */
  readonly certificate?: Certificate;
  /** The rule's stream declarations, by stream name (`Custom-…`); each flows into the table of the same name. */
  readonly streams: Readonly<Record<string, readonly DeclaredColumn[]>>;
  /** Default 3600. As Entra does, `expires_in` says one second less. MSAL takes a token as expired 5 minutes early. */
  readonly tokenLifetimeSeconds?: number;
  /** Sent with each token as `refresh_in`; default: not sent. */
  readonly refreshInSeconds?: number;
  /** Time of the tokens, of arrival and of planned delays. The certificate's is always the machine's. */
  readonly clock?: Clock;
}

/** What Entra and Logs Ingestion know, and what the rest of Azure has beside it. */
export interface FakeAzure extends AzureState {
  secretExpired: boolean;
  readonly refreshInSeconds: number | null;
  readonly identityHeader: string;
  /** Reader on rule, workspace and Sentinel. */
  readerRole: boolean;
  rulePresent: boolean;
  /** Stream declarations of the rule, and tables of the workspace, by name. `streams` has the columns in both. */
  readonly declared: Map<string, readonly DeclaredColumn[]>;
  readonly tables: Map<string, readonly DeclaredColumn[]>;
  /** Transformations that are not `source`, by stream. */
  readonly transforms: Map<string, string>;
  readonly sentinel: IncidentBook;
}

export const managementAudiences = [
  'https://management.azure.com',
  'https://management.core.windows.net',
  'https://management.usgovcloudapi.net',
  'https://management.chinacloudapi.cn',
];
const databaseAudiences = [
  'https://ossrdbms-aad.database.windows.net',
  'https://ossrdbms-aad.database.usgovcloudapi.net',
  'https://ossrdbms-aad.database.chinacloudapi.cn',
];

export const workspaceResourceId =
  '/subscriptions/33333333-3333-4333-8333-333333333333/resourceGroups/rg-sentinel/providers/Microsoft.OperationalInsights/workspaces/law-sentinel';

export function fakeAzure(options: EmulatorOptions): FakeAzure {
  const core = initialState(options.streams, options.clock);
  const declared = new Map(core.streams);
  for (const stream of declared.keys()) core.rows.set(stream, []);
  return {
    ...core,
    audiences: [...core.audiences, ...managementAudiences, ...databaseAudiences],
    tokenLifetimeSeconds: options.tokenLifetimeSeconds ?? core.tokenLifetimeSeconds,
    secretExpired: false,
    refreshInSeconds: options.refreshInSeconds ?? null,
    identityHeader: randomBytes(16).toString('hex'),
    readerRole: true,
    rulePresent: true,
    declared,
    tables: new Map([...declared].map(([stream, columns]) => [tableOf(stream), columns])),
    transforms: new Map(),
    sentinel: new IncidentBook(),
  };
}

/** The table that a stream flows into: `Custom-Name_CL` and `Custom-Name` both into `Name_CL`. */
export function tableOf(stream: string): string {
  const bare = stream.replace(/^Custom-/, '');
  return bare.endsWith('_CL') ? bare : `${bare}_CL`;
}
