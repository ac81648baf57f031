import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readContent } from '../../deploy/generate/content/read.ts';
import type { Sources } from '../../deploy/generate/generate.ts';
import { serviceStreams } from '../../deploy/generate/streams.ts';
import {
  type ArmTemplate,
  type DeployedResource,
  type Deployment,
  deploy,
  type Fields,
  type Surroundings,
} from './arm/deploy.ts';
import type { Value } from './arm/functions.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export const deployFolder = `${repository}deploy/`;

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(deployFolder + path, 'utf8')) as T;
}

export const mainTemplate = readJson<ArmTemplate>('azuredeploy.json');
export const contentTemplate = readJson<ArmTemplate>('sentinel.json');

export function currentSources(): Sources {
  return { streams: serviceStreams(), content: readContent(`${deployFolder}sentinel`) };
}

export const WORKSPACE = 'sentinel-ws';
const GROUP = '/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/soc';
export const WORKSPACE_ID = `${GROUP}/providers/Microsoft.OperationalInsights/workspaces/${WORKSPACE}`;
export const RULE_ID = `${GROUP}/providers/Microsoft.Insights/dataCollectionRules/apono-sentinel`;
export const ENDPOINT_ID = `${GROUP}/providers/Microsoft.Insights/dataCollectionEndpoints/private`;
export const PRINCIPAL = '00000000-0000-4000-8000-00000000000c';
export const IMMUTABLE_ID = `dcr-${'0123456789abcdef'.repeat(2)}`;

const state: Readonly<Record<string, Value>> = {
  [RULE_ID]: {
    immutableId: IMMUTABLE_ID,
    endpoints: { logsIngestion: 'https://apono-sentinel-x1y2.westeurope-1.ingest.monitor.azure.com' },
  },
  [ENDPOINT_ID]: { logsIngestion: { endpoint: 'https://private-a1b2.westeurope-1.ingest.monitor.azure.com' } },
};

/** Deploys azuredeploy.json to a resource group that has the workspace and, by then, what the outputs refer to. */
export function deployMain(parameters: Fields = {}, surroundings: Surroundings = {}): Deployment {
  return deploy(mainTemplate, { workspaceName: WORKSPACE, ...parameters }, { state, ...surroundings });
}

export function deployContent(parameters: Fields = {}): Deployment {
  return deploy(contentTemplate, { workspaceName: WORKSPACE, ...parameters });
}

export const types = {
  table: 'Microsoft.OperationalInsights/workspaces/tables',
  savedSearch: 'Microsoft.OperationalInsights/workspaces/savedSearches',
  collectionRule: 'Microsoft.Insights/dataCollectionRules',
  role: 'Microsoft.Authorization/roleAssignments',
  diagnosticSetting: 'Microsoft.Insights/diagnosticSettings',
  alertRule: 'Microsoft.SecurityInsights/alertRules',
  workbook: 'Microsoft.Insights/workbooks',
} as const;

export function ofType({ resources }: Deployment, type: string): readonly DeployedResource[] {
  return resources.filter((resource) => resource.type === type);
}

export function only(deployment: Deployment, type: string): DeployedResource {
  const [resource, ...more] = ofType(deployment, type);
  assert.ok(resource !== undefined && more.length === 0, `one ${type} is expected`);
  return resource;
}

/** Properties of a deployed resource, or of what is inside of them, as the caller says that they are. */
export function propertiesOf<T>({ body }: DeployedResource): T {
  return body['properties'] as T;
}

/** Names of the deployed tables. */
export function tablesOf(deployment: Deployment): readonly string[] {
  return ofType(deployment, types.table).map(({ name }) => name.slice(name.indexOf('/') + 1));
}
