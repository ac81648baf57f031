#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import process from 'node:process';
import type { CommandContext } from './commands/context.ts';

// Before anything large is loaded; a folder that cannot be written only means a slower start.
enableCompileCache();

const [{ runCli }, { default: manifest }] = await Promise.all([
  import('./commands/cli.ts'),
  import('../package.json', { with: { type: 'json' } }),
]);

const context: CommandContext = {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  version: manifest.version,
  onSignal(listener) {
    process.on('SIGINT', listener).on('SIGTERM', listener);
    return () => void process.off('SIGINT', listener).off('SIGTERM', listener);
  },
  exitNow: (code) => process.exit(code),
};

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
  // A defect, or something that no command expected. The stack says where, and holds no request.
  context.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
