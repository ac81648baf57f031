import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export const image = 'apono-sentinel:test';

/** All that these tests make carries this label, so that what an aborted run left behind is found. */
const label = 'apono-sentinel.image-test';

/** A hardened container as Docker documents it, and as docs/deployment.md runs it. */
export const hardened = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeLimitMs?: number;
}

/** Runs a program to its end. A failure is an answer too; only a program that cannot start rejects. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: options.cwd ?? repository,
    env: options.env ?? process.env,
    timeout: options.timeLimitMs ?? 600_000,
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
    child.on('close', (exitCode, signal) => {
      resolve({ exitCode: exitCode ?? -1, stdout, stderr: signal === null ? stderr : `${stderr}\nended by ${signal}` });
    });
  });
}

/** Runs a program that must succeed, and gives what it printed. */
export async function mustRun(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await run(program, args, options);
  if (exitCode !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${exitCode}:\n${stdout}\n${stderr}`);
  return stdout.trim();
}

export function docker(...args: string[]): Promise<string> {
  return mustRun('docker', args);
}

/** `docker run` with the label. Detached containers print their id. */
export function dockerRun(...args: string[]): Promise<Finished> {
  return run('docker', ['run', '--label', label, ...args]);
}

/** The image as our files pin it: `caddy:2` → `caddy:2@sha256:…`. */
export function pinnedImage(name: string): string {
  const files = ['Dockerfile', 'docker-compose.yml', 'deploy/compose.scale.yml'];
  const text = files.map((file) => readFileSync(join(repository, file), 'utf8')).join('\n');
  const [pinned] = new RegExp(`\\b${name}@sha256:[0-9a-f]{64}\\b`).exec(text) ?? [];
  if (pinned === undefined) throw new Error(`no file pins ${name}`);
  return pinned;
}

/** Whether the image is here, or can be pulled. */
export async function hasImage(name: string): Promise<boolean> {
  for (const args of [
    ['image', 'inspect', name],
    ['pull', '--quiet', name],
  ]) {
    if ((await run('docker', args)).exitCode === 0) return true;
  }
  return false;
}

/** Builds on the pinned base image; where no registry can be reached, on what somebody tagged as a stand-in for it. */
export async function buildImage(buildArgs: Readonly<Record<string, string>> = {}): Promise<void> {
  const tag = 'node:24-bookworm-slim';
  const base = (await hasImage(pinnedImage(tag))) ? {} : { BASE_IMAGE: tag };
  const args = Object.entries({ ...base, ...buildArgs }).flatMap(([name, value]) => [
    '--build-arg',
    `${name}=${value}`,
  ]);
  await docker('build', '--tag', image, '--label', label, ...args, '.');
}

export async function createVolume(): Promise<string> {
  return docker('volume', 'create', '--label', label);
}

/** Removes the containers, the volumes and the superseded images of this test run and of runs that were aborted. */
export async function removeAll(): Promise<void> {
  const containers = await docker('ps', '--all', '--quiet', '--filter', `label=${label}`);
  if (containers !== '') await docker('rm', '--force', '--volumes', ...containers.split('\n'));
  const volumes = await docker('volume', 'ls', '--quiet', '--filter', `label=${label}`);
  if (volumes !== '') await docker('volume', 'rm', '--force', ...volumes.split('\n'));
  await docker('image', 'prune', '--force', '--filter', `label=${label}`);
}

/** Asks until the answer is yes; rejects with `what` when it never is. A question that fails is a no. */
export async function waitUntil(
  what: () => string | Promise<string>,
  condition: () => Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  let last: unknown = null;
  while (performance.now() < deadline) {
    try {
      if (await condition()) return;
      last = null;
    } catch (error) {
      last = error;
    }
    await delay(100);
  }
  throw new Error(`not within ${limitMs} ms: ${await what()}`, { cause: last });
}
