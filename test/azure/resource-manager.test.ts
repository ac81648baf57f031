import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { compareRule, targetTable } from '../../src/azure/compare-columns.ts';
import { createResourceManager, type ResourceManager } from '../../src/azure/resource-manager.ts';
import { clouds, resourceManagerScope } from '../../src/config/clouds.ts';
import { systemClock } from '../../src/ground/clock.ts';
import type { TableSchema } from '../../src/sentinel/table.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
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
  const { credential = secretCredential(emulator) } = options;
  return createResourceManager({ origin: emulator.origin, tokens, proxy: null, clock, credential });
}

test('the rule and its table are read, and agree with our columns', async (t) => {
  const emulator = await startTestEmulator(t);
  const arm = manager(t, emulator);
  const rule = await arm.getDataCollectionRule(emulator.ruleResourceId);
  assert.equal(rule.immutableId, emulator.ruleId);
  const target = targetTable(rule, requestStream, schema.name);
  assert.deepEqual(target, { workspaceResourceId: emulator.workspaceResourceId, table: 'AponoAccessRequests_CL' });
  const table = await arm.getTable(emulator.workspaceResourceId, 'AponoAccessRequests_CL');
  assert.deepEqual([...compareRule({ rule: rule, stream: requestStream, schema, table })], []);
});

test('a recipe of nine columns is seen to lose all the others', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.setStream(requestStream, requestColumns.slice(0, 9));
  emulator.setTable('AponoAccessRequests_CL', requestColumns.slice(0, 9));
  const arm = manager(t, emulator);
  const rule = await arm.getDataCollectionRule(emulator.ruleResourceId);
  const table = await arm.getTable(emulator.workspaceResourceId, 'AponoAccessRequests_CL');
  const problems = [...compareRule({ rule: rule, stream: requestStream, schema, table })];
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
  const missing = { name: 'ArmError', code: 'azure_refused', status: 404 };
  await assert.rejects(arm.getDataCollectionRule(`${emulator.ruleResourceId}-other`), missing);
  await assert.rejects(arm.getTable(emulator.workspaceResourceId, 'Nothing_CL'), missing);
  emulator.setReaderRole(false);
  const refused = { code: 'azure_refused', status: 403, message: /^Azure answered 403 \(AuthorizationFailed: / };
  await assert.rejects(arm.getDataCollectionRule(emulator.ruleResourceId), refused);
});

test('a wrong secret, silence, and an answer of something else each have their result', async (t) => {
  const emulator = await startTestEmulator(t);
  await assert.rejects(
    manager(t, emulator, { credential: secretCredential(emulator, 'wrong-1b2c') }).getDataCollectionRule(
      emulator.ruleResourceId,
    ),
    { code: 'token_refused', message: /AADSTS7000215/, fix: /^AZURE_CLIENT_SECRET is wrong/ },
  );
  const clock = manualClock(Date.now());
  const arm = manager(t, emulator, { clock });
  emulator.plan({ target: 'rule', answer: { type: 'hang' }, times: 2 });
  const asked = assert.rejects(arm.getDataCollectionRule(emulator.ruleResourceId), {
    code: 'azure_unavailable',
    message: /No answer within 15 s/,
  });
  for (const count of [1, 2]) {
    // It waits for a moment before it asks again.
    await eventually(() => {
      if (count > 1) clock.advance(1_000);
      return emulator.requests.filter(({ outcome, kind }) => kind === 'rule' && outcome !== 'pending').length === count;
    });
    clock.advance(15_000);
  }
  await asked;
  for (const body of ['<h1>Sign in</h1>', '[]', '{"properties":null}']) {
    emulator.plan({ target: 'rule', answer: { type: 'status', status: 200, body } });
    await assert.rejects(arm.getDataCollectionRule(emulator.ruleResourceId), { code: 'answer_unreadable' }, body);
  }
  emulator.plan({
    target: 'rule',
    answer: { type: 'status', status: 302, headers: { location: `${emulator.origin}/elsewhere` } },
  });
  await assert.rejects(arm.getDataCollectionRule(emulator.ruleResourceId), { code: 'azure_refused', status: 302 });
  assert.ok(emulator.requests.every(({ kind }) => kind !== 'other'));
});

test('a passing failure is tried again', async (t) => {
  const emulator = await startTestEmulator(t);
  emulator.plan({ target: 'rule', answer: { type: 'status', status: 503 } });
  const { immutableId } = await manager(t, emulator).getDataCollectionRule(emulator.ruleResourceId);
  assert.equal(immutableId, emulator.ruleId);
});

test('an id cannot lead to another host or carry a query of its own', async (t) => {
  const emulator = await startTestEmulator(t);
  const arm = manager(t, emulator);
  for (const id of ['//elsewhere.invalid/x', '/../../x', '/a?b=c#d', '@elsewhere.invalid']) {
    await assert.rejects(arm.getDataCollectionRule(id), { name: 'ArmError', status: 404 }, id);
  }
});
