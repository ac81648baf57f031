import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Emulator } from './azure/emulator.ts';
import { azureEnv } from './emulator.ts';
import { endWithParent, killGroup } from './end-with-parent.ts';
import { assertNothingPrivate, privateTexts, secretsOf } from './log-secrets.ts';
import { nodeOptions } from './node-options.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const mainFile = path.join(root, 'src/main.ts');

export const SECRET = 'a-secret-for-the-tests';

export interface Service {
  readonly port: number;
  /** The port of metrics and the admin API. */
  readonly adminPort: number;
  /** Everything it logged, parsed where it is JSON. */
  readonly logs: Record<string, unknown>[];
  url(pathname: string): string;
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Response>;
  /** Texts that its log must not hold; `post` adds those of its bodies, and secrets are added by themselves. */
  keepOutOfLog(texts: readonly string[]): void;
  /** Sends SIGHUP. */
  hangUp(): void;
  /** Sends SIGTERM, as an orchestrator does; fails unless it ends in order. */
  stop(): Promise<void>;
}

export interface ServiceProcess extends Service {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  /** Resolves with exit code or signal when it has ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface ServiceFiles {
  readonly folder: string;
  readonly dataDir: string;
  readonly caFile: string;
}

/** How to end what still uses a folder, by its DATA_DIR: a service in the process of the test cannot be killed. */
export const users = new Map<string, () => Promise<void>>();

/** A folder for the data and the CA of the emulator, kept over restarts and removed after the test. */
export async function serviceFiles(t: TestContext, emulator: Emulator): Promise<ServiceFiles> {
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-service-'));
  t.after(async () => {
    await users.get(path.join(folder, 'data'))?.();
    // A service of its own process, which is killed after this, makes its lock anew while the folder is being removed.
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  const caFile = path.join(folder, 'ca.pem');
  await writeFile(caFile, emulator.caPem);
  return { folder, dataDir: path.join(folder, 'data'), caFile };
}

export function serviceEnv(emulator: Emulator, files: ServiceFiles): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    APONO_WEBHOOK_SECRET: SECRET,
    NODE_EXTRA_CA_CERTS: files.caFile,
    DATA_DIR: files.dataDir,
    FLUSH_INTERVAL_MS: '50',
    ...azureEnv(emulator),
  };
}

/**
 * Runs `apono-sentinel serve` as an operator does and waits until it is ready. It is killed after the test. `main`: of
 * which version.
 */
export async function startServiceProcess(
  t: TestContext,
  env: Record<string, string | undefined>,
  main = mainFile,
): Promise<ServiceProcess> {
  const running = spawnService(t, env, { command: process.execPath, args: [...nodeOptions(), main, 'serve'] });
  const ready = await Promise.race([running.ready, running.exited.then(() => null)]);
  if (ready === null) throw new Error(`the service ended before it was ready: ${JSON.stringify(running.logs)}`);
  return {
    ...running,
    ...callsOf(ready, running.keepOutOfLog),
    hangUp: () => void running.child.kill('SIGHUP'),
    async stop() {
      running.child.kill('SIGTERM');
      assert.deepEqual(await running.exited, { code: 0, signal: null });
    },
  };
}

type Ports = Pick<Service, 'port' | 'adminPort'>;

/** What a test asks of a service that listens there. */
export function callsOf({ port, adminPort }: Ports, keepOutOfLog: Service['keepOutOfLog']) {
  const url = (pathname: string) => `http://127.0.0.1:${port}${pathname}`;
  return {
    port,
    adminPort,
    url,
    post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Response> {
      keepOutOfLog(privateTexts(body));
      return fetch(url('/apono/webhook'), {
        method: 'POST',
        body,
        headers: { authorization: `Bearer ${SECRET}`, ...headers },
      });
    },
  };
}

/** A line of the log; `ports` where it says that the service is ready. */
export function readLine(line: string) {
  const entry = line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : { text: line };
  const isReady = 'message' in entry && entry['message'] === 'ready';
  const ports: Ports | null = isReady ? { port: Number(entry['port']), adminPort: Number(entry['admin_port']) } : null;
  return { entry, ports };
}

/**
 * The same without waiting: for starts that fail. When the test is over, everything that the process wrote is searched
 * for secrets, tokens, e-mail addresses and what it was sent, and the test fails if any is found.
 */
export function spawnService(
  t: TestContext,
  env: Record<string, string | undefined>,
  { command, args } = { command: process.execPath, args: [...nodeOptions(), mainFile, 'serve'] },
) {
  // A process group of its own, so that a test can signal it as a terminal does.
  const child = spawn(command, args, { env, cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  endWithParent(child);
  const logs: Record<string, unknown>[] = [];
  const kept = new Set(secretsOf(env));
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  const ready = Promise.withResolvers<Ports>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    const { entry, ports } = readLine(line);
    logs.push(entry);
    if (ports !== null) ready.resolve(ports);
  });
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  t.after(async () => {
    killGroup(child);
    await exited;
    assertNothingPrivate(stdout + stderr, kept);
  });
  return {
    child,
    logs,
    stdout: () => stdout,
    exited,
    ready: ready.promise,
    /** Texts that the log must not hold, beside the secrets of the environment. */
    keepOutOfLog(texts: readonly string[]) {
      for (const text of texts) kept.add(text);
    },
  };
}
