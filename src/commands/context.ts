import type { Command } from 'commander';
import type { Environment } from '../config/read.ts';
import type { ConfigProblem } from '../config/variable.ts';

/** Something that takes text: process.stdout in main.ts, a list in a test. */
export interface TextOutput {
  write(text: string): unknown;
  /** It is a terminal of so many columns and rows. */
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Exit code of a command: done, it failed, wrong usage or configuration. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** All that a command gets from the process. main.ts makes it; nothing else reads process.env or process.argv. */
export interface CommandContext {
  readonly env: Environment;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** Asks the person at the terminal; empty when there was no answer. Absent where nobody is there to be asked. */
  readonly ask?: (question: string) => Promise<string>;
  readonly version: string;
  /** Calls `listener` for each SIGINT and SIGTERM. While nobody listens, a signal ends the process as Node does by itself. */
  onSignal(listener: (signal: 'SIGINT' | 'SIGTERM') => void): void;
  /** Calls `listener` for each SIGHUP. Absent where that signal does not mean "read your files again". */
  readonly onHangup?: (listener: () => void) => void;
  /** Ends the process at once, whatever is open. Only for a second signal or a stop that takes too long. */
  exitNow(code: number): void;
}

/** What the file of a command exports. The list of all commands is in cli.ts. */
export interface CommandFile {
  /** Adds description, arguments and options. */
  define(command: Command): Command;
  /** Gets the arguments in order, then the options. Gives the exit code. */
  run(context: CommandContext, ...given: never[]): number | Promise<number>;
}

/** Thrown by a command, it is the command's end: cli.ts prints the message to stderr, escaped by `printable`. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function failed(message: string): CommandError {
  return new CommandError(exitCodes.failed, message);
}

export function wrongUsage(message: string): CommandError {
  return new CommandError(exitCodes.usage, `error: ${message}`);
}

export function misconfigured(problems: readonly ConfigProblem[]): CommandError {
  return new CommandError(exitCodes.usage, problemsText(problems));
}

/** `NAME: what is wrong`, one a line, and how many, or how to see the options where it is only about those. */
export function problemsText(problems: readonly ConfigProblem[]): string {
  const lines = problems.map(({ name, message }) => `${name}: ${message}\n`).join('');
  if (problems.every(({ name }) => name.startsWith('--'))) return `${lines}(--help lists what there is)`;
  return `${lines}${problems.length === 1 ? '1 problem' : `${problems.length} problems`} in the configuration`;
}

export function reportWarnings(output: TextOutput, warnings: readonly ConfigProblem[]): void {
  for (const { name, message } of warnings) output.write(`warning: ${name}: ${message}\n`);
}

export interface JsonOption {
  readonly json?: boolean;
}

export function printResult({ stdout }: CommandContext, { json }: JsonOption, value: object, text: string): void {
  stdout.write(json === true ? `${JSON.stringify(value, null, 2)}\n` : text);
}

/** npm passes a signal on that its process group got as well, so that one Ctrl-C comes twice. */
const sameSignalMs = 1_000;

/** Calls `stop` for the first SIGINT or SIGTERM. One that comes a second later ends the process, after `onSecond`. */
export function onFirstSignal(
  { onSignal, exitNow }: CommandContext,
  stop: (signal: string) => void,
  onSecond: (signal: string) => void = () => {},
): void {
  let firstAt: number | null = null;
  onSignal((signal) => {
    const now = performance.now();
    if (firstAt === null) {
      firstAt = now;
      stop(signal);
    } else if (now - firstAt >= sameSignalMs) {
      onSecond(signal);
      exitNow(exitCodes.failed);
    }
  });
}
