import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { generate } from 'selfsigned';
import { run, spawnCli } from '../commands/support.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { heartbeatStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles } from '../support/service-process.ts';

const dayMs = 86_400_000;

async function environment(t: TestContext, emulator: Emulator): Promise<Record<string, string>> {
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

async function writePair(file: string, days: number): Promise<void> {
  const pair = await generate([{ name: 'commonName', value: 'apono-sentinel' }], {
    keySize: 2048,
    notBeforeDate: new Date(Date.now() - 60 * dayMs),
    notAfterDate: new Date(Date.now() + days * dayMs),
  });
  await writeFile(file, `${pair.cert}\n${pair.private}`);
}

test('the end of a certificate is a problem in /healthz, a metric and a column, and follows the file when it is renewed', async (t) => {
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const certificate = path.join(files.folder, 'client.pem');
  await writePair(certificate, -1);
  const { AZURE_CLIENT_SECRET: _, ...env } = serviceEnv(emulator, files);
  const variables = { ...env, AZURE_CLIENT_CERTIFICATE_PATH: certificate, HEARTBEAT_INTERVAL_MINUTES: '1' };
  const checked = await run(['check'], variables);
  assert.equal(checked.exitCode, 2);
  assert.match(checked.stderr, /AZURE_CLIENT_CERTIFICATE_PATH: names a certificate that expired on .*make a new one/);

  // It starts all the same: what it takes now waits at the worst, and would be lost if it did not run.
  const service = await startService(t, variables);
  const told = service.logs.find(({ variable }) => variable === 'AZURE_CLIENT_CERTIFICATE_PATH');
  assert.equal(told?.['level'], 'error');
  const health = async () => {
    const answer = await fetch(service.url('/healthz'));
    const body = (await answer.json()) as {
      status: string;
      problems: { code: string; message: string; fix: string }[];
    };
    return { status: body.status, codes: body.problems.map(({ code }) => code), problems: body.problems };
  };
  const metric = async () => {
    const text = await fetch(`http://127.0.0.1:${service.adminPort}/metrics`).then((answer) => answer.text());
    return Number(/^apono_sentinel_credential_expiry_timestamp_seconds (\S+)$/m.exec(text)?.[1]);
  };
  assert.deepEqual((await health()).codes, ['credential_expired']);
  const before = await metric();
  assert.ok(before > 0 && before * 1000 < Date.now());
  await eventually(() => emulator.rowCount(heartbeatStream) > 0);
  const [row] = emulator.rows(heartbeatStream);
  assert.equal(row?.['credential_expires_at'], new Date(before * 1000).toISOString());

  await writePair(certificate, 20);
  const soon = await health();
  assert.deepEqual([soon.status, soon.codes], ['degraded', ['credential_expires_soon']]);
  assert.match(soon.problems[0]?.message ?? '', /expires on \d{4}-/);
  assert.match(soon.problems[0]?.fix ?? '', /AZURE_CLIENT_CERTIFICATE_PATH/);
  assert.ok((await metric()) * 1000 > Date.now());
  await writePair(certificate, 365);
  assert.deepEqual((await health()).codes, []);
});

test('AZURE_CLIENT_SECRET_EXPIRES makes /healthz degraded from 30 days before', async (t) => {
  const emulator = await startTestEmulator(t);
  const codesAt = async (days: number) => {
    const ends = new Date(Date.now() + days * dayMs).toISOString().slice(0, 10);
    const service = await startService(t, {
      ...(await environment(t, emulator)),
      AZURE_CLIENT_SECRET_EXPIRES: ends,
    });
    const answer = await fetch(service.url('/healthz'));
    const { problems } = (await answer.json()) as { problems: { code: string }[] };
    return [answer.status, ...problems.map(({ code }) => code)];
  };
  assert.deepEqual(await codesAt(10), [200, 'credential_expires_soon']);
  assert.deepEqual(await codesAt(40), [200]);
});

test('serve and check name a proxy that cannot be one, exit 2, and show no password', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = await environment(t, emulator);
  for (const [name, value] of [
    ['ALL_PROXY', 'socks5://bob:hunter2pw@127.0.0.1:1080'],
    ['https_proxy', 'http://bob:hunter2pw@127.0.0.1:port'],
  ] as const) {
    const checked = await run(['check'], { ...env, [name]: value });
    assert.equal(checked.exitCode, 2, checked.stdout);
    assert.match(checked.stderr, new RegExp(`^${name}: `, 'm'));
    const served = await run(['serve'], { ...env, [name]: value });
    assert.equal(served.exitCode, 2);
    for (const { stdout, stderr } of [checked, served]) assert.ok(!`${stdout}${stderr}`.includes('hunter2pw'));
  }
});

test('serve delivers, and check --live asks, through a proxy as people write it', async (t) => {
  const emulator = await startTestEmulator(t);
  const proxy = await startConnectProxy(t, { login: 'CORP\\bob:p#w@/d' });
  const env = { ...(await environment(t, emulator)), HTTPS_PROXY: `CORP\\bob:p#w@/d@127.0.0.1:${proxy.port}` };
  const { exitCode, stdout, stderr } = await run(['check', '--live', '--json'], env);
  assert.equal(exitCode, 0, stdout + stderr);
  assert.match(
    stdout,
    new RegExp(`is asked through http://127.0.0.1:${proxy.port} \\(HTTPS_PROXY, with user and pass`),
  );
  assert.ok(!/p#w|CORP/.test(stdout + stderr));
  const tunnels = proxy.tunnels.length;
  assert.ok(tunnels > 0);
  const service = await startService(t, { ...env, HEARTBEAT_INTERVAL_MINUTES: '1' });
  service.keepOutOfLog(['p#w']);
  await eventually(() => emulator.rowCount(heartbeatStream) > 0);
  assert.ok(proxy.tunnels.length > tunnels);
  assert.equal(new Set(proxy.logins).size, 1);
});

test('a server with Azure Arc whose key cannot be read is told of the group himds', async (t) => {
  const emulator = await startTestEmulator(t);
  const agent = createServer((_, answer) => {
    const challenge = 'Basic realm=/var/opt/azcmagent/tokens/00000000-not-there.key';
    answer.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  agent.listen(0, '127.0.0.1');
  await once(agent, 'listening');
  t.after(() => void agent.close());
  const address = agent.address();
  assert.ok(address !== null && typeof address === 'object');
  const { AZURE_TENANT_ID: _t, AZURE_CLIENT_ID: _c, AZURE_CLIENT_SECRET: _s, ...env } = await environment(t, emulator);
  // In a process of its own, since MSAL reads these variables from the process.
  const { exitCode, stdout } = await spawnCli(['check', '--live'], {
    ...env,
    IDENTITY_ENDPOINT: `http://127.0.0.1:${address.port}/metadata/identity/oauth2/token`,
    IMDS_ENDPOINT: `http://127.0.0.1:${address.port}`,
  });
  assert.equal(exitCode, 1);
  const said = stdout.replace(/\s+/g, ' ');
  assert.match(
    said,
    /sign-in to Azure was refused: Azure Arc at 127\.0\.0\.1:\d+ asks for the key in \/var\/opt\/azcmagent/,
  );
  assert.match(said, /Fix: .*group himds.*container/);
  assert.doesNotMatch(said, /does not answer/);
});
