import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Emulator } from '../emulator/emulator.ts';
import type { CommandContext } from './context.ts';

export interface DemoService {
  readonly webhookUrl: URL;
  /** Resolves when the process has ended. */
  readonly exited: Promise<unknown>;
  stop(): Promise<void>;
}

/** The demo prints it: it protects nothing. */
export const DEMO_SECRET = 'demo-secret-of-no-value';

/** What a Node process needs from its environment. No variable of the service is inherited: each demo is the same. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SYSTEMROOT', 'NODE_COMPILE_CACHE'];

/**
 * Starts the real service in a process of its own, with a fresh data folder that is removed at the end. Its log lines
 * that are worse than `info` go to stderr. Rejects when the service ends before it is ready.
 */
export async function startDemoService(context: CommandContext, emulator: Emulator): Promise<DemoService> {
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-demo-'));
  const caFile = path.join(folder, 'ca.pem');
  await writeFile(caFile, emulator.caPem);
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, 'serve'], {
    env: {
      ...Object.fromEntries(INHERITED.map((name) => [name, context.env[name]])),
      ...emulator.environment,
      HOST: '127.0.0.1',
      PORT: '0',
      ADMIN_PORT: '0',
      APONO_WEBHOOK_SECRET: DEMO_SECRET,
      NODE_EXTRA_CA_CERTS: caFile,
      DATA_DIR: path.join(folder, 'data'),
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const ready = Promise.withResolvers<number>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    const entry = logEntry(line);
    if (entry['message'] === 'ready' && typeof entry['port'] === 'number') ready.resolve(entry['port']);
    else if (entry['level'] !== 'info') context.stderr.write(`${line}\n`);
  });
  void exited.then((code) => ready.reject(new Error(`the service ended with exit code ${code} before it was ready`)));
  async function stop(): Promise<void> {
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  }
  try {
    const port = await ready.promise;
    return { webhookUrl: new URL(`http://127.0.0.1:${port}/apono/webhook`), exited, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function logEntry(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}
