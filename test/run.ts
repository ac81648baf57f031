/**
 * `npm test`: all tests, or those whose files are given; options of the test runner may stand before them. A test is a process of its own and starts many more, so that
 * half of the time would go into compiling the same modules again: they share a compile cache.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';

const root = path.join(import.meta.dirname, '..');
const given = process.argv.slice(2);
const files = given.every((arg) => arg.startsWith('-')) ? ['test/**/*.test.ts'] : [];
const args = ['--test', '--test-concurrency=3', '--test-timeout=300000', ...given, ...files];
const child = spawn(process.execPath, args, {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, NODE_COMPILE_CACHE: path.join(root, 'node_modules/.cache/compile') },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
