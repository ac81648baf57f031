import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../../../src/ground/clock.ts';
import type { Row } from '../../../src/sentinel/row.ts';
import type { Column } from '../../../src/sentinel/table.ts';

/** A column as a stream declaration has it. */
export type DeclaredColumn = Pick<Column, 'name' | 'type'>;

export interface IssuedToken {
  readonly token: string;
  readonly audience: string;
  /** Milliseconds since the epoch; from then on it is expired. */
  readonly expiresAt: number;
}

/** Token audiences of Azure Monitor in the public, US government and China clouds. */
export const monitorAudiences = ['https://monitor.azure.com', 'https://monitor.azure.us', 'https://monitor.azure.cn'];

/** Azure Resource Manager's name of the rule. */
export const ruleResourceId =
  '/subscriptions/33333333-3333-4333-8333-333333333333/resourceGroups/rg-sentinel/providers/Microsoft.Insights/dataCollectionRules/dcr-apono';

/** What the emulated Azure knows. All of it may change while clients run. */
export type AzureState = ReturnType<typeof initialState>;

export function initialState(streams: Readonly<Record<string, readonly DeclaredColumn[]>>, clock: Clock = systemClock) {
  return {
    clock,
    tenantId: '11111111-1111-4111-8111-111111111111',
    clientId: '22222222-2222-4222-8222-222222222222',
    clientSecret: randomBytes(30).toString('base64url'),
    tokenLifetimeSeconds: 3600,
    /** What Entra issues tokens for. */
    audiences: monitorAudiences,
    tokens: new Map<string, IssuedToken>(),
    /** Immutable id of the data collection rule. */
    ruleId: `dcr-${'0123456789abcdef'.repeat(2)}`,
    /** Whether the client has Monitoring Metrics Publisher on the rule. */
    publisherRole: true,
    /** The columns that are stored of each stream (`Custom-…`) of the rule. */
    streams: new Map(Object.entries(streams)),
    /** What was stored, by stream and in order of arrival. Each arrival makes a new list. */
    rows: new Map<string, readonly Row[]>(),
  };
}
