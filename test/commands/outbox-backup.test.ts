import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { event } from '../outbox/samples.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles } from '../support/service-process.ts';
import { openTestStore } from '../support/store.ts';
import { idOf, jsonOf, resourceIds, startRunning, units } from './outbox-fixture.ts';
import { run } from './support.ts';

describe('outbox backup', () => {
  it('copies the outbox of a running service, and another service delivers from the copy', async (t) => {
    const { emulator, service, files, env } = await startRunning(t);
    emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
    await idOf(await service.post(units('r1')));
    const file = path.join(files.folder, 'copy.db');
    const backup = await run(['outbox', 'backup', file, '--json'], env);
    assert.equal(backup.exitCode, 0, backup.stderr);
    assert.deepEqual(jsonOf(backup), { file, bytes: statSync(file).size });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(
      readdirSync(files.folder).filter((name) => name.startsWith('copy')),
      ['copy.db'],
    );
    await idOf(await service.post(units('r2')));
    await service.stop();

    const other = await startTestEmulator(t);
    const restored = await serviceFiles(t, other);
    mkdirSync(restored.dataDir, { recursive: true });
    renameSync(file, path.join(restored.dataDir, 'outbox.db'));
    const second = await startService(t, serviceEnv(other, restored));
    await other.waitFor(() => other.rowCount(requestStream) === 4);
    assert.deepEqual(resourceIds(other), ['r1-a', 'r1-b', 'r1-c', 'r1-d']);
    await second.stop();
  });

  it('lets the write-ahead log start over once it is done', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    const put = async (from: number) => {
      for (let n = from; n < from + 40; n++) {
        const { outcome } = await outbox.put([event(`e${n}`, { rowBytes: 200_000 })]);
        assert.equal(outcome, 'stored');
      }
    };
    await put(0);
    const before = statSync(path.join(dataDir, 'outbox.db-wal')).size;
    for (const name of ['a.db', 'b.db']) {
      const { exitCode, stdout } = await run(['outbox', 'backup', path.join(dataDir, name)], { DATA_DIR: dataDir });
      assert.deepEqual([exitCode, /^\d+ bytes in /.test(stdout)], [0, true]);
      await put(name === 'a.db' ? 40 : 80);
    }
    assert(statSync(path.join(dataDir, 'outbox.db-wal')).size <= 2 * before);
  });

  it('overwrites nothing, and leaves nothing where it fails', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    await outbox.close();
    const file = path.join(dataDir, 'mine.txt');
    writeFileSync(file, 'mine');
    const exists = await run(['outbox', 'backup', file], { DATA_DIR: dataDir });
    assert.deepEqual([exists.exitCode, statSync(file).size], [1, 4]);
    assert.match(exists.stderr, /^backup_failed: .*mine\.txt exists already/);
    const nowhere = await run(['outbox', 'backup', path.join(dataDir, 'no', 'where.db')], { DATA_DIR: dataDir });
    assert.equal(nowhere.exitCode, 1);
    assert.match(nowhere.stderr, /^backup_failed: /);
    const none = await run(['outbox', 'backup', path.join(dataDir, 'x.db')], { DATA_DIR: path.join(dataDir, 'none') });
    assert.equal(none.exitCode, 1);
    assert.match(none.stderr, /^outbox_missing: /);
    assert.deepEqual(readdirSync(dataDir).sort(), ['mine.txt', 'outbox.db', 'outbox.lock', 'outbox.reserve']);
  });

  it('leaves PostgreSQL to pg_dump', async () => {
    const backup = await run(['outbox', 'backup', 'x.db'], { OUTBOX_URL: 'postgres://user:password@localhost/apono' });
    assert.equal(backup.exitCode, 2);
    assert.match(backup.stderr, /pg_dump/);
  });
});
