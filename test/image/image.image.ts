import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { nodeOptions } from '../support/node-options.ts';
import {
  buildImage,
  createVolume,
  docker,
  dockerRun,
  hardened,
  image,
  mustRun,
  removeAll,
  repository,
  run,
  waitUntil,
} from './docker.ts';

interface Manifest {
  readonly version: string;
}
interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>;
}
interface Sbom {
  readonly components: readonly { readonly name: string; readonly version: string }[];
}
interface ImageConfig {
  readonly User: string;
  readonly Volumes: Readonly<Record<string, object>>;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly Env: readonly string[];
  readonly StopSignal: string;
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(join(repository, path), 'utf8')) as T;
}

describe('the image', () => {
  before(async () => {
    await removeAll();
    await buildImage({ VERSION: '1.2.3', REVISION: 'abcdef0', CREATED: '2024-05-06T07:08:09Z' });
  });
  after(removeAll);

  test('runs as uid 1000 with a volume for its data, and says what it is', async () => {
    const config = JSON.parse(await docker('image', 'inspect', '--format', '{{json .Config}}', image)) as ImageConfig;
    assert.equal(config.User, '1000:1000');
    assert.deepEqual(Object.keys(config.Volumes), ['/data']);
    assert.deepEqual(Object.keys(config.ExposedPorts), ['8080/tcp']);
    assert.deepEqual(config.Healthcheck.Test, ['CMD', 'apono-sentinel', 'healthcheck']);
    assert.equal(config.StopSignal, 'SIGTERM');
    assert.ok(config.Env.includes(`NODE_OPTIONS=${nodeOptions().join(' ')}`), 'as npm start');
    assert.equal(config.Labels['org.opencontainers.image.title'], 'apono-sentinel');
    assert.equal(config.Labels['org.opencontainers.image.version'], '1.2.3');
    assert.equal(config.Labels['org.opencontainers.image.revision'], 'abcdef0');
    assert.equal(config.Labels['org.opencontainers.image.created'], '2024-05-06T07:08:09Z');
  });

  test('--version prints the version of package.json', async () => {
    const { exitCode, stdout } = await dockerRun('--rm', ...hardened, image, '--version');
    assert.deepEqual(
      { exitCode, stdout: stdout.trim() },
      { exitCode: 0, stdout: readJson<Manifest>('package.json').version },
    );
  });

  test('check without a variable names those that are missing and exits 2', async () => {
    const { exitCode, stdout, stderr } = await dockerRun('--rm', ...hardened, image, 'check');
    assert.equal(exitCode, 2);
    for (const name of ['APONO_WEBHOOK_SECRET', 'LOGS_INGESTION_ENDPOINT', 'DATA_COLLECTION_RULE_ID']) {
      assert.match(stdout + stderr, new RegExp(`\\b${name}\\b.*required`));
    }
  });

  test('serve without a variable exits 2 instead of staying up', async () => {
    const { exitCode } = await dockerRun('--rm', ...hardened, image);
    assert.equal(exitCode, 2);
  });

  test('demo --once shows the whole way without any network but its own', async () => {
    const { exitCode, stdout, stderr } = await dockerRun('--rm', '--network', 'none', image, 'demo', '--once');
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  });

  test('has every package of the lockfile that runs, and none that is for development or a checkout', async () => {
    const { packages } = readJson<Lockfile>('package-lock.json');
    const installed = new Set((await inImage('find node_modules -name package.json')).split('\n'));
    for (const [path, { dev = false, optional = false }] of Object.entries(packages)) {
      if (path !== '') assert.equal(installed.has(`${path}/package.json`), !dev && !optional, path);
    }
  });

  test('has the packages of the SBOM, in their versions, and no other', async () => {
    const paths = (await inImage('find node_modules -name package.json')).split('\n');
    // A package's own manifest, and not one of the many that only say which kind of module a folder holds.
    const manifests = paths.filter((path) => /(^|\/)node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path)).sort();
    const print = `for (const path of ${JSON.stringify(manifests)}) {
      const { name, version } = JSON.parse(require("node:fs").readFileSync(path));
      console.log(name + "@" + version);
    }`;
    assert.ok(manifests.length > 50);
    const installed = (await docker('run', '--rm', '--entrypoint', 'node', image, '--eval', print)).split('\n');
    const { components } = JSON.parse(await mustRun('npm', ['run', '--silent', 'sbom'])) as Sbom;
    const listed = components.map(({ name, version }) => `${name}@${version}`);
    assert.deepEqual([...new Set(installed)].sort(), [...new Set(listed)].sort());
  });

  test('has what runs and nothing else: no package manager, no build tools, no tests', async () => {
    assert.deepEqual((await inImage('ls -A /app')).split('\n').sort(), [
      '.compile-cache',
      'node_modules',
      'package.json',
      'schemas',
      'src',
    ]);
    const tools = 'npm npx yarn corepack apt apt-get dpkg tsc biome gcc cc g++ make python3 git curl wget';
    assert.equal(await inImage(`for tool in ${tools}; do command -v $tool; done; true`), '');
    assert.match(await inImage('grep --count "^Package: " /var/lib/dpkg/status'), /^[1-9]\d+$/, 'for scanners');
  });

  test('holds no secret and no history: not in its files, its environment or the record of its layers', async () => {
    const found = await asRootInImage(
      'find / -xdev \\( -name .env -o -name .git -o -name .npmrc -o -name secrets -o -name "*.db" -o -name "id_*" \\) ' +
        '-not -path "*/node_modules/*"; find /data /root /home /tmp -type f',
    );
    assert.deepEqual(
      found
        .split('\n')
        .filter((path) => path !== '' && !/^\/(root|home\/node)\/\.(bashrc|profile|bash_logout)$/.test(path)),
      [],
    );
    const { Env } = JSON.parse(await docker('image', 'inspect', '--format', '{{json .Config}}', image)) as ImageConfig;
    const history = await docker('image', 'history', '--no-trunc', '--format', '{{.CreatedBy}}', image);
    assert.match(history, /npm ci|COPY|chmod/);
    assert.doesNotMatch(
      [...Env, history].join('\n'),
      /secret|token|password|passwd|credential|_KEY\b|https?:\/\/[^/\s]*@/i,
    );
  });

  test('has no file that runs as somebody else than its caller', async () => {
    assert.equal(await asRootInImage('find / -xdev -type f -perm /6000'), '');
  });

  test('keeps its own files from the user that runs them, and the data folder from everybody else', async () => {
    assert.equal(await inImage('find /app /usr/local -writable -not -type l'), '');
    assert.equal(await inImage('stat -c "%u:%g %a" /data'), '1000:0 770');
  });

  // OpenShift does this: https://docs.redhat.com/documentation/openshift_container_platform, "Creating images".
  test('works under any uid in group 0, and closes the data folder where its user owns it', async () => {
    const endpoint = 'https://apono-sentinel-test.westeurope-1.ingest.monitor.azure.com';
    for (const user of ['1000690000:0', '1000:1000']) {
      const settings = {
        APONO_WEBHOOK_SECRET: 'an-example-for-an-image-that-runs',
        LOGS_INGESTION_ENDPOINT: endpoint,
        DATA_COLLECTION_RULE_ID: `dcr-${'0'.repeat(32)}`,
      };
      const env = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
      const volume = ['--volume', `${await createVolume()}:/data`];
      const options = ['--network', 'none', '--user', user, ...hardened, ...volume, ...env];
      // The second start finds what the first one wrote.
      for (const id of ['first', 'second']) {
        const { stdout, stderr, exitCode } = await dockerRun('--detach', ...options, image);
        assert.equal(exitCode, 0, stderr);
        const container = stdout.trim();
        const logs = () => docker('logs', container);
        await waitUntil(logs, async () => (await docker('exec', container, 'apono-sentinel', 'healthcheck')) !== null);
        const sent = await run('docker', ['exec', container, 'apono-sentinel', 'send-test']);
        assert.equal(sent.exitCode, 0, `${user}, ${id} start: ${sent.stdout}${sent.stderr}`);
        const folder = await docker('exec', container, 'stat', '-c', '%u:%g %a', '/data', '/data/outbox.db');
        assert.deepEqual(folder.split('\n'), [user === '1000:1000' ? '1000:0 700' : '1000:0 770', `${user} 600`]);
        await docker('stop', '-t', '40', container);
        assert.equal(await docker('inspect', '--format', '{{.State.ExitCode}}', container), '0');
      }
    }
  });

  test('starts from a compile cache that was made at the build', async () => {
    const trace = await docker(
      'run',
      '--rm',
      ...hardened,
      '--env',
      'NODE_DEBUG_NATIVE=COMPILE_CACHE',
      '--entrypoint',
      'sh',
      image,
      '-c',
      'apono-sentinel --version 2>&1',
    );
    assert.match(trace, /cli\.ts was accepted/);
  });
});

function inImage(script: string): Promise<string> {
  return docker('run', '--rm', '--entrypoint', 'sh', image, '-c', script);
}

/** Sees every folder of the image, /root too. */
function asRootInImage(script: string): Promise<string> {
  return docker('run', '--rm', '--user', '0', '--entrypoint', 'sh', image, '-c', script);
}
