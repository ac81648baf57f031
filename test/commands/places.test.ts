import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openTestStore } from '../support/store.ts';
import { mainFile, type Run, run, validEnv } from './support.ts';

const onLinux = process.platform === 'linux';
const isRoot = process.getuid?.() === 0;
const env = { ...validEnv, HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0' };
/** The service tells of a failed start in its log, `check` in lines of its own. */
const commands = ['serve', 'check'] as const;

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-places-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs in a folder that does not exist any more, or as somebody else. It is killed, and `exitCode` null, after a minute. */
async function spawnIn(
  script: string,
  options: { uid?: number; gid?: number; env: Record<string, string> },
): Promise<Run> {
  const child = spawn('sh', ['-c', script], {
    ...options,
    env: { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...options.env },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      texts[name] += String(chunk);
    });
  }
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, ...texts };
}

describe('a DATA_DIR that cannot be one ends serve and check with exit code 2 and its path', () => {
  // Both commands look at the folder with the same function; `serve` is started where it could go on all the same.
  const cases: [name: string, make: (folder: string) => string, by: readonly (typeof commands)[number][]][] = [
    ['below /proc', () => '/proc/apono-sentinel', onLinux ? commands : []],
    ['deep below /proc', () => '/proc/self/a/b', onLinux ? ['check'] : []],
    ['a file', (folder) => file(path.join(folder, 'file')), commands],
    ['below a file', (folder) => path.join(file(path.join(folder, 'file')), 'a', 'b'), ['check']],
    ['a link to nothing', (folder) => link(path.join(folder, 'link')), commands],
    ['with a name of 300 characters', (folder) => path.join(folder, 'x'.repeat(300), 'data'), ['check']],
  ];
  function file(place: string): string {
    writeFileSync(place, '');
    return place;
  }
  function link(place: string): string {
    symlinkSync(`${place}-nowhere`, place);
    return place;
  }
  for (const [name, make, by] of cases) {
    for (const command of by) {
      test(`${name}: ${command}`, async (t) => {
        const folder = temporaryFolder(t);
        const dataDir = make(folder);
        const before = readdirSync(folder);
        const { exitCode, stdout, stderr } = await run([command], { ...env, DATA_DIR: dataDir });
        assert.equal(exitCode, 2, stderr);
        assert.ok(stderr.includes(dataDir) && stderr.includes('outbox_no_folder'), stderr);
        assert.match(stderr, /DATA_DIR/);
        assert.equal(stdout, '');
        assert.deepEqual(readdirSync(folder), before, 'nothing is left behind');
      });
    }
  }

  for (const command of commands) {
    test(`in a folder that was deleted: ${command}`, { skip: !onLinux }, async (t) => {
      const gone = path.join(temporaryFolder(t), 'gone');
      mkdirSync(gone);
      // It keeps the folder, which has no name any more.
      const keeper = spawn(process.execPath, ['-e', 'console.log(); setInterval(() => {}, 1000)'], { cwd: gone });
      t.after(() => keeper.kill('SIGKILL'));
      await once(keeper.stdout, 'data');
      rmSync(gone, { recursive: true });
      const dataDir = `/proc/${keeper.pid}/cwd/data`;
      const { exitCode, stderr } = await run([command], { ...env, DATA_DIR: dataDir });
      assert.equal(exitCode, 2, stderr);
      assert.ok(stderr.includes(dataDir) && stderr.includes('outbox_no_folder'), stderr);
    });

    test(`relative, and the working folder was deleted: ${command}`, { skip: !onLinux }, async (t) => {
      const gone = path.join(temporaryFolder(t), 'gone');
      mkdirSync(gone);
      const script = `cd "${gone}" && rmdir "${gone}" && exec "${process.execPath}" "${mainFile}" ${command}`;
      const { exitCode, stderr } = await spawnIn(script, { env: { ...env, DATA_DIR: './data' } });
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, /DATA_DIR/);
      assert.doesNotMatch(stderr, /^ +at /m, 'no stack');
    });
  }

  for (const command of commands) {
    test(`another user's: ${command} names the uid that runs, the owner and the fix`, { skip: !isRoot }, async (t) => {
      const folder = temporaryFolder(t);
      chmodSync(folder, 0o755);
      for (const dataDir of [folder, path.join(folder, 'a', 'data')]) {
        const { exitCode, stderr } = await spawnIn(`exec "${process.execPath}" "${mainFile}" ${command}`, {
          uid: 65_534,
          gid: 65_534,
          env: { ...env, DATA_DIR: dataDir },
        });
        assert.equal(exitCode, 2, stderr);
        assert.match(stderr, /outbox_permission/);
        assert.match(stderr, /runs as uid 65534, gid 65534/);
        assert.ok(stderr.includes(`${folder} belongs to uid 0, gid 0, with mode 755`), stderr);
        assert.match(stderr, /chown/);
        assert.deepEqual(readdirSync(folder), []);
      }
    });
  }
});

