import assert from 'node:assert/strict';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { variables } from '../../src/config/variables.ts';
import { makeCertificate } from '../../src/emulator/certificate.ts';
import { caddyImage, composeGenerations, postgresImage } from './compose.ts';
import { buildImage, docker, image, mustRun, removeAll, repository, run, waitUntil } from './docker.ts';
import { requestEvent, rowsPerEvent } from './event.ts';
import { callHttps, type HttpsAnswer } from './https.ts';

const file = 'deploy/compose.scale.yml';
const secret = 'a-secret-of-the-scale-test';
const password = 'a/password@with?signs';
const azureName = 'apono-sentinel-test.westeurope-1.ingest.monitor.azure.com';
const replicas = ['sentinel-1', 'sentinel-2', 'sentinel-3'] as const;
/** Another than that of docker-compose.yml, whose test may be running. */
const subnet = '172.30.253.0/28';
/** The container that runs as that file has it. */
const alone = 'apono-sentinel-scale-test-alone';

interface Settings {
  readonly ruleId: string;
  readonly tenantId: string;
  readonly clientId: string;
}

test('the compose file of several replicas loads as it is in a fresh clone, and passes every variable to each', async () => {
  for (const [program = '', ...args] of await composeGenerations()) {
    const config = await mustRun(program, [...args, '--project-directory', '.', '--file', file, 'config'], {
      env: { PATH: process.env['PATH'] },
    });
    const services = new Map(
      config.split(/^ {2}(?=\S+:$)/m).map((part) => [part.slice(0, part.indexOf(':')), part] as const),
    );
    for (const replica of replicas) {
      const service = services.get(replica) ?? assert.fail(`no ${replica}`);
      for (const name of Object.keys(variables)) {
        assert.match(service, new RegExp(`^ +${name}(_FILE)?:`, 'm'), `${replica}: ${name}`);
      }
      assert.doesNotMatch(service, /APONO_WEBHOOK_SECRET:|AZURE_CLIENT_SECRET:|OUTBOX_URL:/, 'these come as files');
      assert.match(service, /TRUST_PROXY: 172\.30\.254\.0\/28/);
      assert.doesNotMatch(service, /published|ports:/);
    }
    for (const name of [...replicas, 'postgres', 'caddy']) {
      const service = services.get(name) ?? '';
      assert.match(service, /read_only: true/, name);
      assert.match(service, /cap_drop:\s+- ALL/, name);
      assert.match(service, /no-new-privileges:true/, name);
    }
    assert.match(config, /subnet: 172\.30\.254\.0\/28/);
    assert.match(config, /internal: true/);
  }
});

