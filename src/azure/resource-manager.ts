import { isJsonObject, type JsonValue, objectsOf, textOf, textsOf, valueAt } from '../ground/json.ts';
import { type ArmAccess, armPath, createArmClient } from './arm-client.ts';

const ruleApiVersion = '2023-03-11';
const tableApiVersion = '2025-07-01';

export interface NamedType {
  readonly name: string;
  readonly type: string;
}

/** What counts here of a resource of the type Microsoft.Insights/dataCollectionRules. */
export type DataCollectionRule = NonNullable<ReturnType<typeof readDataCollectionRule>>;
export type DataFlow = DataCollectionRule['dataFlows'][number];
/** What counts here of a resource of the type Microsoft.OperationalInsights/workspaces/tables. */
export type LogTable = NonNullable<ReturnType<typeof readLogTable>>;

export type ResourceManager = ReturnType<typeof createResourceManager>;

/** Reading of Azure's own configuration. Every method rejects with an ArmError. */
export function createResourceManager(access: ArmAccess) {
  const { origin } = access;
  // Somebody waits for the answers.
  const patience = { maxAttempts: 2, limitMs: 15_000, random: Math.random, onRetry: () => {} };
  const ask = createArmClient({ ...access, ...patience, workspaceId: null });

  return {
    /** `resourceId`: `/subscriptions/…/providers/Microsoft.Insights/dataCollectionRules/…`. Needs `Monitoring Reader` on it. */
    getDataCollectionRule(resourceId: string) {
      const url = `${origin}${armPath(resourceId)}?api-version=${ruleApiVersion}`;
      return ask({ url, what: 'the rule of DATA_COLLECTION_RULE_RESOURCE_ID' }, readDataCollectionRule);
    },
    /** Needs `Log Analytics Reader` on the workspace. */
    getTable(workspaceResourceId: string, name: string) {
      const path = `${armPath(workspaceResourceId)}/tables/${encodeURIComponent(name)}?api-version=${tableApiVersion}`;
      return ask({ url: `${origin}${path}`, what: `the table ${name}` }, readLogTable);
    },
  };
}

/** Null when the value is no such resource. */
export function readDataCollectionRule(rule: JsonValue) {
  const properties = valueAt(rule, 'properties');
  if (!isJsonObject(properties)) return null;
  const declarations = valueAt(properties, 'streamDeclarations');
  const streams = Object.entries(isJsonObject(declarations) ? declarations : {});
  const workspaces = objectsOf(valueAt(properties, 'destinations', 'logAnalytics'));
  return {
    /** `dcr-…`, what DATA_COLLECTION_RULE_ID must be. */
    immutableId: textOf(properties['immutableId']),
    streamDeclarations: Object.fromEntries(
      streams.map(([stream, declaration = null]) => [stream, columnsOf(valueAt(declaration, 'columns'))]),
    ),
    dataFlows: objectsOf(properties['dataFlows']).map((flow) => ({
      streams: textsOf(flow['streams']),
      /** Names of destinations. */
      destinations: textsOf(flow['destinations']),
      transformKql: textOf(flow['transformKql']),
      /** `Custom-<table>` or a built-in stream. */
      outputStream: textOf(flow['outputStream']),
    })),
    /** ARM ids of Log Analytics workspaces by the name of the destination. */
    workspaces: Object.fromEntries(
      workspaces.map(({ name, workspaceResourceId }) => [textOf(name) ?? '', textOf(workspaceResourceId) ?? '']),
    ),
  };
}

/** Null when the value is no such resource. */
export function readLogTable(table: JsonValue) {
  const schema = valueAt(table, 'properties', 'schema');
  const name = textOf(valueAt(table, 'name')) ?? textOf(valueAt(schema, 'name'));
  if (!isJsonObject(schema) || name === null) return null;
  // Custom ones and Azure's own.
  const columns: readonly NamedType[] = ['columns', 'standardColumns'].flatMap((list) => columnsOf(schema[list]));
  return { name, columns };
}

function columnsOf(value: JsonValue | undefined): readonly NamedType[] {
  return objectsOf(value).flatMap((column) => {
    const name = textOf(column['name']);
    const type = textOf(column['type']);
    return name === null || type === null ? [] : [{ name, type }];
  });
}
