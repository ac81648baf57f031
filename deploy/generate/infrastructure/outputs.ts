import { expression, literal, parameter } from '../expression.ts';
import { ruleId, workspaceId } from '../names.ts';
import type { TableStream } from '../streams.ts';

/** The alarms on silence count on a row each quarter of an hour. */
const heartbeatIntervalMinutes = 15;

/**
 * The service's variables, names and values, to be copied as they are. No secret is among them: the client secret or
 * certificate is made in Entra ID. An empty value is the same as an unset variable.
 */
export function outputs(streams: readonly TableStream[]): Readonly<Record<string, string>> {
  const endpoint = parameter('dataCollectionEndpointResourceId');
  const reference = (id: string, property: string) => `reference(${id}, '2024-03-11').${property}`;
  return {
    LOGS_INGESTION_ENDPOINT: expression(
      `if(empty(${endpoint}), ${reference(ruleId, 'endpoints.logsIngestion')}, ${reference(endpoint, 'logsIngestion.endpoint')})`,
    ),
    DATA_COLLECTION_RULE_ID: expression(reference(ruleId, 'immutableId')),
    DATA_COLLECTION_RULE_RESOURCE_ID: expression(ruleId),
    ...Object.fromEntries(streams.map(({ streamVariable, stream }) => [streamVariable, literal(stream)])),
    HEARTBEAT_INTERVAL_MINUTES: String(heartbeatIntervalMinutes),
    AZURE_CLOUD: expression(
      "if(equals(environment().name, 'AzureUSGovernment'), 'usgov', if(equals(environment().name, 'AzureChinaCloud'), 'china', 'public'))",
    ),
    // The service refuses a tenant without a secret, certificate or token file beside it.
    AZURE_TENANT_ID: expression(`if(${parameter('managedIdentity')}, '', subscription().tenantId)`),
    SENTINEL_WORKSPACE_ID: expression(workspaceId),
  };
}
