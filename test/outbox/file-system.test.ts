import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';
import { lockFolder } from '../../src/outbox/sqlite/open.ts';
import { event } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

const TMPFS = 0x01021994;

function folderIn(t: TestContext, parent: string): string {
  const folder = mkdtempSync(join(parent, 'outbox-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Locks the folder as a service does before it opens the database. Returns the warnings. */
function lockOn(t: TestContext, dataDir: string, type?: number) {
  const lines: string[] = [];
  const log = createLogger('debug', { write: (line: string) => void lines.push(line) });
  const lock = lockFolder(dataDir, log, type === undefined ? undefined : () => type);
  t.after(() => lock.release());
  return { lock, warnings: lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'warn') };
}

// Numbers as the kernel gives them: f_type is signed in some.
const network: [string, number][] = [
  ['NFS', 0x6969],
  ['CIFS', 0xff534d42],
  ['CIFS', 0xff534d42 | 0],
  ['SMB 2', 0xfe534d42],
  ['Ceph', 0x00c36400],
];
for (const [name, type] of network) {
  test(`a folder on ${name} (${type}) is refused, with what to do, and nothing is made in it`, (t) => {
    const dataDir = folderIn(t, tmpdir());
    const refuses = (error: Error) => {
      assert.equal('code' in error && error.code, 'outbox_network_file_system');
      assert.match(error.message, new RegExp(`${name}.*local disk.*OUTBOX_URL`));
      assert(error.message.includes(dataDir));
      return true;
    };
    assert.throws(() => lockOn(t, dataDir, type), refuses);
    assert.equal(existsSync(join(dataDir, 'outbox.lock')), false);
  });
}

for (const [name, type] of [
  ['tmpfs', TMPFS],
  ['overlay', 0x794c7630],
] as const) {
  test(`a folder on ${name} is warned about and used`, async (t) => {
    const dataDir = folderIn(t, tmpdir());
    const { lock, warnings } = lockOn(t, dataDir, type);
    assert.deepEqual(
      warnings.map(({ code, fileSystem }) => [code, fileSystem]),
      [['outbox_file_system', name]],
    );
    lock.release();
    const fixture = await openSqliteFixture({ dataDir });
    t.after(fixture.cleanup);
    assert.equal((await fixture.outbox.put([event('a')])).outcome, 'stored');
  });
}

test('a disk is not warned about', (t) => {
  const { warnings } = lockOn(t, folderIn(t, tmpdir()), 0xef53);
  assert.deepEqual(warnings, []);
});

test('a real tmpfs is known by its number', (t) => {
  const shared = '/dev/shm';
  if (!existsSync(shared) || statfsSync(shared).type !== TMPFS) return t.skip(`${shared} is no tmpfs here`);
  const { warnings } = lockOn(t, folderIn(t, shared));
  assert.deepEqual(
    warnings.map(({ fileSystem }) => fileSystem),
    ['tmpfs'],
  );
});
