import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Run } from '../support/command.ts';

export const secret = 'correct-horse-battery';

/** Variables with which `check` has nothing to complain about. */
export const validEnv: Readonly<Record<string, string>> = {
  APONO_WEBHOOK_SECRET: secret,
  LOGS_INGESTION_ENDPOINT: 'https://apono-a1b2.westeurope-1.ingest.monitor.azure.com',
  DATA_COLLECTION_RULE_ID: 'dcr-0123456789abcdef0123456789abcdef',
  // As in Azure, where a managed identity signs in.
  IDENTITY_ENDPOINT: 'http://localhost:42356/msi/token',
};

export { type Run, run } from '../support/command.ts';

type Env = Readonly<Record<string, string>>;

export const mainFile = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Runs the real command line in a process of its own, with these variables and no others of ours, in the folder `cwd`. */
export function spawnCli(args: readonly string[], env: Env = {}, cwd?: string): Promise<Run> {
  const child = spawn(process.execPath, [mainFile, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
}

/** What `check --live` prints, each finding on one line. */
export function findingsOf({ stdout }: Run): string {
  return stdout.replaceAll(/\n {8}/g, ' ');
}
