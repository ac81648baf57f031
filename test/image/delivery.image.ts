import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { requestKind } from '../../src/kinds/request.ts';
import { type Emulator, startEmulator } from '../support/azure/emulator.ts';
import { freePort } from '../support/free-port.ts';
import { buildImage, createVolume, docker, dockerRun, hardened, image, removeAll, run, waitUntil } from './docker.ts';
import { requestEvent, rowsPerEvent } from './event.ts';

const stream = 'Custom-AponoAccessRequests_CL';
const secret = 'a-secret-of-the-image-test';

interface Accepted {
  readonly status: string;
  readonly event_id: string;
  readonly duplicate: boolean;
}

/** The service in its image, hardened, on the host's network: there it reaches the emulator on loopback, as Azure. */
describe('the service in its image', () => {
  let emulator: Emulator;
  let folder: string;
  let volume: string;
  let port: number;

  before(async () => {
    await removeAll();
    await buildImage();
    folder = await mkdtemp(join(tmpdir(), 'apono-sentinel-image-'));
    await chmod(folder, 0o755);
  });
  after(async () => {
    await removeAll();
    await emulator?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    await removeAll();
    await emulator?.stop();
    emulator = await startEmulator({ streams: { [stream]: requestKind.table.columns } });
    // Readable for uid 1000, as secrets have to be.
    await writeFile(join(folder, 'ca.pem'), emulator.caPem, { mode: 0o644 });
    await writeFile(join(folder, 'webhook-secret'), `${secret}\n`, { mode: 0o644 });
    await writeFile(join(folder, 'client-secret'), emulator.clientSecret, { mode: 0o644 });
    volume = await createVolume();
    port = await freePort();
  });

  test('accepts a webhook, delivers its rows, and keeps callers without the secret out', async () => {
    await startService();
    assert.equal((await post(requestEvent('1'), 'not the secret at all')).status, 401);
    const answer = await post(requestEvent('1'));
    assert.equal(answer.status, 200);
    const accepted = (await answer.json()) as Accepted;
    assert.equal(accepted.status, 'accepted');
    await emulator.waitFor((azure) => azure.rowCount(stream) === rowsPerEvent, 60_000);
    assert.deepEqual(
      emulator.rows(stream).map((row) => row['row_id']),
      Array.from({ length: rowsPerEvent }, (_, index) => `${accepted.event_id}-${index}`),
    );
  });

  test('runs as uid 1000 without a capability and without a way to gain one', async () => {
    const container = await startService();
    const status = await docker('exec', container, 'cat', '/proc/1/status');
    assert.match(status, /^Name:\s+(node|MainThread)$/m);
    assert.match(status, /^Uid:\s+1000\s+1000\s+1000\s+1000$/m);
    assert.match(status, /^CapEff:\s+0+$/m);
    assert.match(status, /^CapBnd:\s+0+$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    await assert.rejects(docker('exec', container, 'touch', '/app/src/changed'), /Read-only file system/);
    const files = await docker('exec', container, 'find', '/data', '-type', 'f', '-not', '-perm', '0600');
    assert.equal(files, '', 'nobody else reads the events');
  });

  test('loses nothing when it is killed during an outage and started anew on its volume', async () => {
    emulator.setPublisherRole(false);
    const first = await startService();
    const eventIds: string[] = [];
    for (let number = 0; number < 50; number += 1) {
      const answer = await post(requestEvent(`outage-${number}`));
      assert.equal(answer.status, 200);
      eventIds.push(((await answer.json()) as Accepted).event_id);
    }
    await docker('kill', '--signal', 'KILL', first);
    await docker('rm', first);
    assert.equal(emulator.rowCount(stream), 0);

    emulator.setPublisherRole(true);
    await startService();
    await emulator.waitFor((azure) => azure.rowCount(stream) >= eventIds.length * rowsPerEvent, 120_000);
    const expected = eventIds.flatMap((id) => Array.from({ length: rowsPerEvent }, (_, index) => `${id}-${index}`));
    assert.deepEqual(
      emulator
        .rows(stream)
        .map((row) => String(row['row_id']))
        .sort(),
      expected.sort(),
    );
    const again = (await (await post(requestEvent('outage-7'))).json()) as Accepted;
    assert.deepEqual([again.event_id, again.duplicate], [eventIds[7], true]);
  });

  test('becomes healthy, and ends by itself with 0 on SIGTERM', async () => {
    const container = await startService('--health-interval', '1s');
    await waitUntil(
      () => docker('inspect', '--format', '{{json .State.Health}}', container),
      async () => (await docker('inspect', '--format', '{{.State.Health.Status}}', container)) === 'healthy',
    );
    // Docker kills it with exit code 137 where it is not done by then.
    await docker('stop', '--time', '40', container);
    assert.equal(await docker('inspect', '--format', '{{.State.ExitCode}}', container), '0', await logsOf(container));
  });

  test('a data folder that it may not write ends it with a message that names the folder', async () => {
    const { exitCode, stdout, stderr } = await dockerRun(
      '--rm',
      ...serviceOptions(),
      '--tmpfs',
      '/readonly:ro',
      '--env',
      'DATA_DIR=/readonly',
      image,
    );
    assert.notEqual(exitCode, 0);
    assert.match(stdout + stderr, /\/readonly/);
  });

  function serviceOptions(): string[] {
    const variables = {
      HOST: '127.0.0.1',
      PORT: String(port),
      // The admin port of its own run; nothing listens twice on the host's network.
      ADMIN_PORT: '0',
      APONO_WEBHOOK_SECRET_FILE: '/secrets/webhook-secret',
      LOGS_INGESTION_ENDPOINT: emulator.origin,
      DATA_COLLECTION_RULE_ID: emulator.ruleId,
      AZURE_AUTHORITY_HOST: emulator.origin,
      AZURE_TENANT_ID: emulator.tenantId,
      AZURE_CLIENT_ID: emulator.clientId,
      AZURE_CLIENT_SECRET_FILE: '/secrets/client-secret',
      NODE_EXTRA_CA_CERTS: '/secrets/ca.pem',
      FLUSH_INTERVAL_MS: '50',
    };
    const environment = Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    return ['--network', 'host', ...hardened, '--volume', `${folder}:/secrets:ro`, ...environment];
  }

  /** Starts it on the volume and waits until it takes webhooks. Gives the container's id. */
  async function startService(...options: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await dockerRun(
      '--detach',
      ...serviceOptions(),
      '--volume',
      `${volume}:/data`,
      ...options,
      image,
    );
    assert.equal(exitCode, 0, stderr);
    const container = stdout.trim();
    await waitUntil(
      () => logsOf(container),
      async () => {
        const ready = await fetch(`http://127.0.0.1:${port}/readyz`).then(
          (answer) => answer.ok,
          () => false,
        );
        return ready || (await docker('inspect', '--format', '{{.State.Running}}', container)) === 'false';
      },
    );
    assert.equal(
      await docker('inspect', '--format', '{{.State.Running}}', container),
      'true',
      `it ended at start: ${await logsOf(container)}`,
    );
    return container;
  }

  function post(event: object, withSecret = secret): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}/apono/webhook`, {
      method: 'POST',
      headers: { authorization: `Bearer ${withSecret}`, 'content-type': 'application/json' },
      body: JSON.stringify(event),
    });
  }
});

async function logsOf(container: string): Promise<string> {
  const { stdout, stderr } = await run('docker', ['logs', container]);
  return `${stdout}\n${stderr}`;
}
