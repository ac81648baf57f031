import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { runCli } from '../../src/commands/cli.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { assertNothingPrivate, secretsOf } from './log-secrets.ts';
import { callsOf, readLine, type Service, users } from './service-process.ts';

/**
 * Runs `apono-sentinel serve` in the process of the test, which trusts the emulators that it starts, and waits until it is
 * ready: the whole command with its threads, ports and files, for a third of the processor time of a process of its own.
 * A test that kills it, signals it or gives it variables that Node itself reads needs `startServiceProcess`.
 */
export async function startService(t: TestContext, env: Record<string, string | undefined>): Promise<Service> {
  const kept = new Set(secretsOf(env));
  const logs: Record<string, unknown>[] = [];
  const listeners = new Set<(signal: 'SIGTERM') => void>();
  const ready = Promise.withResolvers<ReturnType<typeof readLine>['ports']>();
  let written = '';
  let hangUp = () => {};
  const write = (text: string): void => {
    written += text;
    for (const line of text.split('\n').filter((each) => each !== '')) {
      const { entry, ports } = readLine(line);
      logs.push(entry);
      if (ports !== null) ready.resolve(ports);
    }
  };
  const context: CommandContext = {
    env,
    stdout: { write },
    stderr: { write },
    version: '1.2.3',
    onSignal(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onHangup: (listener) => {
      hangUp = listener;
    },
    exitNow: (code) => write(`exitNow(${code})`),
  };
  const ended = runCli(['serve'], context).finally(() => ready.resolve(null));
  async function end(): Promise<void> {
    for (const listener of listeners) listener('SIGTERM');
    assert.equal(await ended, 0, JSON.stringify(logs));
    assertNothingPrivate(written, kept);
  }
  let ending: Promise<void> | null = null;
  const stop = (): Promise<void> => (ending ??= end());
  t.after(stop);
  const ports = await ready.promise;
  if (ports === null) throw new Error(`the service ended before it was ready: ${JSON.stringify(logs)}`);
  users.set(env['DATA_DIR'] ?? '', stop);
  const keepOutOfLog = (texts: readonly string[]): void => {
    for (const text of texts) kept.add(text);
  };
  return { logs, keepOutOfLog, stop, hangUp: () => hangUp(), ...callsOf(ports, keepOutOfLog) };
}
