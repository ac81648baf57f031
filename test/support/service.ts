import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Environment } from '../../src/config/read.ts';
import { run, startCommand } from './command.ts';
import { assertNothingPrivate, secretsOf } from './log-secrets.ts';
import { callsOf, readLine, type Service, users } from './service-process.ts';

/**
 * Runs `apono-sentinel serve` in the process of the test, which trusts the emulators that it starts, and waits until it is
 * ready: the whole command with its threads, ports and files, for a third of the processor time of a process of its own.
 * A test that kills it, signals it or gives it variables that Node itself reads needs `startServiceProcess`.
 */
export async function startService(t: TestContext, env: Environment): Promise<Service> {
  const kept = new Set(secretsOf(env));
  const logs: Record<string, unknown>[] = [];
  const ready = Promise.withResolvers<ReturnType<typeof readLine>['ports']>();
  const { ended, signal, hangUp } = startCommand(['serve'], env, (text) => {
    for (const { entry, ports } of linesOf(text)) {
      logs.push(entry);
      if (ports !== null) ready.resolve(ports);
    }
  });
  async function end(): Promise<void> {
    signal('SIGTERM');
    const { exitCode, stdout, stderr } = await ended;
    assert.equal(exitCode, 0, JSON.stringify(logs));
    assertNothingPrivate(stdout + stderr, kept);
  }
  let ending: Promise<void> | null = null;
  const stop = (): Promise<void> => (ending ??= end());
  t.after(stop);
  const ports = await Promise.race([ready.promise, ended.then(() => null)]);
  if (ports === null) throw new Error(`the service ended before it was ready: ${JSON.stringify(logs)}`);
  users.set(env['DATA_DIR'] ?? '', stop);
  const keepOutOfLog = (texts: readonly string[]): void => {
    for (const text of texts) kept.add(text);
  };
  return { logs, keepOutOfLog, stop, hangUp, ...callsOf(ports, keepOutOfLog) };
}

/** Runs `apono-sentinel serve` in the process of the test, for a start that fails: to its end. */
export async function failToServe(env: Environment) {
  const { exitCode, stdout, stderr } = await run(['serve'], env);
  assertNothingPrivate(stdout + stderr, secretsOf(env));
  return { exitCode, logs: linesOf(stderr).map(({ entry }) => entry) };
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(readLine);
