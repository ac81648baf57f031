import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { variables } from '../../src/config/variables.ts';
import { type Composed, caddyImage, composeGenerations, makeComposed } from './compose.ts';
import { buildImage, mustRun, removeAll, waitUntil } from './docker.ts';
import { requestEvent } from './event.ts';
import { callHttps, type HttpsAnswer } from './https.ts';

const secret = 'a-secret-of-the-compose-test';
const endpoint = 'apono-sentinel-test.westeurope-1.ingest.monitor.azure.com';

test('the compose file loads as it is in a fresh clone, and passes every variable of the service', async () => {
  for (const [program = '', ...args] of await composeGenerations()) {
    const config = await mustRun(program, [...args, '--file', 'docker-compose.yml', 'config'], {
      env: { PATH: process.env['PATH'] },
    });
    for (const name of Object.keys(variables)) assert.match(config, new RegExp(`^ +${name}(_FILE)?:`, 'm'), name);
    assert.doesNotMatch(config, /APONO_WEBHOOK_SECRET:|AZURE_CLIENT_SECRET:/, 'these two come as files');
    assert.match(config, /TRUST_PROXY: 172\.30\.254\.0\/28/);
    assert.match(config, /image: caddy:2@sha256:/);
    assert.match(config, /BASE_IMAGE: node:24-bookworm-slim@sha256:/);
    assert.match(config, /subnet: 172\.30\.254\.0\/28/);
  }
});

