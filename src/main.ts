#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { dirname } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { setFlagsFromString } from 'node:v8';
import type { CommandContext } from './commands/context.ts';

// SIGUSR1 makes Node open its inspector, through which whoever reaches it runs code and reads the secrets. `npm start` and
// the image have the option --disable-sigusr1; this is for a process that is started in any other way.
process.on('SIGUSR1', () => {});

// Under load V8 lets the heap's young generation grow to over 100 MB and never gives them back (test/faults/outage.test.ts).
// `npm start` and the image bound it by --max-semi-space-size, which Node takes at its start only. Without that option the
// young generation is kept as small as it begins, for all threads, which takes about a quarter more of the processor.
const nodeOptions = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''];
if (!nodeOptions.some((option) => option.includes('--max-semi-space-size'))) {
  setFlagsFromString('--semi-space-growth-factor=1');
}

// So little survives in it that V8's four helpers cost more than they spare; on one or two processors the main thread
// waits for them.
setFlagsFromString('--no-parallel-scavenge');

// Before anything large is loaded; a folder that cannot be written only means a slower start. The variable tells the store
// thread, which then needs no compiler of its own: 40 MB less of memory.
const { directory } = enableCompileCache();
if (directory !== undefined) process.env['NODE_COMPILE_CACHE'] ??= dirname(directory);

const [{ runCli }, { default: manifest }] = await Promise.all([
  import('./commands/cli.ts'),
  import('../package.json', { with: { type: 'json' } }),
]);

const context: CommandContext = {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  // The question goes to stderr: stdout may be a file.
  ...(process.stdin.isTTY && process.stderr.isTTY && { ask }),
  version: manifest.version,
  onSignal: (listener) => void process.on('SIGINT', listener).on('SIGTERM', listener),
  // On Windows, and from a terminal, it means that the window was closed, and the process ends as by default.
  ...(process.platform !== 'win32' &&
    !process.stdin.isTTY && { onHangup: (listener: () => void) => void process.on('SIGHUP', listener) }),
  exitNow: (code) => process.exit(code),
};

function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = terminal.question(question);
  // Ctrl-C and Ctrl-D close it without an answer, which rejects.
  return answer.catch(() => '').finally(() => terminal.close());
}

const outputs = [process.stdout, process.stderr];

// The reader of `… | head` going away is its right, not a crash.
for (const stream of outputs) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

try {
  process.exitCode = await runCli(process.argv.slice(2), context);
} catch (error) {
  if (error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd') {
    // Libraries ask for the working folder when they are loaded.
    const problem = 'The working folder of this process was deleted, and a relative DATA_DIR with it';
    context.stderr.write(`${problem}: start it in a folder that exists.\n`);
    process.exitCode = 2;
  } else {
    // A defect, or something that no command expected. The stack says where, and holds no request.
    context.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
}

// What was written to a pipe would be cut off by the exit: each resolves when all of it has been handed over, or cannot be.
await Promise.all(outputs.map((stream) => new Promise((resolve) => void stream.write('', resolve))));
// Node takes its handlers of signals away while it ends by itself, and npm's copy of a signal that comes just then would
// make an orderly end a killed one; this keeps them.
process.exit();
