import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { type Answer, bearer, call, errorOf, managementScope } from './client.ts';

interface Rule {
  readonly kind: string;
  readonly properties: {
    readonly immutableId: string;
    readonly endpoints: { readonly logsIngestion: string };
    readonly streamDeclarations: Record<string, { columns: readonly { name: string; type: string }[] }>;
    readonly destinations: { readonly logAnalytics: readonly { workspaceResourceId: string; name: string }[] };
    readonly dataFlows: readonly {
      streams: readonly string[];
      destinations: readonly string[];
      transformKql: string;
      outputStream: string;
    }[];
  };
}

interface Table {
  readonly properties: { readonly schema: { readonly columns: readonly { name: string; type: string }[] } };
}

async function get(emulator: Emulator, id: string, authorization?: string | null, query = versionOf(id)) {
  const value = authorization === undefined ? await bearer(emulator, managementScope) : authorization;
  return call(`${emulator.origin}${id}${query}`, { headers: value === null ? {} : { authorization: value } });
}

function versionOf(id: string): string {
  return id.includes('/tables/') ? '?api-version=2025-07-01' : '?api-version=2023-03-11';
}

function tableId(emulator: Emulator, table = 'AponoAccessRequests_CL'): string {
  return `${emulator.workspaceResourceId}/tables/${table}`;
}

function codeOf(answer: Answer): [number, string | null] {
  return [answer.status, errorOf(answer).code];
}

describe('Azure Resource Manager', () => {
  test('the rule shows its declarations and flows, whatever the case of its id', async (t) => {
    const emulator = await startTestEmulator(t, { streams: { [requestStream]: requestColumns } });
    const answer = await get(emulator, emulator.ruleResourceId);
    assert.equal(answer.status, 200);
    const { kind, properties } = JSON.parse(answer.text) as Rule;
    assert.equal(kind, 'Direct');
    assert.equal(properties.immutableId, emulator.ruleId);
    assert.equal(properties.endpoints.logsIngestion, emulator.origin);
    assert.deepEqual(
      properties.streamDeclarations[requestStream]?.columns,
      requestColumns.map(({ name, type }) => ({ name, type })),
    );
    assert.equal(properties.destinations.logAnalytics[0]?.workspaceResourceId, emulator.workspaceResourceId);
    assert.deepEqual(properties.dataFlows, [
      {
        streams: [requestStream],
        destinations: [properties.destinations.logAnalytics[0]?.name],
        transformKql: 'source',
        outputStream: 'Custom-AponoAccessRequests_CL',
      },
    ]);
    assert.equal(
      (await get(emulator, emulator.ruleResourceId.toUpperCase().replace('/SUBSCRIPTIONS', '/subscriptions'))).status,
      200,
    );
  });

  test('the table shows its columns, dateTime spelt as tables spell it', async (t) => {
    const emulator = await startTestEmulator(t);
    const { properties } = JSON.parse((await get(emulator, tableId(emulator))).text) as Table;
    assert.deepEqual(
      properties.schema.columns.map(({ name, type }) => ({ name, type })),
      requestColumns.map(({ name, type }) => ({ name, type: type === 'datetime' ? 'dateTime' : type })),
    );
  });

  test('a dropped column and another transformation show', async (t) => {
    const emulator = await startTestEmulator(t);
    const less = requestColumns.filter(({ name }) => name !== 'event_id');
    emulator.setStream(requestStream, less);
    emulator.setTransform(requestStream, 'source | extend TimeGenerated = now()');
    const rule = JSON.parse((await get(emulator, emulator.ruleResourceId)).text) as Rule;
    assert.equal(rule.properties.streamDeclarations[requestStream]?.columns.length, requestColumns.length - 1);
    assert.equal(rule.properties.dataFlows[0]?.transformKql, 'source | extend TimeGenerated = now()');
    const full = JSON.parse((await get(emulator, tableId(emulator))).text) as Table;
    assert.equal(full.properties.schema.columns.length, requestColumns.length);
    emulator.setTable('AponoAccessRequests_CL', less);
    const table = JSON.parse((await get(emulator, tableId(emulator))).text) as Table;
    assert.equal(table.properties.schema.columns.length, requestColumns.length - 1);
    assert.throws(() => emulator.setTransform('Custom-Typo_CL', 'source'), RangeError);
    assert.throws(() => emulator.setTable('Typo_CL', null), RangeError);
    assert.throws(() => emulator.setStream('Custom-Typo_CL', null), RangeError);
  });

  test('no token, one for ingestion, no role, a wrong id and no or a wrong api-version are refused as Azure does', async (t) => {
    const emulator = await startTestEmulator(t);
    const { ruleResourceId } = emulator;
    assert.deepEqual(codeOf(await get(emulator, ruleResourceId, null)), [401, 'AuthenticationFailed']);
    const ingestion = await bearer(emulator);
    assert.deepEqual(codeOf(await get(emulator, ruleResourceId, ingestion)), [
      401,
      'InvalidAuthenticationTokenAudience',
    ]);
    assert.deepEqual(codeOf(await get(emulator, tableId(emulator), 'Bearer x')), [401, 'InvalidAuthenticationToken']);
    assert.deepEqual(codeOf(await get(emulator, ruleResourceId, undefined, '')), [400, 'MissingApiVersionParameter']);
    const other = codeOf(await get(emulator, ruleResourceId, undefined, '?api-version=2025-09-01'));
    assert.deepEqual(other, [400, 'NoRegisteredProviderFound']);
    for (const version of ['2099-01-01', '2023-03-11x', '1']) {
      const unknown = codeOf(await get(emulator, ruleResourceId, undefined, `?api-version=${version}`));
      assert.deepEqual(unknown, [400, 'InvalidApiVersionParameter']);
    }
    const rule = codeOf(await get(emulator, tableId(emulator), undefined, '?api-version=2023-03-11'));
    assert.deepEqual(rule, [400, 'NoRegisteredProviderFound'], 'the version of the rule is not one of the tables');
    assert.deepEqual(codeOf(await get(emulator, `${ruleResourceId}x`)), [404, 'ResourceNotFound']);
    assert.deepEqual(codeOf(await get(emulator, tableId(emulator, 'Other_CL'))), [404, 'ResourceNotFound']);
    emulator.setReaderRole(false);
    const forbidden = await get(emulator, ruleResourceId);
    assert.deepEqual(codeOf(forbidden), [403, 'AuthorizationFailed']);
    assert.match(errorOf(forbidden).message, /action 'Microsoft\.Insights\/dataCollectionRules\/read'/);
    assert.deepEqual(codeOf(await get(emulator, tableId(emulator))), [403, 'AuthorizationFailed']);
    emulator.setReaderRole(true);
    emulator.setRulePresent(false);
    assert.deepEqual(codeOf(await get(emulator, ruleResourceId)), [404, 'ResourceNotFound']);
  });
});