test('the compose files mount the file that NODE_EXTRA_CA_CERTS names, at the path that the service is told', async () => {
  for (const [program = '', ...args] of await composeGenerations()) {
    for (const file of ['docker-compose.yml', 'deploy/compose.scale.yml']) {
      const config = (env: Readonly<Record<string, string>>) =>
        mustRun(program, [...args, '--project-directory', '.', '--file', file, 'config'], {
          env: { PATH: process.env['PATH'], ...env },
        });
      const ca = '/etc/ssl/certs/our-proxy.pem';
      const named = await config({ NODE_EXTRA_CA_CERTS: ca });
      assert.match(named, new RegExp(`NODE_EXTRA_CA_CERTS: ${ca}$`, 'm'));
      assert.match(named, new RegExp(`${ca}:${ca}:ro|source: ${ca}\\s+target: ${ca}\\s+read_only: true`));
      assert.doesNotMatch(await config({}), /NODE_EXTRA_CA_CERTS: ['"]?\//);
    }
  }
});

describe('docker compose up', () => {
  let composed: Composed;
  let caPem: string;

  before(async () => {
    await removeAll();
    await buildImage();
    const [generation = []] = await composeGenerations();
    composed = await makeComposed({
      generation,
      caddy: await caddyImage('caddy:2'),
      secret,
      unreachable: [endpoint, 'login.microsoftonline.com'],
      dotEnv: [
        `LOGS_INGESTION_ENDPOINT=https://${endpoint}`,
        'DATA_COLLECTION_RULE_ID=dcr-00000000000000000000000000000000',
        'AZURE_TENANT_ID=11111111-1111-1111-1111-111111111111',
        'AZURE_CLIENT_ID=22222222-2222-2222-2222-222222222222',
        // The host's own address on the network: taken only where the service believes Caddy about its callers.
        'ALLOWED_CIDRS=172.30.254.1/32',
        'LOG_LEVEL=debug',
      ],
    });
    // What an aborted run left would hold the ports and the network.
    await composed.mustCompose('down', '--volumes', '--remove-orphans');
    await composed.mustCompose('up', '--detach', '--no-build');
    await waitUntil(logs, async () => {
      caPem = await composed.mustCompose('exec', '-T', 'caddy', 'cat', '/data/caddy/pki/authorities/local/root.crt');
      return (await post(requestEvent('first'))).status === 200;
    });
  });
  after(async () => {
    await composed?.remove();
    await removeAll();
  });

  test('takes a webhook over HTTPS with a certificate of its own, and answers 200 while Azure cannot be reached', async () => {
    const answer = await post(requestEvent('1'));
    assert.equal(answer.status, 200);
    assert.match(answer.body, /"status":"accepted"/);
    const byOtherHeader = await callHttps({
      path: '/apono/webhook',
      caPem,
      headers: { 'x-webhook-secret': secret },
      body: JSON.stringify(requestEvent('2')),
    });
    assert.equal(byOtherHeader.status, 200);
  });

  test('answers 401 without the secret, and 413 to a body of 6 MB', async () => {
    assert.equal((await callHttps({ path: '/apono/webhook', caPem, body: '{}' })).status, 401);
    assert.equal((await post({ filler: 'x'.repeat(6_000_000) })).status, 413);
  });

  test('passes nothing but the webhook, however the path is written', async () => {
    const paths = [
      '/',
      '/healthz',
      '/readyz',
      '/livez',
      '/metrics',
      '//healthz',
      '/apono/../healthz',
      '/apono/webhook/../../healthz',
      '/apono/webhook/%2e%2e/%2e%2e/healthz',
      '/apono/webhook%2f..%2f..%2fhealthz',
      '/apono/webhook/healthz',
    ];
    for (const path of paths) {
      for (const method of ['GET', 'POST']) {
        assert.equal((await callHttps({ path, caPem, method })).status, 404, `${method} ${path}`);
      }
    }
  });

  test('publishes 80 and 443 of Caddy and no port of the service', async () => {
    const container = await composed.mustCompose('ps', '--quiet', 'sentinel');
    const ports = await mustRun('docker', ['inspect', '--format', '{{json .HostConfig.PortBindings}}', container]);
    assert.ok(ports === '{}' || ports === 'null', ports);
    const redirect = await fetch('http://127.0.0.1/apono/webhook', {
      headers: { host: 'localhost' },
      redirect: 'manual',
    });
    assert.equal(redirect.status, 308);
  });

  test('counts failures by the address that Caddy saw, whatever the caller claims', async () => {
    const guess = (claimed: string): Promise<HttpsAnswer> =>
      callHttps({
        path: '/apono/webhook',
        caPem,
        headers: { authorization: 'Bearer wrong wrong wrong', 'x-forwarded-for': claimed },
      });
    const statuses = new Set<number>();
    for (let number = 0; number < 120; number += 1) statuses.add((await guess(`203.0.113.${number}`)).status);
    assert.deepEqual([...statuses].sort(), [401, 429]);
    assert.equal((await post(requestEvent('after guesses'))).status, 200, 'the right secret is never limited');
  });

  test('a request that comes while the service restarts waits for it', async () => {
    await composed.mustCompose('stop', 'sentinel');
    // Before 2.11.2 Caddy loses the body when it tries again (caddyserver/caddy#7546): there, one without a body.
    const repeatsBodies = isAtLeast(await composed.mustCompose('exec', '-T', 'caddy', 'caddy', 'version'), [2, 11, 2]);
    const waiting = repeatsBodies
      ? post(requestEvent('4'))
      : callHttps({ path: '/apono/webhook', caPem, method: 'GET' });
    await composed.mustCompose('start', 'sentinel');
    assert.equal((await waiting).status, repeatsBodies ? 200 : 405);
  });

  test('no log holds the secret, even when Caddy cannot reach the service', async () => {
    await composed.mustCompose('stop', 'sentinel');
    const answers = await Promise.all([
      post(requestEvent('3')),
      callHttps({ path: '/apono/webhook', caPem, headers: { 'x-webhook-secret': secret }, body: '{}' }),
    ]);
    for (const { status } of answers) assert.ok(status === 502 || status === 503, String(status));
    const text = await logs();
    assert.match(text, /"uri":"\/apono\/webhook"/, 'Caddy did write a line about them');
    assert.ok(!text.includes(secret));
  });

  function post(event: object): Promise<HttpsAnswer> {
    return callHttps({
      path: '/apono/webhook',
      caPem,
      headers: { authorization: `Bearer ${secret}` },
      body: JSON.stringify(event),
    });
  }

  async function logs(): Promise<string> {
    const { stdout, stderr } = await composed.compose('logs', '--no-color');
    return `${stdout}\n${stderr}`;
  }
});

/** `v2.11.2 h1:…` or `2.6.2`. */
function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  const difference = wanted.findIndex((part, index) => part !== parts[index]);
  return difference === -1 || (parts[difference] ?? 0) > (wanted[difference] ?? 0);
}
