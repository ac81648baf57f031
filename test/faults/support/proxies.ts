import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeCertificate } from '../../../src/emulator/certificate.ts';
import { freePort } from '../../support/free-port.ts';
import { callProxy } from './proxy-client.ts';

export interface Proxy {
  /** Where it takes HTTPS, on 127.0.0.1. */
  readonly port: number;
  /** Everything that it wrote. */
  log(): string;
}

export interface ProxyKind {
  readonly name: string;
  /** Why it cannot be tested here; false when it can. */
  readonly missing: string | false;
  /** Why a request cannot wait in it while the service restarts; false when it can. */
  readonly cannotWait: string | false;
  /** Starts it as deploy/ has it, on ports of this test, in front of `servicePort`. It is stopped after the test. */
  start(t: TestContext, servicePort: number): Promise<Proxy>;
}

/** Why there can be no test behind nginx here; false when there can. */
export const nginxMissing = reasonWithout('nginx', '-v');

export const proxyKinds: readonly ProxyKind[] = [
  { name: 'nginx', missing: nginxMissing, cannotWait: false, start: startNginx },
  { name: 'HAProxy', missing: reasonWithout('haproxy', '-v'), cannotWait: false, start: startHaproxy },
  { name: 'Caddy', missing: reasonWithout('caddy', 'version'), cannotWait: oldCaddy(), start: startCaddy },
];

function reasonWithout(program: string, ask: string): string | false {
  const found = spawnSync(program, [ask]).status === 0;
  return found ? false : `there is no ${program} here: apt-get install --no-install-recommends ${program}`;
}

/** Before 2.11.2 it has lost the body when it tries a second time, and answers 502. */
function oldCaddy(): string | false {
  const { stdout } = spawnSync('caddy', ['version'], { encoding: 'utf8' });
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const isOld = Number(major) * 1e6 + Number(minor) * 1e3 + Number(patch) < 2_011_002;
  return isOld ? `Caddy ${major}.${minor}.${patch} cannot send a body again, 2.11.2 can` : false;
}

const deployed = (file: string) => readFile(fileURLToPath(new URL(`../../../deploy/${file}`, import.meta.url)), 'utf8');

/** Fails where the file in deploy/ has changed so that this cannot be put in its place any more. */
function put(text: string, pattern: RegExp, replacement: string): string {
  if (!pattern.test(text)) throw new Error(`${pattern} does not stand in the example any more`);
  return text.replace(pattern, replacement);
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-proxy-'));
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

function startNginx(t: TestContext, servicePort: number): Promise<Proxy> {
  return runNginx(t, 'nginx/apono-sentinel.conf', (site) =>
    put(site, /server 127\.0\.0\.1:8080 /, `server 127.0.0.1:${servicePort} `),
  );
}

/** nginx as deploy/ has it for replicas; `rounds`: instead of 20, after which it gives up. */
export function startReplicasNginx(
  t: TestContext,
  ports: readonly [number, number, number],
  { rounds = 20 } = {},
): Promise<Proxy> {
  return runNginx(t, 'nginx/apono-sentinel-replicas.conf', (text) => {
    let site = put(text, /x\{20\}/, `x{${rounds}}`);
    for (const [index, port] of ports.entries()) {
      site = put(site, new RegExp(`server 10\\.0\\.0\\.1${index + 1}:8080 `, 'g'), `server 127.0.0.1:${port} `);
    }
    return site;
  });
}

async function runNginx(t: TestContext, file: string, place: (site: string) => string): Promise<Proxy> {
  const folder = await temporaryFolder(t);
  const [port, httpPort, retryPort] = [await freePort(), await freePort(), await freePort()];
  const { certPem, keyPem } = await makeCertificate(['localhost']);
  await writeFile(path.join(folder, 'cert.pem'), certPem);
  await writeFile(path.join(folder, 'key.pem'), keyPem);
  let site = place(await deployed(file));
  site = put(site, / {4}listen \[::\].*\n/g, '');
  site = put(site, /listen 443 ssl/g, `listen 127.0.0.1:${port} ssl`);
  site = put(site, /listen 80;/g, `listen 127.0.0.1:${httpPort};`);
  site = put(site, /\/etc\/letsencrypt\/\S+\/fullchain\.pem/g, `${folder}/cert.pem`);
  site = put(site, /\/etc\/letsencrypt\/\S+\/privkey\.pem/g, `${folder}/key.pem`);
  site = put(site, /127\.0\.0\.1:8079/g, `127.0.0.1:${retryPort}`);
  await writeFile(path.join(folder, 'site.conf'), site);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const lines = [
    // Its workers would be another user's else, whom the folder is closed to.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    `daemon off; pid ${folder}/nginx.pid; error_log stderr info; worker_processes 1;`,
    'events { worker_connections 768; }',
    `http { access_log ${folder}/access.log; ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}`,
    `include ${folder}/site.conf; }`,
  ];
  await writeFile(path.join(folder, 'nginx.conf'), lines.join('\n'));
  const nginx = spawn('nginx', ['-p', folder, '-c', path.join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return whenReady(t, nginx, port);
}

async function startHaproxy(t: TestContext, servicePort: number): Promise<Proxy> {
  const folder = await temporaryFolder(t);
  const port = await freePort();
  const { certPem, keyPem } = await makeCertificate(['localhost']);
  await writeFile(path.join(folder, 'both.pem'), `${certPem}\n${keyPem}\n`);
  let file = await deployed('haproxy/haproxy.cfg');
  file = put(file, /127\.0\.0\.1:8080 /, `127.0.0.1:${servicePort} `);
  file = put(file, /bind :443 ssl crt \S+/, `bind 127.0.0.1:${port} ssl crt ${folder}/both.pem`);
  file = put(file, / {4}bind :80\n/, '');
  await writeFile(path.join(folder, 'haproxy.cfg'), file);
  const haproxy = spawn('haproxy', ['-db', '-f', path.join(folder, 'haproxy.cfg')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return whenReady(t, haproxy, port);
}

async function startCaddy(t: TestContext, servicePort: number): Promise<Proxy> {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, 'data'));
  const [port, httpPort] = [await freePort(), await freePort()];
  let file = await deployed('caddy/Caddyfile');
  file = put(file, /sentinel:8080/g, `127.0.0.1:${servicePort}`);
  file = put(
    file,
    /admin off\n/,
    `admin off\n\thttp_port ${httpPort}\n\thttps_port ${port}\n\tdefault_bind 127.0.0.1\n`,
  );
  await writeFile(path.join(folder, 'Caddyfile'), file);
  const caddy = spawn('caddy', ['run', '--config', path.join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], {
    env: { PATH: process.env['PATH'], HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return whenReady(t, caddy, port);
}

async function whenReady(t: TestContext, child: ChildProcess, port: number): Promise<Proxy> {
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      log += String(chunk);
    });
  }
  const exited = once(child, 'close');
  t.after(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const deadline = performance.now() + 30_000;
  // A path that it does not pass on: asking leaves nothing behind at the service.
  while (!(await callProxy(port, { method: 'GET', path: '/' }).catch(() => null))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`it did not start: ${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { port, log: () => log };
}
