import { readdirSync, readFileSync } from 'node:fs';
import { standardColumns, tableColumns } from '../../deploy/generate/kql-validation.ts';
import type { KqlColumns } from '../../deploy/generate/kusto-service.ts';
import type { TableSchema } from '../../src/sentinel/table.ts';

/** https://learn.microsoft.com/azure/azure-monitor/reference/tables/dcrlogerrors */
const DCR_LOG_ERRORS: KqlColumns = {
  TimeGenerated: 'datetime',
  OperationName: 'string',
  InputStreamId: 'string',
  ClientRequestId: 'string',
  CorrelationId: 'string',
  Message: 'string',
};

/** Those of its columns that content could want. https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs */
const SIGNIN_LOGS: KqlColumns = {
  TimeGenerated: 'datetime',
  CreatedDateTime: 'datetime',
  Id: 'string',
  CorrelationId: 'string',
  OriginalRequestId: 'string',
  UserId: 'string',
  UserPrincipalName: 'string',
  UserDisplayName: 'string',
  UserType: 'string',
  AppId: 'string',
  AppDisplayName: 'string',
  ResourceDisplayName: 'string',
  ClientAppUsed: 'string',
  UserAgent: 'string',
  IPAddress: 'string',
  Location: 'string',
  LocationDetails: 'dynamic',
  DeviceDetail: 'dynamic',
  Status: 'dynamic',
  ResultType: 'string',
  ResultDescription: 'string',
  AuthenticationRequirement: 'string',
  ConditionalAccessStatus: 'string',
  IsInteractive: 'bool',
  IsRisky: 'bool',
  RiskDetail: 'string',
  RiskEventTypes: 'string',
  RiskEventTypes_V2: 'string',
  RiskLevelAggregated: 'string',
  RiskLevelDuringSignIn: 'string',
  RiskState: 'string',
};

/** The health of the rules themselves, where it is turned on. https://learn.microsoft.com/azure/sentinel/health-table-reference */
const SENTINEL_HEALTH: KqlColumns = {
  TimeGenerated: 'datetime',
  OperationName: 'string',
  SentinelResourceId: 'string',
  SentinelResourceName: 'string',
  SentinelResourceKind: 'string',
  SentinelResourceType: 'string',
  Status: 'string',
  Description: 'string',
  Reason: 'string',
  WorkspaceId: 'string',
  CorrelationId: 'string',
  ExtendedProperties: 'dynamic',
};

const TABLES_URL = new URL('../../schemas/tables/', import.meta.url);

/** The column lists of schemas/tables. */
export function ownTables(): readonly TableSchema[] {
  return readdirSync(TABLES_URL)
    .sort()
    .map((file) => JSON.parse(readFileSync(new URL(file, TABLES_URL), 'utf8')) as TableSchema);
}

/** The tables of a workspace with our data, Microsoft's that our content reads included. */
export function workspaceTables(): Readonly<Record<string, KqlColumns>> {
  const own = ownTables().map((table) => {
    return [table.name, tableColumns(table)] as const;
  });
  const microsofts = Object.entries({
    DCRLogErrors: DCR_LOG_ERRORS,
    SigninLogs: SIGNIN_LOGS,
    SentinelHealth: SENTINEL_HEALTH,
  }).map(([name, columns]) => [name, { ...standardColumns, ...columns }] as const);
  return Object.fromEntries([...own, ...microsofts]);
}
