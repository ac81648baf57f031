import { parameter, resourceId } from './expression.ts';

/** Resources that several parts of the templates refer to, as expressions without their brackets. */

export const workspaceId = resourceId('Microsoft.OperationalInsights/workspaces', parameter('workspaceName'));

export const ruleId = resourceId('Microsoft.Insights/dataCollectionRules', parameter('dataCollectionRuleName'));

/** `AponoAuditLogs_CL` → `createAponoAuditLogs`: the parameter that decides whether the table is made. */
export function tableParameter(tableName: string): string {
  return `create${tableName.replace(/_CL$/, '')}`;
}

/** `Apono Self-approval.yaml` → `selfApproval`: what the parameters of a rule begin with. */
export function ruleKey(fileName: string): string {
  const words = fileName
    .replace(/\.yaml$/, '')
    .replace(/^Apono/, '')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
  const joined = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return joined.charAt(0).toLowerCase() + joined.slice(1);
}

/** Whether a rule runs. */
export function enabledParameter(key: string): string {
  return `${key}Enabled`;
}
