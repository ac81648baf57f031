import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import path from 'node:path';
import process from 'node:process';
import { describe, type TestContext, test } from 'node:test';
import { parseEnv } from 'node:util';
import { sampleBody } from '../../src/kinds/body-template.ts';
import { type RunningCommand, run, startCommand } from '../support/command.ts';
import { trust } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { mainFile, spawnService, startServiceProcess } from '../support/service-process.ts';

const own = { HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', FLUSH_INTERVAL_MS: '50' };
const baseEnv = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
// Without an e-mail address, which spawnService looks for in everything that a process prints.
const body = sampleBody('integration', { time: '1763719200' });

describe('emulator', () => {
  test('a service with the printed variables is held by --fault 403, and delivers once the fault is ended', async (t) => {
    const emulator = await startEmulatorProcess(t, ['--fault', '403']);
    assert.match(emulator.text(), /Its fault: the role is missing\. To end it: curl -ksX POST \S+\/fault\/none$/m);
    const service = await startServiceProcess(t, { ...baseEnv, ...emulator.variables, ...own });
    const secret = emulator.variables['APONO_WEBHOOK_SECRET'];
    assert.equal((await service.post(body, { authorization: `Bearer ${secret}` })).status, 200);
    const healthOf = async () => (await fetch(service.url('/healthz'))).json() as Promise<Record<string, unknown>>;
    await eventually(async () => (await healthOf())['hold'] !== null, emulator.text);
    assert.match(JSON.stringify(await healthOf()), /delivery_on_hold.*Monitoring Metrics Publisher/);
    await eventually(
      () => /^ingest Custom-AponoIntegrationStatus_CL, 2 rows: 403 \(fault: 403\)$/m.test(emulator.text()),
      emulator.text,
    );

    assert.deepEqual(await emulator.post('/fault/none'), [200, '{"fault":"none"}\n']);
    await eventually(
      () => /^ingest Custom-AponoIntegrationStatus_CL, 2 rows: 204$/m.test(emulator.text()),
      emulator.text,
    );
    await eventually(async () => (await healthOf())['status'] === 'ok', healthOf);

    assert.doesNotMatch(emulator.text(), /billing was not found/);
    assert.match(
      (await emulator.post('/fault/unknown'))[1],
      /The faults are none, 403, 429, down, lossy, refused, slow\./,
    );
    const { DATA_DIR: dataDir = '', NODE_EXTRA_CA_CERTS: caFile = '' } = emulator.variables;
    emulator.child.kill('SIGTERM');
    assert.deepEqual(await emulator.exited, { code: 0, signal: null });
    assert.deepEqual([existsSync(caFile), existsSync(path.join(dataDir, 'outbox.db'))], [false, true]);
    assert.ok(emulator.text().includes(`A service still uses ${dataDir}: `), emulator.text());
    service.child.kill('SIGTERM');
    await service.exited;
    await rm(path.dirname(dataDir), { recursive: true });
  });

  test('--rows prints what arrives, and a port that is taken is exit code 1', async (t) => {
    const emulator = startCommand(['emulator', '--rows'], {});
    t.after(() => emulator.signal('SIGINT'));
    const variables = await printedVariables(emulator);
    const { LOGS_INGESTION_ENDPOINT: endpoint = '', APONO_WEBHOOK_SECRET: secret = '' } = variables;
    const second = await run(['emulator', '--port', new URL(endpoint).port]);
    assert.equal(second.exitCode, 1);
    assert.match(second.stderr, /could not start: listen EADDRINUSE/);
    trust(readFileSync(variables['NODE_EXTRA_CA_CERTS'] ?? '', 'utf8'));
    const service = await startService(t, { ...variables, ...own });
    await service.post(body, { authorization: `Bearer ${secret}` });
    const row = '"issue_message":"Schema billing was not found"';
    await eventually(() => emulator.stderr().includes(row), emulator.stderr);
    await service.stop();
    emulator.signal('SIGINT');
    assert.equal((await emulator.ended).exitCode, 0);
    assert.equal(existsSync(path.dirname(variables['DATA_DIR'] ?? '')), false);
  });

  for (const args of [
    ['--fault', 'fire'],
    ['--port', '65536'],
    ['--port', 'x'],
  ]) {
    test(`emulator ${args.join(' ')} is wrong usage`, async () => {
      const { exitCode, stdout } = await run(['emulator', ...args]);
      assert.deepEqual([exitCode, stdout], [2, '']);
    });
  }
});

/** What the emulator prints, when that is everything that it prints at its start. */
async function printedVariables({ stdout, stderr }: Pick<RunningCommand, 'stdout' | 'stderr'>) {
  await eventually(() => stderr().includes('/fault/') && stdout().includes('APONO_WEBHOOK_SECRET='), stderr);
  return parseEnv(stdout()) as Record<string, string>;
}

/** Runs the command in a process of its own. */
async function startEmulatorProcess(t: TestContext, args: readonly string[]) {
  const running = spawnService(t, baseEnv, { command: process.execPath, args: [mainFile, 'emulator', ...args] });
  const text = () => running.logs.map(({ text: line }) => String(line)).join('\n');
  const variables = await printedVariables({ ...running, stderr: text });
  const ca = readFileSync(variables['NODE_EXTRA_CA_CERTS'] ?? '');
  async function post(pathname: string): Promise<[number, string]> {
    const asked = request(new URL(pathname, variables['LOGS_INGESTION_ENDPOINT']), {
      method: 'POST',
      ca,
      agent: false,
    });
    asked.end();
    const [response]: IncomingMessage[] = await once(asked, 'response');
    const chunks = await (response?.toArray() ?? []);
    return [response?.statusCode ?? 0, Buffer.concat(chunks).toString()];
  }
  return { ...running, text, variables, post };
}
