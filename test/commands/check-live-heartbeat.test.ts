import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Emulator } from '../support/azure/emulator.ts';
import { azureEnv, heartbeatColumns, heartbeatStream, startTestEmulator } from '../support/emulator.ts';
import { findingsOf, run, secret } from './support.ts';

const on = { HEARTBEAT_INTERVAL_MINUTES: '15' };
const named = { LOGS_INGESTION_STREAM_HEARTBEAT: heartbeatStream };

async function checkLive(
  t: TestContext,
  env: Record<string, string>,
  prepare: (emulator: Emulator) => void = () => {},
) {
  const emulator = await startTestEmulator(t);
  prepare(emulator);
  const result = await run(['check', '--live'], {
    ...azureEnv(emulator),
    APONO_WEBHOOK_SECRET: secret,
    AZURE_RESOURCE_MANAGER_ENDPOINT: emulator.origin,
    DATA_COLLECTION_RULE_RESOURCE_ID: emulator.ruleResourceId,
    ...env,
  });
  const isAsked = emulator.requests.some(({ stream }) => stream === heartbeatStream);
  assert.equal(emulator.rowCount(heartbeatStream), 0);
  return { exitCode: result.exitCode, stdout: findingsOf(result), isAsked };
}

const withoutStream = (emulator: Emulator) => emulator.setStream(heartbeatStream, null);

describe('check --live and the stream of the heartbeat', () => {
  for (const [how, env] of [
    ['an interval', on],
    ['a stream that is named', named],
  ] as const) {
    it(`tries it and compares its columns with ${how}`, async (t) => {
      const { exitCode, stdout, isAsked } = await checkLive(t, env);
      assert.equal(exitCode, 0);
      assert.ok(isAsked);
      assert.match(stdout, new RegExp(`^ok +stream ${heartbeatStream} \\(heartbeat\\): it answers 204$`, 'm'));
      assert.match(stdout, new RegExp(`^ok +columns of ${heartbeatStream}: .*all ${heartbeatColumns.length}`, 'm'));
    });

    it(`finds an error when the rule does not have it, with ${how}`, async (t) => {
      const { exitCode, stdout } = await checkLive(t, env, withoutStream);
      assert.equal(exitCode, 1);
      assert.match(stdout, new RegExp(`^error +stream ${heartbeatStream} \\(heartbeat\\): .*400`, 'm'));
      assert.match(stdout, /Fix: .*Set LOGS_INGESTION_STREAM_HEARTBEAT to/);
    });
  }

  it('names a column that is not declared', async (t) => {
    const { exitCode, stdout } = await checkLive(t, on, (emulator) =>
      emulator.setStream(
        heartbeatStream,
        heartbeatColumns.filter(({ name }) => name !== 'waiting'),
      ),
    );
    assert.equal(exitCode, 1);
    assert.match(stdout, new RegExp(`^error +columns of ${heartbeatStream}: .*does not declare waiting`, 'm'));
    assert.match(stdout, /schemas\/tables\/AponoProxyHeartbeat_CL\.json/);
  });

  for (const [how, env] of [
    ['without an interval', {}],
    ['when it is off', { ...on, LOGS_INGESTION_STREAM_HEARTBEAT: 'off' }],
  ] as const) {
    it(`does not ask for it ${how}`, async (t) => {
      const { exitCode, stdout, isAsked } = await checkLive(t, env, withoutStream);
      assert.equal(exitCode, 0);
      assert.ok(!isAsked);
      assert.doesNotMatch(stdout, /\(heartbeat\)/);
    });
  }
});
