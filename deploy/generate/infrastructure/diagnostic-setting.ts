import { expression, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { ruleId, workspaceId } from '../names.ts';

/**
 * What Azure finds wrong after it has answered 204 (transformation, table) goes to the table DCRLogErrors. The group
 * holds the category LogErrors.
 * https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-monitor
 */
export function diagnosticSetting(): JsonFields {
  return {
    type: 'Microsoft.Insights/diagnosticSettings',
    apiVersion: '2021-05-01-preview',
    name: 'apono-sentinel-errors',
    scope: expression(ruleId),
    condition: parameterValue('createDiagnosticSetting'),
    dependsOn: [expression(ruleId)],
    properties: {
      workspaceId: expression(workspaceId),
      logs: [{ categoryGroup: 'allLogs', enabled: true }],
    },
  };
}
