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
import { eventually } from '../support/eventually.ts';
import { mainFile, spawnService, startServiceProcess } from '../support/service-process.ts';
import { spawnCli } from './support.ts';

const baseEnv = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
// Without an e-mail address, which spawnService looks for in everything that a process prints.
const body = sampleBody('integration', { time: '1763719200' });

describe('emulator', () => {
  test('a service with the printed variables is held by --fault 403, and delivers once the fault is ended', async (t) => {
    const emulator = await startEmulatorProcess(t, ['--fault', '403']);
    assert.match(emulator.text(), /Its fault: the role is missing\. To end it: curl -ksX POST \S+\/fault\/none$/m);
    const service = await startService(t, emulator.variables);
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
    const emulator = await startEmulatorProcess(t, ['--rows']);
    const { LOGS_INGESTION_ENDPOINT: endpoint = '', APONO_WEBHOOK_SECRET: secret = '' } = emulator.variables;
    const second = await spawnCli(['emulator', '--port', new URL(endpoint).port]);
    assert.equal(second.exitCode, 1);
    assert.match(second.stderr, /could not start: listen EADDRINUSE/);
    const service = await startService(t, emulator.variables);
    await service.post(body, { authorization: `Bearer ${secret}` });
    await eventually(() => emulator.text().includes('"issue_message":"Schema billing was not found"'), emulator.text);
    service.child.kill('SIGTERM');
    await service.exited;
    emulator.child.kill('SIGINT');
    assert.deepEqual(await emulator.exited, { code: 0, signal: null });
    assert.equal(existsSync(path.dirname(emulator.variables['DATA_DIR'] ?? '')), false);
  });

  for (const args of [
    ['--fault', 'fire'],
    ['--port', '65536'],
    ['--port', 'x'],
  ]) {
    test(`emulator ${args.join(' ')} is wrong usage`, async () => {
      const { exitCode, stdout } = await spawnCli(['emulator', ...args]);
      assert.deepEqual([exitCode, stdout], [2, '']);
    });
  }
});

async function startService(t: TestContext, variables: Readonly<Record<string, string>>) {
  const own = { HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', FLUSH_INTERVAL_MS: '50' };
  return startServiceProcess(t, { ...baseEnv, ...variables, ...own });
}

/** Runs the command; resolves when it has printed everything that it prints at its start. */
async function startEmulatorProcess(t: TestContext, args: readonly string[]) {
  const running = spawnService(t, baseEnv, { command: process.execPath, args: [mainFile, 'emulator', ...args] });
  const text = () => running.logs.map(({ text: line }) => String(line)).join('\n');
  await eventually(() => text().includes('/fault/') && running.stdout().includes('APONO_WEBHOOK_SECRET='), text);
  const variables = parseEnv(running.stdout()) as Record<string, string>;
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
