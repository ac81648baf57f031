import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fields } from './arm/deploy.ts';
import {
  currentSources,
  deployMain,
  ENDPOINT_ID,
  mainTemplate,
  ofType,
  only,
  PRINCIPAL,
  propertiesOf,
  RULE_ID,
  tablesOf,
  types,
  WORKSPACE_ID,
} from './support.ts';

const allTables = currentSources().streams.map(({ table }) => table.name);

describe('the tables', () => {
  it('are those of every kind and of the heartbeat, on the plan Analytics', () => {
    const deployment = deployMain();
    assert.deepEqual(tablesOf(deployment), allTables);
    for (const table of ofType(deployment, types.table)) assert.equal(propertiesOf<Fields>(table)['plan'], 'Analytics');
  });

  it('are left alone, all of them, with one parameter: a PUT deletes the columns that it does not name', () => {
    assert.deepEqual(tablesOf(deployMain({ createTables: false })), []);
  });

  for (const name of allTables) {
    it(`but for ${name} are made where that one is there already`, () => {
      const parameter = `create${name.replace('_CL', '')}`;
      assert.deepEqual(
        tablesOf(deployMain({ [parameter]: false })),
        allTables.filter((other) => other !== name),
      );
      assert.deepEqual(tablesOf(deployMain({ [parameter]: true, createTables: false })), []);
    });
  }

  it('keep rows as long as the workspace does, or as long as the parameters say', () => {
    const retention = (parameters: Fields) =>
      ofType(deployMain(parameters), types.table).map((table) => {
        const { retentionInDays, totalRetentionInDays } = propertiesOf<Fields>(table);
        return [retentionInDays, totalRetentionInDays];
      });
    assert.deepEqual(
      retention({}),
      allTables.map(() => [-1, -1]),
    );
    assert.deepEqual(
      retention({ retentionInDays: 90, totalRetentionInDays: 730 }),
      allTables.map(() => [90, 730]),
    );
    assert.throws(() => deployMain({ retentionInDays: 731 }), /out of range/);
  });
});

describe('the data collection rule', () => {
  it('has an endpoint of its own, and takes every stream as it is into its table', () => {
    const rule = only(deployMain(), types.collectionRule);
    const { dataFlows, destinations, dataCollectionEndpointId } = propertiesOf<{
      dataFlows: readonly Fields[];
      destinations: { logAnalytics: readonly Fields[] };
      dataCollectionEndpointId: string | null;
    }>(rule);
    assert.equal(rule.body['kind'], 'Direct');
    assert.equal(rule.body['location'], 'westeurope');
    assert.equal(dataCollectionEndpointId, null);
    assert.deepEqual(destinations.logAnalytics, [{ name: 'sentinel', workspaceResourceId: WORKSPACE_ID }]);
    assert.deepEqual(
      dataFlows,
      currentSources().streams.map(({ stream, table }) => ({
        streams: [stream],
        destinations: ['sentinel'],
        transformKql: 'source',
        outputStream: `Custom-${table.name}`,
      })),
    );
  });

  it('can be reached through a data collection endpoint, for private link', () => {
    const rule = only(deployMain({ dataCollectionEndpointResourceId: ENDPOINT_ID }), types.collectionRule);
    assert.equal(propertiesOf<Fields>(rule)['dataCollectionEndpointId'], ENDPOINT_ID);
  });

  it('sends its errors to the workspace, unless that is turned off', () => {
    const setting = only(deployMain(), types.diagnosticSetting);
    assert.ok(setting.id.startsWith(`${RULE_ID}/providers/`));
    assert.deepEqual(propertiesOf(setting), {
      workspaceId: WORKSPACE_ID,
      logs: [{ categoryGroup: 'allLogs', enabled: true }],
    });
    assert.deepEqual(ofType(deployMain({ createDiagnosticSetting: false }), types.diagnosticSetting), []);
  });
});

describe('the role', () => {
  const roles = (parameters: Fields) =>
    ofType(deployMain(parameters), types.role).map((role) => {
      assert.ok(role.id.startsWith(`${RULE_ID}/providers/Microsoft.Authorization/`), 'it is on the rule alone');
      const { roleDefinitionId, principalId, principalType } = propertiesOf<Readonly<Record<string, string>>>(role);
      return { role: roleDefinitionId?.split('/').at(-1), principalId, principalType, name: role.name };
    });

  it('is given to nobody when nobody is named', () => {
    assert.deepEqual(roles({}), []);
    assert.deepEqual(roles({ assignMonitoringReader: true }), []);
  });

  it('is Monitoring Metrics Publisher, and Monitoring Reader where that is asked for', () => {
    const [publisher, ...more] = roles({ principalId: PRINCIPAL });
    assert.equal(publisher?.role, '3913510d-42f4-4e42-8a64-420c390055eb');
    assert.deepEqual([publisher.principalId, publisher.principalType], [PRINCIPAL, 'ServicePrincipal']);
    assert.deepEqual(more, []);
    const both = roles({ principalId: PRINCIPAL, principalType: 'Group', assignMonitoringReader: true });
    assert.deepEqual(
      both.map(({ role, principalType }) => [role, principalType]),
      [
        ['3913510d-42f4-4e42-8a64-420c390055eb', 'Group'],
        ['43d0d8ad-25c7-4714-9337-8ba259a9fe05', 'Group'],
      ],
    );
    assert.throws(() => roles({ principalId: PRINCIPAL, principalType: 'Application' }), /not allowed/);
  });

  it('has the same name when it is deployed again, and another one for somebody else', () => {
    const name = (principalId: string) => roles({ principalId })[0]?.name;
    assert.match(name(PRINCIPAL) ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(name(PRINCIPAL), name(PRINCIPAL));
    assert.notEqual(name(PRINCIPAL), name(PRINCIPAL.replace('c', 'd')));
  });
});

describe('the order', () => {
  const dependsOn = (type: string) => {
    const resource = mainTemplate.resources.find((candidate) => candidate['type'] === type);
    const list = resource?.['dependsOn'];
    return Array.isArray(list) ? list.map(String) : [];
  };
  const tableIds = mainTemplate.resources
    .filter(({ type }) => type === types.table)
    .map(({ name }) => String(name).replace(/^.*'\/(.*)'\)\]$/, '$1'));

  it('is tables, rule, role; rules and functions come last, since they read what is before them', () => {
    assert.deepEqual(tableIds, allTables);
    for (const type of [types.collectionRule, 'Microsoft.Resources/deployments']) {
      const text = dependsOn(type).join('\n');
      for (const table of allTables)
        assert.match(text, new RegExp(`'${types.table}'.*'${table}'`), `${type}: ${table}`);
    }
    for (const type of [types.role, types.diagnosticSetting, 'Microsoft.Resources/deployments']) {
      assert.match(dependsOn(type).join('\n'), new RegExp(`'${types.collectionRule}'`), type);
    }
  });
});
