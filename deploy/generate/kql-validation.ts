import type { TableSchema } from '../../src/sentinel/table.ts';
import type { Named, Parser } from './content/content.ts';
import { parameterList } from './content/functions.ts';
import { ContentError } from './content/read.ts';
import type { JsonFields } from './json.ts';
import { type KqlColumns, kustoService, kustoWorkspace, resultColumns } from './kusto-service.ts';
import type { TableStream } from './streams.ts';

/**
 * What Azure-Sentinel's KQL validation has to know before it can analyse our rules and hunting queries: the columns of
 * our tables, and the parameters and columns of our functions. One file for each; they belong into the folders of the
 * same names in https://github.com/Azure/Azure-Sentinel/tree/master/.script/tests/KqlvalidationsTests
 */

/**
 * Columns that Log Analytics adds to every custom table.
 * https://learn.microsoft.com/azure/azure-monitor/logs/log-standard-columns
 */
export const standardColumns: KqlColumns = {
  TenantId: 'string',
  Type: 'string',
  SourceSystem: 'string',
  MG: 'string',
  ManagementGroupName: 'string',
  Computer: 'string',
  RawData: 'string',
  _ItemId: 'string',
  _ResourceId: 'string',
  _SubscriptionId: 'string',
  _TimeReceived: 'datetime',
  _BilledSize: 'real',
  _IsBillable: 'string',
};

/** `boolean` is the stream declaration's word for KQL's `bool`. */
export function kqlType(type: string): string {
  return type === 'boolean' ? 'bool' : type;
}

/** The columns of a table of ours in a workspace. */
export function tableColumns({ columns }: TableSchema): KqlColumns {
  return { ...Object.fromEntries(columns.map(({ name, type }) => [name, kqlType(type)])), ...standardColumns };
}

/** The files by their path below deploy/sentinel/. */
export function kqlValidation(
  streams: readonly TableStream[],
  parsers: readonly Named<Parser>[],
): ReadonlyMap<string, JsonFields> {
  const tables = Object.fromEntries(streams.map(({ table }) => [table.name, tableColumns(table)]));
  const functions = parsers.map(({ value }) => ({
    name: value.FunctionAlias,
    parameters: parameterList(value),
    body: value.FunctionQuery,
  }));
  const workspace = kustoWorkspace(tables, functions);
  return new Map([
    ...Object.entries(tables).map(([name, columns]): [string, JsonFields] => [
      `CustomTables/${name}.json`,
      { Name: name, Properties: Object.entries(columns).map(([column, type]) => ({ Name: column, Type: type })) },
    ]),
    ...parsers.map(({ file, value }): [string, JsonFields] => {
      const { FunctionAlias: name, FunctionParams: parameters = [] } = value;
      const columns = resultColumns(kustoService().KustoCode.ParseAndAnalyze(`${name}()`, workspace));
      if (columns.length === 0) throw new ContentError(`Parsers/${file}`, [`${name}() has no columns`]);
      return [
        `CustomFunctions/${name}.json`,
        {
          FunctionName: name,
          FunctionParameters: parameters.map(({ Name, Type, Default }) => ({
            Name,
            Type,
            IsRequired: Default === undefined,
          })),
          FunctionResultColumns: columns.map((column) => ({ Name: column.name, Type: column.type })),
        },
      ];
    }),
  ]);
}
