import type { JsonFields } from '../json.ts';

/** An analytics rule as its YAML file in `Analytic Rules/` says. */
export interface AnalyticRule {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly severity: string;
  readonly queryFrequency: string;
  readonly queryPeriod: string;
  readonly triggerOperator: string;
  readonly triggerThreshold: number;
  readonly tactics: readonly string[];
  readonly relevantTechniques: readonly string[];
  readonly query: string;
  readonly suppressionEnabled?: boolean;
  readonly suppressionDuration?: string;
  readonly entityMappings?: readonly JsonFields[];
  readonly customDetails?: Readonly<Record<string, string>>;
  readonly alertDetailsOverride?: JsonFields;
  readonly eventGroupingSettings?: { readonly aggregationKind: string };
  readonly incidentConfiguration?: {
    readonly createIncident: boolean;
    readonly groupingConfiguration?: JsonFields & {
      readonly lookbackDuration: string;
      readonly matchingMethod: string;
    };
  };
}

/** A hunting query as its YAML file in `Hunting Queries/` says. */
export interface HuntingQuery {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tactics: readonly string[];
  readonly relevantTechniques: readonly string[];
  readonly query: string;
}

export interface ParserParameter {
  readonly Name: string;
  readonly Type: string;
  /** Without its quotes where it is text; a parameter without one must be given. */
  readonly Default?: string | boolean | number;
}

/** A function as its YAML file in `Parsers/` says. */
export interface Parser {
  readonly id: string;
  readonly Function: { readonly Title: string; readonly Version: string; readonly LastUpdated: string };
  readonly Category: string;
  readonly FunctionName: string;
  readonly FunctionAlias: string;
  readonly FunctionParams?: readonly ParserParameter[];
  readonly FunctionQuery: string;
}

/** What a file holds, with its name. */
export interface Named<T> {
  readonly file: string;
  readonly value: T;
}

/** The hand-written content of deploy/sentinel/. Files of a folder are in the order of their names. */
export interface Content {
  readonly rules: readonly Named<AnalyticRule>[];
  readonly huntingQueries: readonly Named<HuntingQuery>[];
  readonly parsers: readonly Named<Parser>[];
  readonly workbooks: readonly Named<JsonFields>[];
}
