import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { compareRule, targetTable } from '../../src/azure/compare-columns.ts';
import { createResourceManager, type ResourceManager } from '../../src/azure/resource-manager.ts';
import { clouds, resourceManagerScope } from '../../src/config/clouds.ts';
import { systemClock } from '../../src/ground/clock.ts';
import type { TableSchema } from '../../src/sentinel/table.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { manualClock } from '../support/manual-clock.ts';
import { secretCredential, type TestTokensOptions, testTokens } from './support.ts';

const schema: TableSchema = {
  name: 'AponoAccessRequests_CL',
  description: '',
  columns: requestColumns.map((column) => ({ ...column, description: '' })),
};

function manager(t: TestContext, emulator: Emulator, options: TestTokensOptions = {}): ResourceManager {
  const { clock = systemClock } = options;
  const { tokens } = testTokens(t, emulator, { scope: resourceManagerScope(clouds.public), ...options });
  return createResourceManager({ origin: emulator.origin, tokens, proxy: null, clock });
}

test('the rule and its table are read, and agree with our columns', async (t) => {
  const emulator = await startTestEmulator(t);
  const arm = manager(t, emulator);
  const rule = await arm.getDataCollectionRule(emulator.ruleResourceId);
  assert.ok(rule.type === 'found', JSON.stringify(rule));
  assert.equal(rule.value.immutableId, emulator.ruleId);
  const target = targetTable(rule.value, requestStream, schema.name);
  assert.deepEqual(target, { workspaceResourceId: emulator.workspaceResourceId, table: 'AponoAccessRequests_CL' });
  const table = await arm.getTable(emulator.workspaceResourceId, 'AponoAccessRequests_CL');
  assert.ok(table.type === 'found', JSON.stringify(table));
  assert.deepEqual(compareRule({ rule: rule.value, stream: requestStream, schema, table: table.value }), []);
});

test('a recipe of nine columns is seen to lose all the others', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.setStream(requestStream, requestColumns.slice(0, 9));
  emulator.setTable('AponoAccessRequests_CL', requestColumns.slice(0, 9));
  const arm = manager(t, emulator);
  const rule = await arm.getDataCollectionRule(emulator.ruleResourceId);
  const table = await arm.getTable(emulator.workspaceResourceId, 'AponoAccessRequests_CL');
  assert.ok(rule.type === 'found' && table.type === 'found');
  const problems = compareRule({ rule: rule.value, stream: requestStream, schema, table: table.value });
  assert.deepEqual(
    problems.map(({ level, message }) => [level, /does not declare|has no column/.exec(message)?.[0]]),
    [
      ['error', 'does not declare'],
      ['error', 'has no column'],
    ],
  );
  for (const { name } of requestColumns.slice(9)) assert.match(problems[0]?.message ?? '', new RegExp(`\\b${name}\\b`));
});

test('what is missing and what may not be read are told apart', async (t) => {
  const emulator = await startTestEmulator(t);
  const arm = manager(t, emulator);
  assert.equal((await arm.getDataCollectionRule(`${emulator.ruleResourceId}-other`)).type, 'not_found');
  assert.equal((await arm.getTable(emulator.workspaceResourceId, 'Nothing_CL')).type, 'not_found');
  emulator.setReaderRole(false);
  const refused = await arm.getDataCollectionRule(emulator.ruleResourceId);
  assert.ok(refused.type === 'refused', JSON.stringify(refused));
  assert.deepEqual([refused.status, refused.code], [403, 'AuthorizationFailed']);
});

test('a wrong secret, silence, and an answer of something else each have their result', async (t) => {
  const emulator = await startTestEmulator(t);
  const wrong = await manager(t, emulator, {
    credential: secretCredential(emulator, 'wrong-1b2c'),
  }).getDataCollectionRule(emulator.ruleResourceId);
  assert.ok(wrong.type === 'unreachable' && wrong.message.includes('AADSTS7000215'), JSON.stringify(wrong));
  const clock = manualClock(Date.now());
  const arm = manager(t, emulator, { clock });
  emulator.plan({ target: 'rule', answer: { type: 'hang' } });
  const asked = arm.getDataCollectionRule(emulator.ruleResourceId);
  await emulator.waitFor(({ requests }) => requests.some(({ outcome }) => outcome === 'hung'));
  clock.advance(15_000);
  const silent = await asked;
  assert.ok(silent.type === 'unreachable', JSON.stringify(silent));
  for (const body of ['<h1>Sign in</h1>', '[]', '{"properties":null}']) {
    emulator.plan({ target: 'rule', answer: { type: 'status', status: 200, body } });
    const odd = await arm.getDataCollectionRule(emulator.ruleResourceId);
    assert.ok(odd.type === 'refused' && odd.status === 200, JSON.stringify(odd));
  }
  emulator.plan({
    target: 'rule',
    answer: { type: 'status', status: 302, headers: { location: `${emulator.origin}/elsewhere` } },
  });
  assert.equal((await arm.getDataCollectionRule(emulator.ruleResourceId)).type, 'refused');
  assert.ok(emulator.requests.every(({ kind }) => kind !== 'other'));
});

test('a passing failure is tried again', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.plan({ target: 'rule', answer: { type: 'status', status: 503 } });
  assert.equal((await manager(t, emulator).getDataCollectionRule(emulator.ruleResourceId)).type, 'found');
});

test('an id cannot lead to another host or carry a query of its own', async (t) => {
  const emulator = await startTestEmulator(t);
  const arm = manager(t, emulator);
  for (const id of ['//elsewhere.invalid/x', '/../../x', '/a?b=c#d', '@elsewhere.invalid']) {
    const result = await arm.getDataCollectionRule(id);
    assert.ok(['not_found', 'refused'].includes(result.type), `${id}: ${JSON.stringify(result)}`);
  }
});
