import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../ground/clock.ts';
import type { DeclaredColumn } from './columns.ts';
import type { EmulatorOptions } from './emulator.ts';
import { IncidentBook } from './incident-book.ts';
import { RowStore } from './store.ts';
import { TokenStore } from './tokens.ts';

/** What the emulated Azure knows and can be told while it runs. */
export interface AzureState {
  readonly clock: Clock;
  readonly tokens: TokenStore;
  readonly store: RowStore;
  readonly tenantId: string;
  readonly clientId: string;
  readonly ruleId: string;
  readonly ruleResourceId: string;
  readonly workspaceResourceId: string;
  readonly identityHeader: string;
  clientSecret: string;
  secretExpired: boolean;
  tokenLifetimeSeconds: number;
  readonly refreshInSeconds: number | null;
  publisherRole: boolean;
  readerRole: boolean;
  rulePresent: boolean;
  /** Stream declarations of the rule, by name. */
  readonly streams: Map<string, readonly DeclaredColumn[]>;
  /** Tables of the workspace, by name. */
  readonly tables: Map<string, readonly DeclaredColumn[]>;
  /** Transformations that are not `source`, by stream. */
  readonly transforms: Map<string, string>;
  readonly sentinel: IncidentBook;
}

/** The table that a stream flows into: `Custom-Name_CL` and `Custom-Name` both into `Name_CL`. */
export function tableOf(stream: string): string {
  const bare = stream.replace(/^Custom-/, '');
  return bare.endsWith('_CL') ? bare : `${bare}_CL`;
}

/** What is stored of a stream's rows: the declared columns that its table has. Null: the rule has no such stream. */
export function storedColumns(state: AzureState, stream: string): readonly DeclaredColumn[] | null {
  const declared = state.streams.get(stream);
  if (declared === undefined) return null;
  const table = new Set(state.tables.get(tableOf(stream))?.map(({ name }) => name));
  return declared.filter(({ name }) => table.has(name));
}

const subscriptionId = '33333333-3333-4333-8333-333333333333';
const resourceGroup = `/subscriptions/${subscriptionId}/resourceGroups/rg-sentinel/providers`;

/** Throws a RangeError for a rule id of another form. */
export function initialState(options: EmulatorOptions): AzureState {
  const clock = options.clock ?? systemClock;
  const ruleId = options.ruleId ?? `dcr-${'0123456789abcdef'.repeat(2)}`;
  if (!/^dcr-[0-9a-f]{32}$/.test(ruleId)) throw new RangeError(`ruleId must be dcr- and 32 hex digits, is ${ruleId}`);
  const store = new RowStore(options.maxStoredBytes ?? 256 * 1_048_576);
  const streams = new Map(Object.entries(options.streams));
  for (const stream of streams.keys()) store.declare(stream);
  return {
    clock,
    tokens: new TokenStore(clock),
    store,
    tenantId: options.tenantId ?? '11111111-1111-4111-8111-111111111111',
    clientId: options.clientId ?? '22222222-2222-4222-8222-222222222222',
    clientSecret: options.clientSecret ?? randomBytes(30).toString('base64url'),
    secretExpired: false,
    ruleId,
    ruleResourceId: `${resourceGroup}/Microsoft.Insights/dataCollectionRules/dcr-apono`,
    workspaceResourceId: `${resourceGroup}/Microsoft.OperationalInsights/workspaces/law-sentinel`,
    identityHeader: randomBytes(16).toString('hex'),
    tokenLifetimeSeconds: options.tokenLifetimeSeconds ?? 3600,
    refreshInSeconds: options.refreshInSeconds ?? null,
    publisherRole: true,
    readerRole: true,
    rulePresent: true,
    streams,
    tables: new Map([...streams].map(([stream, columns]) => [tableOf(stream), columns])),
    transforms: new Map(),
    sentinel: new IncidentBook(),
  };
}
