/**
 * `npm test`: all tests, or those whose files are given; options of the test runner may stand before them. With `--quick`
 * (`npm run test:quick`): those that need no process, database, browser or dozens of emulated Azures, in less than a
 * minute. A test is a process of its own and starts many more, so that half of the time would go into compiling the same
 * modules again: they share a compile cache. The runner is the Node that runs this file, which npm takes from node_modules.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { endWithParent, killGroup } from './support/end-with-parent.ts';
import { alone, together } from './together.ts';

const root = path.join(import.meta.dirname, '..');
const isQuick = process.argv.includes('--quick');
const given = process.argv.slice(2).filter((arg) => arg !== '--quick');
const grouped = Object.values(together).flat().join('|');
const all = ['test/*.test.ts', `test/!(${grouped})/**/*.test.ts`, ...alone.map((file) => `test/${file}`)];
const slowFolders = ['commands', 'deploy', 'emulator', 'faults', 'image', 'page', 'sentinel-content', 'service'];
const slowFiles =
  /postgres|process|service|thread|alerts|salvage|sqlite-|outcomes|contrast|heartbeat\.test|^(npm-test|all-(?!units).*)\.test/;
const quick = (): string[] => {
  const skipped: readonly string[] = [...slowFolders, ...together.units];
  const isSlow = (name: string) => skipped.includes(name) || slowFiles.test(name);
  return globSync('test/**/*.test.ts', { cwd: root, exclude: isSlow });
};
const files = given.every((arg) => arg.startsWith('-')) ? (isQuick ? quick() : all) : [];
const reporter = given.some((arg) => arg.startsWith('--test-reporter'))
  ? []
  : [`--test-reporter=${path.join(root, 'test/support/reporter.ts')}`, '--test-reporter-destination=stdout'];
const args = ['--test', '--test-concurrency=5', '--test-timeout=600000', ...reporter, ...given, ...files];
// A process group of its own, so that nothing of it is left when the runner ends or is killed.
const child = spawn(process.execPath, args, {
  cwd: root,
  stdio: 'inherit',
  detached: true,
  env: { ...process.env, NODE_COMPILE_CACHE: path.join(root, 'node_modules/.cache/compile') },
});
endWithParent(child);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.once('exit', (code) => {
  killGroup(child);
  process.exitCode = code ?? 1;
});
