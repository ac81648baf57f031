import type { Clock } from '../clock.ts';
import type { DeclaredColumn } from './columns.ts';
import type { RowStore } from './store.ts';
import type { TokenStore } from './tokens.ts';

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
