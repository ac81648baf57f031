import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { describe, type TestContext, test } from 'node:test';
import { eventually } from './support/eventually.ts';

const root = path.join(import.meta.dirname, '..');
const runner = [process.execPath, path.join(import.meta.dirname, 'run.ts')];
const support = (name: string) => JSON.stringify(path.join(import.meta.dirname, 'support', name));

interface Run {
  readonly child: ChildProcess;
  readonly folder: string;
  output(): string;
  readonly ended: Promise<number | null>;
}

interface RunOptions {
  readonly command?: readonly string[];
  readonly PATH?: string | undefined;
}

/** `npm test` with a file of these lines. */
function runTests(
  t: TestContext,
  lines: (folder: string) => readonly string[],
  { command = runner, PATH = process.env['PATH'] }: RunOptions = {},
): Run {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-run-'));
  const file = path.join(folder, 'one.test.ts');
  const imports = ["import assert from 'node:assert/strict';", "import { test } from 'node:test';"];
  writeFileSync(file, [...imports, ...lines(folder)].join('\n'));
  // A runner inside of a test would take itself for a file of the outer one.
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
  const [program = '', ...args] = [...command, file];
  const child = spawn(program, args, { cwd: root, env: { ...env, PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  return { child, folder, output: () => output, ended };
}

const totals = (pass: number, fail: number) =>
  new RegExp(
    `ℹ tests ${pass + fail}\\nℹ suites 0\\nℹ pass ${pass}\\nℹ fail ${fail}\\n(ℹ \\w+ 0\\n){3}ℹ duration_ms [\\d.]+\\n$`,
  );

describe('npm test', () => {
  test('ends with the totals and the exit code of its runner, failed tests or none', async (t) => {
    const good = runTests(t, () => ["test('good', () => {});"]);
    assert.equal(await good.ended, 0, good.output());
    assert.match(good.output(), totals(1, 0));
    const bad = runTests(t, () => ["test('good', () => {});", "test('bad', () => assert.equal(1, 2));"]);
    assert.equal(await bad.ended, 1);
    assert.match(bad.output(), /failing tests:[\s\S]*1 !== 2/);
    assert.match(bad.output(), totals(1, 1));
    const dead = runTests(t, () => ["test('dies', () => process.kill(process.pid, 'SIGSEGV'));"]);
    assert.equal(await dead.ended, 1);
    assert.match(dead.output(), /\.test\.[jt]s ended with SIGSEGV\n/);
    const tap = runTests(t, () => ["test('good', () => {});"], { command: [...runner, '--test-reporter=tap'] });
    assert.equal(await tap.ended, 0);
    assert.match(tap.output(), /^TAP version 13\n/);
  });

  const pinned = `node-${process.platform}-${process.arch}`;
  const { optionalDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    readonly optionalDependencies: Readonly<Record<string, string>>;
  };
  const skip = pinned in optionalDependencies ? false : 'package.json pins no Node for this system';

  test('runs on the Node that package.json pins, whatever the node of the system is', { skip }, async (t) => {
    const check = `assert.equal(process.version, 'v${optionalDependencies[pinned]}')`;
    // As from a shell: no folder of node_modules is searched for programs.
    const folders = (process.env['PATH'] ?? '').split(path.delimiter);
    const PATH = folders.filter((folder) => !folder.includes('node_modules')).join(path.delimiter);
    const run = runTests(t, () => [`test('version', () => ${check});`], {
      command: ['npm', 'test', '--silent', '--'],
      PATH,
    });
    assert.equal(await run.ended, 0, run.output());
    assert.match(run.output(), totals(1, 0));
  });

  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
    test(`leaves no process of a test behind when it ends by ${signal}`, async (t) => {
      const run = runTests(t, (folder) => [
        "import { writeFileSync } from 'node:fs';",
        `import { spawnService } from ${support('service-process.ts')};`,
        "test('hangs', async (t) => {",
        "  const program = { command: 'sh', args: ['-c', 'sleep 600 & wait'] };",
        '  const { child } = spawnService(t, { PATH: process.env.PATH }, program);',
        `  writeFileSync(${JSON.stringify(path.join(folder, 'pids'))}, \`\${process.pid} \${child.pid} .\`);`,
        '  await new Promise((resolve) => setTimeout(resolve, 600_000));',
        '});',
      ]);
      const file = path.join(run.folder, 'pids');
      const pids = () => (existsSync(file) ? readFileSync(file, 'utf8').split(' ') : []);
      await eventually(() => pids().at(-1) === '.', run.output);
      const [testPid, service] = pids().map(Number);
      assert.ok(isThere(Number(testPid)) && isThere(-Number(service)));
      run.child.kill(signal);
      await eventually(() => !isThere(Number(testPid)) && !isThere(-Number(service)));
    });
  }
});

/** A process, or with a negative number any process of that group. */
function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