describe('three replicas with compose', () => {
  let folder: string;
  let shared: string;
  let commandLine: readonly string[];
  let caPem: string;
  /** Before 2.11.2 Caddy loses the body when it tries again (caddyserver/caddy#7546). */
  let repeatsBodies: boolean;
  /** The event_id of every event that was answered 2xx. */
  const accepted = new Set<string>();
  /** Answers other than 2xx, of requests that were then sent again. */
  const failures: string[] = [];

  const compose = (...args: readonly string[]) => {
    const [program = '', ...rest] = [...commandLine, ...args];
    return run(program, rest, { cwd: folder });
  };
  const mustCompose = (...args: readonly string[]): Promise<string> => {
    const [program = '', ...rest] = [...commandLine, ...args];
    return mustRun(program, rest, { cwd: folder });
  };
  const containerOf = (service: string): Promise<string> => mustCompose('ps', '--quiet', service);

  before(async () => {
    await removeAll();
    await buildImage();
    const caddy = await caddyImage('caddy:2');
    const version = await docker('run', '--rm', '--entrypoint', 'caddy', caddy, 'version');
    repeatsBodies = isAtLeast(version, [2, 11, 2]);
    folder = await mkdtemp(join(tmpdir(), 'apono-sentinel-scale-'));
    shared = join(folder, 'shared');
    await mkdir(shared);
    await chmod(shared, 0o777);
    await chmod(folder, 0o755);
    await cp(join(repository, 'deploy'), join(folder, 'deploy'), { recursive: true });
    if (!isAtLeast(version, [2, 7, 0])) await withoutBuffers(join(folder, 'deploy/caddy/scale.Caddyfile'));
    await writeFile(join(folder, 'override.json'), JSON.stringify(await overrides(caddy)));
    const [generation = []] = await composeGenerations();
    const files = ['--file', file, '--file', 'override.json'];
    commandLine = [...generation, '--project-directory', '.', '--project-name', 'apono-sentinel-scale-test', ...files];
    // The secrets have to be there before anything starts; that of Azure is known when the emulator runs.
    await mkdir(join(folder, 'secrets'));
    await put('apono_webhook_secret', `${secret}\n`);
    await put('azure_client_secret', '\n');
    await put('postgres_password', `${password}\n`);
    const security = 'sslmode=verify-full&sslrootcert=/run/secrets/postgres_certificate';
    const url = `postgres://apono_sentinel:${encodeURIComponent(password)}@postgres:5432/outbox?${security}`;
    await put('outbox_url', `${url}\n`);
    await putCertificate();
    await writeFile(join(folder, '.env'), `PROXY_SUBNET=${subnet}\n`);
    // What an aborted run left would hold the ports, the network and the name.
    await run('docker', ['rm', '--force', alone]);
    await mustCompose('down', '--volumes', '--remove-orphans');
    await mustCompose('up', '--detach', '--no-build', 'azure');
    await waitUntil(logs, () => readFile(join(shared, 'settings.json')).then(() => true));
    const settings = JSON.parse(await readFile(join(shared, 'settings.json'), 'utf8')) as Settings;
    await put('azure_client_secret', await readFile(join(shared, 'client-secret'), 'utf8'));
    const lines = [
      `PROXY_SUBNET=${subnet}`,
      `LOGS_INGESTION_ENDPOINT=https://${azureName}`,
      `AZURE_AUTHORITY_HOST=https://${azureName}`,
      `DATA_COLLECTION_RULE_ID=${settings.ruleId}`,
      `AZURE_TENANT_ID=${settings.tenantId}`,
      `AZURE_CLIENT_ID=${settings.clientId}`,
      // The host's own address on the network: taken only where the service believes Caddy about its callers.
      'ALLOWED_CIDRS=172.30.253.1/32',
      'FLUSH_INTERVAL_MS=50',
    ];
    await writeFile(join(folder, '.env'), `${lines.join('\n')}\n`);
    await mustCompose('up', '--detach', '--no-build');
    await waitUntil(logs, async () => {
      caPem = await mustCompose('exec', '-T', 'caddy', 'cat', '/data/caddy/pki/authorities/local/root.crt');
      return (await post(requestEvent('first'))).status === 200;
    });
    for (const replica of replicas) await waitUntil(logs, () => isHealthy(replica));
  });
  after(async () => {
    if (commandLine !== undefined) {
      await mustCompose('down', '--volumes', '--remove-orphans', '--timeout', '40');
      await rm(folder, { recursive: true, force: true });
    }
    await removeAll();
  });

  test('PostgreSQL runs without root and without a capability, and keeps its superuser and its port from the network', async () => {
    const container = await containerOf('postgres');
    const status = await docker('exec', container, 'cat', '/proc/1/status');
    assert.match(status, /^Uid:\s+999\s+999\s+999\s+999$/m);
    assert.match(status, /^CapBnd:\s+0+$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.equal(await psql('SHOW fsync'), 'on');
    assert.equal(
      await psql("SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolsuper AND rolcanlogin"),
      'postgres',
    );
    assert.equal(await psql("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'postgres'"), 't');
    const ports = await docker('inspect', '--format', '{{json .HostConfig.PortBindings}}', container);
    assert.ok(ports === '{}' || ports === 'null', ports);
    const asSuperuser = await fromReplica(`postgres://postgres:${encodeURIComponent(password)}@postgres/outbox`);
    assert.match(asSuperuser, /password authentication failed/);
    const asService = await fromReplica(`postgres://apono_sentinel:${encodeURIComponent(password)}@postgres/outbox`);
    assert.equal(asService, 'connected');
  });

  test('passes nothing but the webhook, and 413 and 401 of the service', async () => {
    for (const path of ['/', '/healthz', '/readyz', '/metrics', '/apono/webhook/../../healthz']) {
      assert.equal((await callHttps({ path, caPem, method: 'GET' })).status, 404, path);
    }
    assert.equal((await callHttps({ path: '/apono/webhook', caPem, body: '{}' })).status, 401);
    assert.equal((await post({ filler: 'x'.repeat(6_000_000) })).status, 413);
  });

  test('under load one replica is killed and the others are updated one after the other: nothing is lost', async (t) => {
    const sending = startSending('load');
    await waitUntil(logs, async () => accepted.size > 100);
    await docker('kill', '--signal', 'KILL', await containerOf('sentinel-2'));
    const atKill = accepted.size;
    await waitUntil(logs, async () => accepted.size > atKill + 100);
    // The lease of a dead replica is a minute. `up` starts it again, as a reboot would.
    await mustCompose('up', '--detach', '--no-build', '--no-deps', 'sentinel-2');
    await waitUntil(logs, () => isHealthy('sentinel-2'));
    for (const replica of replicas) {
      const container = await containerOf(replica);
      await mustCompose('up', '--detach', '--no-build', '--no-deps', '--force-recreate', replica);
      await waitUntil(logs, () => isHealthy(replica));
      assert.notEqual(await containerOf(replica), container);
    }
    const atUpdate = accepted.size;
    await waitUntil(logs, async () => accepted.size > atUpdate + 100);
    await sending.stop();
    t.diagnostic(`${accepted.size} accepted, ${failures.length} answers were not 2xx`);
    if (repeatsBodies) assert.deepEqual(failures, []);
    const expected = [...accepted].flatMap((id) =>
      Array.from({ length: rowsPerEvent }, (_, index) => `${id}-${index}`),
    );
    let arrived = new Set<string>();
    const missing = (): string[] => expected.filter((id) => !arrived.has(id));
    await waitUntil(
      () => `missing: ${missing().length} of ${expected.length}`,
      async () => {
        arrived = new Set(await rows());
        return missing().length === 0;
      },
      150_000,
    );
    await waitUntil(
      logs,
      async () =>
        (await psql('SELECT count(*) FROM apono_sentinel.events WHERE delivered_at IS NULL', 'outbox')) === '0',
    );
  });

  test('the database is restarted: what was accepted before and after arrives', async () => {
    const before = accepted.size;
    const sending = startSending('database');
    await waitUntil(logs, async () => accepted.size > before + 20);
    await mustCompose('restart', 'postgres');
    const atRestart = accepted.size;
    await waitUntil(logs, async () => accepted.size > atRestart + 20);
    await sending.stop();
    await waitUntil(
      logs,
      async () => {
        const arrived = new Set(await rows());
        return [...accepted].every((id) => arrived.has(`${id}-0`) && arrived.has(`${id}-1`));
      },
      150_000,
    );
  });

  test('a dump brings the database back, as docs/scaling.md has it', async () => {
    const dump = `${commandLine.join(' ')} exec -T postgres pg_dump --username postgres --format custom outbox > dump`;
    await mustRun('sh', ['-c', dump], { cwd: folder });
    const event = requestEvent('after the dump');
    await sendUntilAccepted('after the dump');
    assert.equal(isDuplicate(await post(event)), true);
    await mustCompose('stop', ...replicas);
    const options = '--username postgres --clean --if-exists --create --exit-on-error --dbname postgres';
    const restore = `${commandLine.join(' ')} exec -T postgres pg_restore ${options} < dump`;
    await mustRun('sh', ['-c', restore], { cwd: folder });
    await mustCompose('start', ...replicas);
    for (const replica of replicas) await waitUntil(logs, () => isHealthy(replica));
    assert.equal(isDuplicate(await post(requestEvent('first'))), true, 'what was in the dump is known');
    assert.equal(isDuplicate(await post(event)), false, 'what came after it is not');
    assert.equal(await psql("SELECT has_database_privilege('public', 'outbox', 'CONNECT')"), 'f');
  });

  test('what docker-compose.yml left on its volume is moved to PostgreSQL by `run --rm migrate`, and arrives', async () => {
    await mustCompose('stop', ...replicas);
    // (docker-compose 1.x knows -e, and not --env.) As that file runs it: SQLite on the volume. With another application's id nothing can be delivered, and it waits.
    // The test asks it from inside, where ALLOWED_CIDRS would refuse it.
    const ofOne = ['OUTBOX_URL_FILE=', 'ALLOWED_CIDRS=', 'AZURE_CLIENT_ID=33333333-3333-4333-8333-333333333333'];
    const variablesOfOne = ofOne.flatMap((variable) => ['-e', variable]);
    await mustCompose('run', '--detach', '--name', alone, ...variablesOfOne, 'migrate', 'serve');
    const script = `const answer = await fetch('http://127.0.0.1:8080/apono/webhook', { method: 'POST',
        headers: { authorization: 'Bearer ${secret}' }, body: ${JSON.stringify(JSON.stringify(requestEvent('moved')))} });
      console.log(await answer.text());`;
    let answer = '';
    await waitUntil(logs, async () => {
      answer = await docker('exec', alone, 'node', '--input-type=module', '--eval', script);
      return true;
    });
    const { event_id: id } = JSON.parse(answer) as { event_id?: string };
    assert.match(id ?? '', /^v1/, answer);
    await docker('stop', '--time', '40', alone);
    await docker('rm', alone);
    const { exitCode, stdout, stderr } = await compose('run', '--rm', '-T', 'migrate');
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /^moved +1$/m);
    assert.ok(!(await rows()).includes(`${id}-0`));
    await mustCompose('start', ...replicas);
    await waitUntil(logs, async () => (await rows()).includes(`${id}-1`));
    assert.equal(isDuplicate(await post(requestEvent('moved'))), true);
  });

  test('no log holds a secret', async () => {
    const text = await logs();
    for (const word of [secret, password, encodeURIComponent(password)]) assert.ok(!text.includes(word));
    assert.ok(!text.includes(await readFile(join(shared, 'client-secret'), 'utf8')));
  });

  function put(name: string, text: string): Promise<void> {
    return writeFile(join(folder, 'secrets', name), text, { mode: 0o644 });
  }

  /** PostgreSQL refuses a key that another user than its own could read. */
  async function putCertificate(): Promise<void> {
    const { caPem: ca, certPem, keyPem } = await makeCertificate(['postgres']);
    await put('postgres_certificate', `${certPem}\n${ca}\n`);
    await put('postgres_key', `${keyPem}\n`);
    const secrets = join(folder, 'secrets');
    const own = 'chown 999:999 /secrets/postgres_key && chmod 0400 /secrets/postgres_key';
    const options = ['--rm', '--user', '0:0', '--volume', `${secrets}:/secrets`, '--entrypoint', 'sh'];
    await docker('run', ...options, image, '-c', own);
  }

  /** Images that are here, and an Azure on the network. JSON is YAML. */
  async function overrides(caddy: string): Promise<object> {
    const replica = {
      image,
      environment: { NODE_EXTRA_CA_CERTS: '/shared/ca.pem' },
      volumes: [`${shared}:/shared:ro`],
      // The tests ask for it often; in production 10 s are enough.
      healthcheck: { interval: '1s' },
    };
    return {
      services: {
        ...Object.fromEntries(replicas.map((name) => [name, replica])),
        // Only its own `serve` of the test below asks Azure; in production it runs `outbox migrate` alone.
        migrate: { ...replica, healthcheck: { disable: true } },
        postgres: { image: await postgresImage('postgres:18') },
        caddy: { image: caddy },
        azure: {
          image,
          user: '0:0',
          entrypoint: ['node', '/app/test/image/azure.ts'],
          command: [],
          environment: { AZURE_NAME: azureName, OUTPUT: '/shared' },
          volumes: [
            `${shared}:/shared`,
            ...['test/image/azure.ts', 'test/support/azure'].map((file) => `${repository}/${file}:/app/${file}:ro`),
          ],
          healthcheck: { disable: true },
          networks: { default: { aliases: [azureName] } },
        },
      },
    };
  }

  function post(event: object): Promise<HttpsAnswer> {
    return callHttps({
      path: '/apono/webhook',
      caPem,
      headers: { authorization: `Bearer ${secret}` },
      body: JSON.stringify(event),
    });
  }

  /** Until it is answered 2xx; each event is another one. */
  async function sendUntilAccepted(id: string): Promise<void> {
    const deadline = performance.now() + 120_000;
    while (performance.now() < deadline) {
      const answer = await post(requestEvent(id)).catch((error: unknown) => ({ status: 0, body: String(error) }));
      if (answer.status === 200) {
        accepted.add((JSON.parse(answer.body) as { event_id: string }).event_id);
        return;
      }
      failures.push(`${answer.status} ${answer.body.slice(0, 200)}`);
      await pause(100);
    }
    assert.fail(`${id} was never accepted: ${failures.at(-1)}`);
  }

  function startSending(prefix: string): { stop(): Promise<void> } {
    let stopped = false;
    const sender = async (name: string): Promise<void> => {
      for (let number = 0; !stopped; number += 1) await sendUntilAccepted(`${prefix}-${name}-${number}`);
    };
    const running = Promise.all(['a', 'b', 'c', 'd'].map(sender));
    // Its failure is reported by `stop`, and not as an unhandled rejection meanwhile.
    running.catch(() => undefined);
    return {
      async stop() {
        stopped = true;
        await running;
      },
    };
  }

  async function rows(): Promise<readonly string[]> {
    await rm(join(shared, 'rows.json'), { force: true });
    await docker('kill', '--signal', 'USR2', await containerOf('azure'));
    let text = '';
    await waitUntil(logs, async () => {
      text = await readFile(join(shared, 'rows.json'), 'utf8');
      return true;
    });
    return JSON.parse(text) as string[];
  }

  async function isHealthy(service: string): Promise<boolean> {
    const format = '{{.State.Health.Status}}';
    return (await docker('inspect', '--format', format, await containerOf(service))) === 'healthy';
  }

  async function psql(sql: string, database = 'postgres'): Promise<string> {
    const args = ['--username', 'postgres', '--dbname', database, '--no-align', '--tuples-only', '--command', sql];
    return mustCompose('exec', '-T', 'postgres', 'psql', ...args);
  }

  /** What a connection from a replica's container meets. */
  async function fromReplica(url: string): Promise<string> {
    const script = `const { Client } = (await import('/app/node_modules/pg/lib/index.js')).default;
      const client = new Client(${JSON.stringify(url)});
      await client.connect().then(() => console.log('connected'), (error) => console.log(error.message));
      await client.end().catch(() => undefined);`;
    return mustCompose('exec', '-T', 'sentinel-1', 'node', '--input-type=module', '--eval', script);
  }

  async function logs(): Promise<string> {
    const { stdout, stderr } = await compose('logs', '--no-color');
    return `${stdout}\n${stderr}`;
  }
});

function isDuplicate({ status, body }: HttpsAnswer): boolean {
  assert.equal(status, 200, body);
  return (JSON.parse(body) as { duplicate: boolean }).duplicate;
}

/** Caddy before 2.7 does not know the line; Debian's is such a one. */
async function withoutBuffers(caddyfile: string): Promise<void> {
  const text = await readFile(caddyfile, 'utf8');
  const line = /^\s+request_buffers 8MiB\n/m;
  assert.match(text, line);
  await writeFile(caddyfile, text.replace(line, ''));
}

/** `v2.11.2 h1:…` or `2.6.2`. */
function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  const difference = wanted.findIndex((part, index) => part !== parts[index]);
  return difference === -1 || (parts[difference] ?? 0) > (wanted[difference] ?? 0);
}
