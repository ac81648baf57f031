import { runCli } from '../../src/commands/cli.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import type { Environment } from '../../src/config/read.ts';

export interface Run {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly stdout: () => string;
  readonly stderr: () => string;
  signal(name: 'SIGINT' | 'SIGTERM'): void;
  hangUp(): void;
  /** Resolves when the command has ended. What it leaves open keeps the process of the test from ending. */
  readonly ended: Promise<Run>;
}

/**
 * Runs a command in this process, which trusts the emulators that its tests start: all of it but src/main.ts, for a third
 * of the processor time of a process of its own. `onStderr` gets all that it writes there.
 */
export function startCommand(
  args: readonly string[],
  env: Environment,
  onStderr: (text: string) => void = () => {},
): RunningCommand {
  let stdout = '';
  let stderr = '';
  const listeners = new Set<(signal: 'SIGINT' | 'SIGTERM') => void>();
  let hangUp = () => {};
  const exited = Promise.withResolvers<number>();
  const context: CommandContext = {
    env,
    stdout: {
      write(text) {
        stdout += text;
      },
    },
    stderr: {
      write(text) {
        stderr += text;
        onStderr(text);
      },
    },
    version: '1.2.3',
    onSignal: (listener) => void listeners.add(listener),
    onHangup(listener) {
      hangUp = listener;
    },
    exitNow: exited.resolve,
  };
  const ended = Promise.race([runCli(args, context), exited.promise]);
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    signal(name) {
      for (const listener of listeners) listener(name);
    },
    hangUp: () => hangUp(),
    ended: ended.then((exitCode) => ({ exitCode, stdout, stderr })),
  };
}

/** Runs a command in this process to its end. */
export function run(args: readonly string[], env: Environment = {}): Promise<Run> {
  return startCommand(args, env).ended;
}
