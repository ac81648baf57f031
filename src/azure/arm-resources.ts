/** What is read of two resources of Azure Resource Manager, and reading it without trusting it. */

export interface NamedType {
  readonly name: string;
  /** As Azure spells it: `datetime` in a stream declaration, `dateTime` in a table. */
  readonly type: string;
}

export interface DataFlow {
  readonly streams: readonly string[];
  /** Names of destinations. */
  readonly destinations: readonly string[];
  readonly transformKql: string | null;
  /** `Custom-<table>` or a built-in stream. */
  readonly outputStream: string | null;
}

/** Microsoft.Insights/dataCollectionRules, 2023-03-11. */
export interface DataCollectionRule {
  /** `dcr-…`, what DATA_COLLECTION_RULE_ID must be. */
  readonly immutableId: string | null;
  /** `Direct`, or null for a rule that is reached through a data collection endpoint. */
  readonly kind: string | null;
  readonly logsIngestionEndpoint: string | null;
  /** ARM id of the endpoint, when the rule has one. */
  readonly dataCollectionEndpointId: string | null;
  readonly streamDeclarations: Readonly<Record<string, readonly NamedType[]>>;
  readonly dataFlows: readonly DataFlow[];
  /** ARM ids of Log Analytics workspaces by the name of the destination. */
  readonly workspaces: Readonly<Record<string, string>>;
}

/** Microsoft.OperationalInsights/workspaces/tables, 2025-07-01. */
export interface LogTable {
  readonly name: string;
  readonly plan: string | null;
  /** Custom columns and Azure's own. */
  readonly columns: readonly NamedType[];
}

type Fields = Readonly<Record<string, unknown>>;

/** Null when the value is no such resource. */
export function readDataCollectionRule(value: unknown): DataCollectionRule | null {
  const rule = fieldsOf(value);
  if (rule === null) return null;
  const properties = fieldsOf(rule['properties']);
  if (properties === null) return null;
  const declarations = Object.entries(fieldsOf(properties['streamDeclarations']) ?? {});
  const destinations = listOf(fieldsOf(properties['destinations'])?.['logAnalytics']);
  return {
    immutableId: textOf(properties['immutableId']),
    kind: textOf(rule['kind']),
    logsIngestionEndpoint: textOf(fieldsOf(properties['endpoints'])?.['logsIngestion']),
    dataCollectionEndpointId: textOf(properties['dataCollectionEndpointId']),
    streamDeclarations: Object.fromEntries(
      declarations.map(([stream, declaration]) => [stream, columnsOf(fieldsOf(declaration)?.['columns'])]),
    ),
    dataFlows: listOf(properties['dataFlows']).map((flow) => ({
      streams: textsOf(flow['streams']),
      destinations: textsOf(flow['destinations']),
      transformKql: textOf(flow['transformKql']),
      outputStream: textOf(flow['outputStream']),
    })),
    workspaces: Object.fromEntries(
      destinations.map((destination) => [
        textOf(destination['name']) ?? '',
        textOf(destination['workspaceResourceId']) ?? '',
      ]),
    ),
  };
}

/** Null when the value is no such resource. */
export function readLogTable(value: unknown): LogTable | null {
  const table = fieldsOf(value);
  const properties = fieldsOf(table?.['properties']);
  const schema = fieldsOf(properties?.['schema']);
  const name = textOf(table?.['name']) ?? textOf(schema?.['name']);
  if (properties === null || schema === null || name === null) return null;
  return {
    name,
    plan: textOf(properties['plan']),
    columns: [...columnsOf(schema['columns']), ...columnsOf(schema['standardColumns'])],
  };
}

function columnsOf(value: unknown): NamedType[] {
  return listOf(value).flatMap((column) => {
    const name = textOf(column['name']);
    const type = textOf(column['type']);
    return name === null || type === null ? [] : [{ name, type }];
  });
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf).filter((fields) => fields !== null) : [];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
