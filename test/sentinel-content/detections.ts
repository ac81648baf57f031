import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface EntityMapping {
  readonly entityType: string;
  readonly fieldMappings: readonly { readonly identifier: string; readonly columnName: string }[];
}

export interface HuntingQuery {
  readonly file: string;
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly requiredDataConnectors: readonly unknown[];
  readonly tactics: readonly string[];
  readonly relevantTechniques: readonly string[];
  readonly query: string;
  readonly entityMappings?: readonly EntityMapping[];
}

export interface AnalyticRule extends HuntingQuery {
  readonly kind: string;
  readonly status: string;
  readonly severity: string;
  readonly queryFrequency: string;
  readonly queryPeriod: string;
  readonly triggerOperator: string;
  readonly triggerThreshold: number;
  readonly customDetails: Readonly<Record<string, string>>;
  readonly alertDetailsOverride: { readonly alertDisplayNameFormat: string; readonly alertDescriptionFormat: string };
  readonly eventGroupingSettings: { readonly aggregationKind: string };
  readonly incidentConfiguration: {
    readonly createIncident: boolean;
    readonly groupingConfiguration: {
      readonly enabled: boolean;
      readonly reopenClosedIncident: boolean;
      readonly lookbackDuration: string;
      readonly matchingMethod: string;
      readonly groupByEntities: readonly string[];
      readonly groupByAlertDetails: readonly string[];
      readonly groupByCustomDetails: readonly string[];
    };
  };
  readonly suppressionEnabled: boolean;
  readonly suppressionDuration: string;
}

const SENTINEL_URL = new URL('../../deploy/sentinel/', import.meta.url);

function readFolder<T>(folder: string): readonly T[] {
  const url = new URL(`${folder}/`, SENTINEL_URL);
  return readdirSync(url)
    .sort()
    .map((file) => ({ ...(parse(readFileSync(new URL(file, url), 'utf8')) as T), file }));
}

export function readRules(): readonly AnalyticRule[] {
  return readFolder<AnalyticRule>('Analytic Rules');
}

export function readHuntingQueries(): readonly HuntingQuery[] {
  return readFolder<HuntingQuery>('Hunting Queries');
}

/** `5m`, `47h`, `14d`: the only forms that Azure-Sentinel's validator takes beside .NET's own. In minutes. */
export function minutesOf(duration: string): number {
  const [, amount = '', unit = ''] = /^(\d+)([mhd])$/.exec(duration) ?? [];
  const minutes = { m: 1, h: 60, d: 1440 }[unit];
  if (minutes === undefined) throw new Error(`${duration} is no number of m, h or d`);
  return Number(amount) * minutes;
}

/** The query without comments: a name that only a comment says is not read. */
export function withoutComments(query: string): string {
  return query.replace(/^\s*\/\/.*$/gm, '');
}

export function placeholdersOf(format: string): readonly string[] {
  return [...format.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, name]) => name ?? '');
}
