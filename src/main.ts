#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { dirname } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import type { CommandContext } from './commands/context.ts';

// SIGUSR1 makes Node open its inspector, through which whoever reaches it runs code and reads the secrets. `npm start` and
// the image have the option --disable-sigusr1; this is for a process that is started in any other way.
process.on('SIGUSR1', () => {});

// Under load V8 lets the heap's young generation grow to over 100 MB, and never gives them back: an outage of an hour
// would show as memory for weeks (test/faults/outage.test.ts). `npm start` and the image bound it by this option, which
// Node takes at its start only. Without it the young generation stays as small as it begins, for all threads: V8 reads
// this flag at each growth. Collecting it so often takes about a quarter more of the processor.
const nodeOptions = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''];
if (!nodeOptions.some((option) => option.includes('--max-semi-space-size'))) {
  setFlagsFromString('--semi-space-growth-factor=1');
}

// What survives in so small a young generation is a megabyte: V8's four helpers cost more than they spare, and where
// there are two processors, or a container has one, the main thread waits for them.
setFlagsFromString('--no-parallel-scavenge');

// Before anything large is loaded; a folder that cannot be written only means a slower start. The variable tells the store
// thread, which then needs no compiler of its own: 40 MB less of memory.
const { directory } = enableCompileCache();
if (directory !== undefined) process.env['NODE_COMPILE_CACHE'] ??= dirname(directory);

const [{ runCli }, { default: manifest }] = await Promise.all([
  import('./commands/cli.ts'),
  import('../package.json', { with: { type: 'json' } }),
]);

/**
 * Set by a command that handles signals. Node takes its handlers away while it ends by itself, and npm's copy of a signal
 * that comes just then would make an orderly end a killed one; `process.exit` keeps them.
 */
let endsAtOnce = false;

const context: CommandContext = {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  // The question goes to stderr: stdout may be a file.
  ...(process.stdin.isTTY && process.stderr.isTTY && { ask }),
  version: manifest.version,
  onSignal(listener) {
    endsAtOnce = true;
    process.on('SIGINT', listener).on('SIGTERM', listener);
    return () => void process.off('SIGINT', listener).off('SIGTERM', listener);
  },
  exitNow: (code) => process.exit(code),
};

function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    // Ctrl-C and Ctrl-D close it without an answer.
    terminal.once('close', () => resolve(''));
    terminal.question(question, (answer) => {
      resolve(answer);
      terminal.close();
    });
  });
}

// The reader of `… | head` going away is its right, not a crash.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

try {
  // Not process.exit: what was written to a pipe would be cut off.
  process.exitCode = await runCli(process.argv.slice(2), context);
} catch (error) {
  if (error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd') {
    // Libraries ask for the working folder when they are loaded.
    context.stderr.write(
      'The working folder of this process was deleted, and a relative DATA_DIR with it: start it in a folder that exists.\n',
    );
    process.exitCode = 2;
  } else {
    // A defect, or something that no command expected. The stack says where, and holds no request.
    context.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
}

if (endsAtOnce) {
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit();
}

/** Resolves when all that was written before has been handed over, or cannot be. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write('', () => resolve()));
}
