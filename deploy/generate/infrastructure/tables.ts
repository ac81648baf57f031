import type { ColumnType } from '../../../src/sentinel/table.ts';
import { expression, literal, parameter, parameterValue, quoted, resourceId } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { tableParameter } from '../names.ts';
import type { TableStream } from '../streams.ts';

/** A table spells one type otherwise than a stream declaration does: `dateTime`. */
export function tableColumnType(type: ColumnType): string {
  return type === 'datetime' ? 'dateTime' : type;
}

export function tableId(tableName: string): string {
  return resourceId('Microsoft.OperationalInsights/workspaces/tables', parameter('workspaceName'), quoted(tableName));
}

/**
 * A table of the workspace. Deploying it puts it, and a PUT deletes the columns of an existing table that it does not
 * name: hence the condition. Analytics rules read the plan Analytics only.
 */
export function tableResource({ table }: TableStream): JsonFields {
  return {
    type: 'Microsoft.OperationalInsights/workspaces/tables',
    apiVersion: '2025-07-01',
    name: expression(`concat(${parameter('workspaceName')}, ${quoted(`/${table.name}`)})`),
    condition: expression(`and(${parameter('createTables')}, ${parameter(tableParameter(table.name))})`),
    properties: {
      plan: 'Analytics',
      retentionInDays: parameterValue('retentionInDays'),
      totalRetentionInDays: parameterValue('totalRetentionInDays'),
      schema: {
        name: table.name,
        description: literal(table.description),
        columns: table.columns.map(({ name, type, description }) => ({
          name,
          type: tableColumnType(type),
          description: literal(description),
        })),
      },
    },
  };
}
