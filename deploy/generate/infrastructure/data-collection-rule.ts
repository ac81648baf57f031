import { expression, parameter, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { workspaceId } from '../names.ts';
import type { TableStream } from '../streams.ts';
import { tableId } from './tables.ts';

const destination = 'sentinel';

/**
 * The rule that takes the service's rows. `kind: Direct` gives it an ingestion endpoint of its own; a data collection
 * endpoint is needed for private link only. What a stream does not declare vanishes without an error, so the columns
 * are the table's, all of them, and nothing is transformed.
 */
export function dataCollectionRule(streams: readonly TableStream[]): JsonFields {
  const endpoint = parameter('dataCollectionEndpointResourceId');
  return {
    type: 'Microsoft.Insights/dataCollectionRules',
    apiVersion: '2024-03-11',
    name: parameterValue('dataCollectionRuleName'),
    location: parameterValue('location'),
    kind: 'Direct',
    dependsOn: streams.map(({ table }) => expression(tableId(table.name))),
    properties: {
      description: "Takes Apono's events from apono-sentinel.",
      dataCollectionEndpointId: expression(`if(empty(${endpoint}), null(), ${endpoint})`),
      streamDeclarations: Object.fromEntries(
        streams.map(({ table, stream }) => [
          stream,
          { columns: table.columns.map(({ name, type }) => ({ name, type })) },
        ]),
      ),
      destinations: { logAnalytics: [{ name: destination, workspaceResourceId: expression(workspaceId) }] },
      dataFlows: streams.map(({ table, stream }) => ({
        streams: [stream],
        destinations: [destination],
        transformKql: 'source',
        outputStream: `Custom-${table.name}`,
      })),
    },
  };
}
