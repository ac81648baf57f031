import type { Environment } from '../config/read.ts';

/** Something that takes text: process.stdout in main.ts, a list in a test. */
export interface TextOutput {
  write(text: string): unknown;
  /** It is a terminal, so many columns wide. */
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Exit code of a command: done, it failed, wrong usage or configuration. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** All that a command gets from the process. main.ts makes it; nothing else reads process.env or process.argv. */
export interface CommandContext {
  readonly env: Environment;
  /** For results. */
  readonly stdout: TextOutput;
  /** For logs, problems and notes. */
  readonly stderr: TextOutput;
  /** Asks the person at the terminal; empty when there was no answer. Absent where nobody is there to be asked. */
  readonly ask?: (question: string) => Promise<string>;
  /** Of the service, as in package.json. */
  readonly version: string;
  /**
   * Calls `listener` for each SIGINT and SIGTERM, until the returned function is called. While nobody listens, a signal
   * ends the process as Node does by itself.
   */
  onSignal(listener: (signal: 'SIGINT' | 'SIGTERM') => void): () => void;
  /** Ends the process at once, whatever is open. Only for a second signal or a stop that takes too long. */
  exitNow(code: number): void;
}
