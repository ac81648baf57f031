import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Emulator } from '../support/azure/emulator.ts';
import type { IncidentSource } from '../support/azure/incidents.ts';
import { sampleDetails, sampleIncidents } from '../support/azure/sample-incidents.ts';
import type { EmulatorOptions } from '../support/azure/state.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { mainFile, type Run } from './support.ts';

export interface Setup {
  readonly emulator: Emulator;
  readonly source: IncidentSource;
  /** All that the commands need, and nothing else. */
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  file(name: string): string;
}

export async function setUpIncidents(
  t: TestContext,
  count: number,
  options: Partial<EmulatorOptions> = {},
): Promise<Setup> {
  const emulator = await startTestEmulator(t, options);
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-incidents-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const caFile = path.join(folder, 'ca.pem');
  writeFileSync(caFile, emulator.caPem);
  const source = sampleIncidents({ count, workspaceId: emulator.workspaceResourceId });
  emulator.setIncidents(source);
  emulator.setIncidentDetails(sampleDetails(source));
  const env = {
    AZURE_TENANT_ID: emulator.tenantId,
    AZURE_CLIENT_ID: emulator.clientId,
    AZURE_CLIENT_SECRET: emulator.clientSecret,
    AZURE_AUTHORITY_HOST: emulator.origin,
    AZURE_RESOURCE_MANAGER_ENDPOINT: emulator.origin,
    SENTINEL_WORKSPACE_ID: emulator.workspaceResourceId,
    NODE_EXTRA_CA_CERTS: caFile,
  };
  return { emulator, source, env, folder, file: (name) => path.join(folder, name) };
}

export interface RunningCli {
  /** Sends the process a signal. */
  kill(signal: NodeJS.Signals): void;
  /** Closes our end of its stdout. */
  stopReading(): void;
  readonly ended: Promise<Run>;
}

/** The real command line in a process of its own, while it runs. Killed after the test. */
export function startCli(t: TestContext, args: readonly string[], env: Readonly<Record<string, string>>): RunningCli {
  const child = spawn(process.execPath, [mainFile, ...args], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Run>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
  return { kill: (signal) => void child.kill(signal), stopReading: () => void child.stdout.destroy(), ended };
}
