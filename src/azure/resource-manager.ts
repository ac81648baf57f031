import { isJsonObject, type JsonValue, objectsOf, parseObject, textOf, textsOf, valueAt } from '../ground/json.ts';
import { cleanMessage, describeNetworkError, errorDetailOf } from './answer.ts';
import { type ArmAccess, armPath, createArmSender } from './arm-client.ts';
import { judgeProvider } from './arm-error.ts';
import { inFull, TokenError } from './token-error.ts';

const ruleApiVersion = '2023-03-11';
const tableApiVersion = '2025-07-01';

export interface NamedType {
  readonly name: string;
  /** As Azure spells it: `datetime` in a stream declaration, `dateTime` in a table. */
  readonly type: string;
}

/** What counts here of a resource of the type Microsoft.Insights/dataCollectionRules. */
export type DataCollectionRule = NonNullable<ReturnType<typeof readDataCollectionRule>>;
export type DataFlow = DataCollectionRule['dataFlows'][number];
/** What counts here of a resource of the type Microsoft.OperationalInsights/workspaces/tables. */
export type LogTable = NonNullable<ReturnType<typeof readLogTable>>;

export type ResourceManager = ReturnType<typeof createResourceManager>;
/** What came of looking something up. */
export type Lookup = Awaited<ReturnType<ResourceManager[keyof ResourceManager]>>;

/** Reading of Azure's own configuration. No method throws for anything Azure or the network does. */
export function createResourceManager(access: ArmAccess) {
  const { origin } = access;
  const { host } = new URL(origin);
  const send = createArmSender({ ...access, limitMs: 15_000, maxBodyBytes: 16_777_216, maxRetries: 2 });

  async function get<T>(path: string, apiVersion: string, read: (value: JsonValue) => T | null) {
    const url = `${origin}${path}?api-version=${apiVersion}`;
    try {
      const response = await send({ method: 'GET', url });
      const { status } = response;
      if (status === 200) {
        const value = read(parseObject(response.bodyAsText ?? ''));
        if (value !== null) return { type: 'found', value } as const;
        const message = `${host} answered with something else than the resource`;
        return { type: 'refused', status, code: null, message, fix: null } as const;
      }
      const { code, message } = errorDetailOf(response);
      // What to do about a refusal that no role changes.
      const [, fix = null] = judgeProvider({ code, message }, path, origin) ?? [];
      // It does not exist, or its id names another place.
      if (status === 404 && fix === null) return { type: 'not_found', message: message ?? 'not found' } as const;
      return { type: 'refused', status, code, message, fix } as const;
    } catch (error) {
      if (error instanceof TokenError) return { type: 'unreachable', message: inFull(error) } as const;
      return { type: 'unreachable', message: cleanMessage(`${host}: ${describeNetworkError(error)}`) } as const;
    }
  }

  return {
    /** `resourceId`: `/subscriptions/…/providers/Microsoft.Insights/dataCollectionRules/…`. Needs `Monitoring Reader` on it. */
    getDataCollectionRule: (resourceId: string) => get(armPath(resourceId), ruleApiVersion, readDataCollectionRule),
    /** Needs `Log Analytics Reader` on the workspace. */
    getTable: (workspaceResourceId: string, tableName: string) =>
      get(`${armPath(workspaceResourceId)}/tables/${encodeURIComponent(tableName)}`, tableApiVersion, readLogTable),
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
