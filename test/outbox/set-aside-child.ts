/**
 * Opens the database of a folder and is killed, as by kill -9, before the n-th call that changes a name or syncs one.
 * argv: folder, n, and `no-links` for a file system without hard links.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';
import { openDatabase } from '../../src/outbox/sqlite/database.ts';

const [, , dataDir = '', killAt = '', links = ''] = process.argv;
let calls = 0;
for (const name of ['linkSync', 'unlinkSync', 'renameSync', 'fsyncSync'] as const) {
  const original = fs[name] as (...args: unknown[]) => void;
  Object.assign(fs, {
    [name]: (...args: unknown[]) => {
      if (++calls === Number(killAt)) process.kill(process.pid, 'SIGKILL');
      if (name === 'linkSync' && links === 'no-links') throw Object.assign(new Error('no links'), { code: 'EPERM' });
      original(...args);
    },
  });
}
syncBuiltinESMExports();

openDatabase(dataDir, Date.UTC(2026, 0, 2), false).db.close();
