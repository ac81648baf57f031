import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clouds } from '../../src/config/clouds.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type VariableName, variableNames, variables } from '../../src/config/variables.ts';
import { heartbeatDefaultStream, heartbeatStreamVariable } from '../../src/heartbeat/row.ts';
import { kinds } from '../../src/kinds/registry.ts';
import type { Deployment, Fields } from './arm/deploy.ts';
import { TENANT } from './arm/functions.ts';
import { deployMain, ENDPOINT_ID, IMMUTABLE_ID, mainTemplate, RULE_ID, WORKSPACE_ID } from './support.ts';

type Environment = Readonly<Record<string, string>>;

const outputsOf = ({ outputs }: Deployment) => outputs as Environment;
const secret = { APONO_WEBHOOK_SECRET: 'a-secret-for-this-test' };
const signIn = { AZURE_CLIENT_ID: '00000000-0000-4000-8000-00000000000e', AZURE_CLIENT_SECRET: 'not-a-real-secret' };

function load(environment: Environment) {
  const loaded = loadConfig({ ...secret, ...environment });
  assert.deepEqual(loaded.problems, []);
  assert.ok(loaded.config !== null);
  return loaded.config;
}

describe('the outputs', () => {
  it('are variables of the service, as text, and no secret', () => {
    const known: readonly string[] = variableNames;
    const names = Object.keys(mainTemplate.outputs ?? {});
    assert.deepEqual(
      names.filter((name) => !known.includes(name)),
      [],
    );
    for (const [name, output] of Object.entries(mainTemplate.outputs ?? {})) {
      assert.equal(output.type, 'string', name);
      assert.equal(variables[name as VariableName].secret, false, name);
    }
  });

  it('name the stream of every kind, and of the heartbeat with its interval', () => {
    const outputs = outputsOf(deployMain());
    for (const { streamVariable, defaultStream } of kinds) assert.equal(outputs[streamVariable], defaultStream);
    assert.equal(outputs[heartbeatStreamVariable], heartbeatDefaultStream);
    assert.equal(outputs['HEARTBEAT_INTERVAL_MINUTES'], '15');
    const { parse } = variables.HEARTBEAT_INTERVAL_MINUTES;
    assert.equal(parse(outputs['HEARTBEAT_INTERVAL_MINUTES']), 15);
  });

  it('are a configuration that the service takes as it is, beside secrets and client id', () => {
    const outputs = outputsOf(deployMain());
    const config = load({ ...outputs, ...signIn });
    const { endpoint, ruleId, ruleResourceId, streams } = config.ingestion;
    assert.equal(endpoint, 'https://apono-sentinel-x1y2.westeurope-1.ingest.monitor.azure.com');
    assert.deepEqual([ruleId, ruleResourceId], [IMMUTABLE_ID, RULE_ID]);
    assert.deepEqual(streams, Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream])));
    assert.equal(outputs['SENTINEL_WORKSPACE_ID'], WORKSPACE_ID);
    assert.equal(config.cloud, clouds.public);
    assert.ok(config.credential.type === 'secret');
    assert.equal(config.credential.tenantId, TENANT);
  });

  it('leave the tenant out for a managed identity, which the service refuses beside one', () => {
    const outputs = outputsOf(deployMain({ managedIdentity: true }));
    assert.equal(outputs['AZURE_TENANT_ID'], '');
    assert.equal(load(outputs).credential.type, 'managed');
    assert.notDeepEqual(loadConfig({ ...secret, ...outputsOf(deployMain()) }).problems, []);
  });

  it('give the endpoint of the data collection endpoint where there is one', () => {
    const parameters: Fields = { dataCollectionEndpointResourceId: ENDPOINT_ID };
    const config = load({ ...outputsOf(deployMain(parameters)), ...signIn });
    assert.equal(config.ingestion.endpoint, 'https://private-a1b2.westeurope-1.ingest.monitor.azure.com');
    assert.equal(config.ingestion.ruleId, IMMUTABLE_ID);
  });

  it('name the cloud that was deployed to', () => {
    const clouds = { AzureCloud: 'public', AzureUSGovernment: 'usgov', AzureChinaCloud: 'china' } as const;
    for (const [cloud, name] of Object.entries(clouds)) {
      const outputs = outputsOf(deployMain({}, { cloud: cloud as keyof typeof clouds }));
      assert.equal(outputs['AZURE_CLOUD'], name);
    }
  });
});