describe('check of a DATA_DIR that is well', () => {
  test('leaves nothing behind where it will be made', async (t) => {
    const folder = temporaryFolder(t);
    const { exitCode, stderr } = await run(['check'], { ...env, DATA_DIR: path.join(folder, 'a', 'b') });
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('works while a service has the outbox open', async (t) => {
    const { dataDir } = await openTestStore(t);
    const before = readdirSync(dataDir);
    const { exitCode, stderr } = await run(['check'], { ...env, DATA_DIR: dataDir });
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(readdirSync(dataDir), before);
  });

  test('finds a database that this user may not write', { skip: !isRoot }, async (t) => {
    const dataDir = temporaryFolder(t);
    chmodSync(dataDir, 0o777);
    writeFileSync(path.join(dataDir, 'outbox.db'), '', { mode: 0o600 });
    const script = `exec "${process.execPath}" "${mainFile}" check`;
    const { exitCode, stderr } = await spawnIn(script, {
      uid: 65_534,
      gid: 65_534,
      env: { ...env, DATA_DIR: dataDir },
    });
    assert.deepEqual([exitCode, /outbox_permission/.test(stderr)], [2, true], stderr);
  });

  test('is not asked for where the outbox is in PostgreSQL', async () => {
    const database = { OUTBOX_URL: 'postgres://user:password@127.0.0.1/db', DATA_DIR: '/proc/x' };
    assert.equal((await run(['check'], { ...env, ...database })).exitCode, 0);
  });

  test('lists it beside the other problems of this machine, as JSON too', async () => {
    const { exitCode, stdout } = await run(['check', '--json'], { ...env, HOST: '203.0.113.1', DATA_DIR: '/proc/x/y' });
    assert.equal(exitCode, 2);
    const { ok, problems } = JSON.parse(stdout) as { ok: boolean; problems: { name: string }[] };
    assert.deepEqual([ok, problems.map(({ name }) => name)], [false, ['HOST', 'DATA_DIR']]);
  });
});

describe('HOST and ADMIN_HOST', () => {
  for (const [name, value, why] of [
    ['HOST', 'no-such-host.invalid', /does not resolve/],
    ['HOST', '203.0.113.1', /no address of this machine/],
    ['ADMIN_HOST', 'no-such-host.invalid', /does not resolve/],
    ['ADMIN_HOST', '203.0.113.1', /no address of this machine/],
  ] as const) {
    for (const command of commands) {
      test(`${name}=${value}: ${command} ends with exit code 2 and its name`, async (t) => {
        const dataDir = path.join(temporaryFolder(t), 'data');
        const given = { ...env, DATA_DIR: dataDir, ADMIN_TOKEN: 'a-token-for-the-admin-port', [name]: value };
        const { exitCode, stderr } = await run([command], given);
        assert.equal(exitCode, 2, stderr);
        assert.match(stderr, new RegExp(`\\b(?<!_)${name}\\b`));
        assert.match(stderr, why);
        assert.ok(stderr.includes(value));
        assert.doesNotMatch(stderr, /\bat .*\.ts:|node:/, 'no stack');
      });
    }
  }

  for (const name of ['PORT', 'ADMIN_PORT']) {
    test(`a ${name} that another program has ends serve with exit code 1 and its name`, async (t) => {
      const other = createServer();
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      t.after(() => other.close());
      const address = other.address();
      assert.ok(address !== null && typeof address === 'object');
      const given = { ...env, DATA_DIR: path.join(temporaryFolder(t), 'data'), [name]: String(address.port) };
      const { exitCode, stderr } = await run(['serve'], given);
      assert.equal(exitCode, 1, stderr);
      assert.match(stderr, new RegExp(`"error":"${name} ${address.port} on 127.0.0.1 is in use`));
      assert.equal((await run(['check'], given)).exitCode, 0, 'it may be the service itself');
    });
  }
});
