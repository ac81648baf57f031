import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CallError } from '../../src/outbox/engine.ts';
import { toEngineError } from '../../src/outbox/sqlite/errors.ts';
import { salvage } from '../../src/outbox/sqlite/salvage.ts';
import { isLogDamaged } from '../../src/outbox/sqlite/wal.ts';
import { event } from './samples.ts';
import { openSqliteFixture, type SqliteFixture, tempFolder } from './sqlite-fixture.ts';
import { openThreadFixture } from './thread-fixture.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const SET_ASIDE_CHILD = fileURLToPath(new URL('./set-aside-child.ts', import.meta.url));
const HEADER = 32;
const FRAME = 24 + 4096;

/** What a process that was killed with -9 left behind: an outbox whose events are in its write-ahead log alone. */
interface Killed {
  readonly dataDir: string;
  readonly acknowledged: readonly string[];
}

async function putAndKill(dataDir: string): Promise<Killed> {
  const child = spawn(process.execPath, [CHILD, dataDir, 'put', 'e'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('stored ')) acknowledged.push(line.replace('stored ', ''));
    if (acknowledged.length === 40) child.kill('SIGKILL');
  }
  if (child.signalCode === null) await once(child, 'exit');
  return { dataDir, acknowledged };
}

const logOf = (dataDir: string): string => join(dataDir, 'outbox.db-wal');

/** The number of frames up to the last commit; a transaction that the kill cut off may follow. */
function committedFrames(log: Buffer): number {
  for (let count = Math.floor((log.length - HEADER) / FRAME); count > 0; count--) {
    if (log.readUInt32BE(HEADER + (count - 1) * FRAME + 4) > 0) return count;
  }
  return 0;
}

describe('a damaged outbox of SQLite', { timeout: 300_000 }, () => {
  let shared = '';
  let killed: Killed = { dataDir: '', acknowledged: [] };
  let root = '';
  let dataDir = '';
  const opened: SqliteFixture[] = [];

  before(async () => {
    shared = tempFolder();
    killed = await putAndKill(join(shared, 'data'));
  });
  after(() => rmSync(shared, { recursive: true, force: true }));
  beforeEach(() => {
    root = tempFolder();
    dataDir = join(root, 'data');
    cpSync(killed.dataDir, dataDir, { recursive: true });
  });
  afterEach(async () => {
    for (const fixture of opened.splice(0)) await fixture.cleanup();
    rmSync(root, { recursive: true, force: true });
  });

  async function open(): Promise<SqliteFixture> {
    const fixture = await openSqliteFixture({ dataDir });
    opened.push(fixture);
    return fixture;
  }

  function damageLog(change: (log: Buffer) => void): void {
    const log = readFileSync(logOf(dataDir));
    change(log);
    writeFileSync(logOf(dataDir), log);
  }

  async function lostAfterSalvage({ outbox, clock, damagedFile }: SqliteFixture): Promise<string[]> {
    if (damagedFile !== null) await salvage(damagedFile, outbox, { nowMs: clock.now() });
    const again = await outbox.put(killed.acknowledged.map((id) => event(id)));
    assert(again.outcome === 'stored');
    return again.entries.flatMap(({ id, duplicate }) => (duplicate ? [] : [id]));
  }

  it('is whole after a kill: neither the end of a torn transaction nor the log itself counts as damage', async () => {
    damageLog((log) => log.fill(0xa5, HEADER + committedFrames(log) * FRAME));
    const fixture = await open();
    assert.equal(fixture.damagedFile, null);
    assert.deepEqual(await lostAfterSalvage(fixture), []);
  });

  const places: Record<string, (frames: number) => number> = {
    'the magic number of the log': () => 3,
    'the page size of the log': () => 10,
    'the salts of the log': () => 17,
    'the last bit of what the checksum of the log covers': () => 23,
    'the checksum of the log': () => 30,
    'the page number of the first frame': () => HEADER + 2,
    'the commit mark of a frame': (frames) => HEADER + 5 * Math.floor(frames / 7) * FRAME + 7,
    'the salts of a frame': (frames) => HEADER + 2 * Math.floor(frames / 3) * FRAME + 9,
    'the checksum of a frame': (frames) => HEADER + Math.floor(frames / 2) * FRAME + 20,
    'the page of the first frame': () => HEADER + 24 + 1_000,
    'a page in the middle': (frames) => HEADER + Math.floor(frames / 2) * FRAME + 24 + 3_000,
    'the last word of a page': (frames) => HEADER + Math.floor(frames / 2) * FRAME + FRAME - 1,
    'the page of the last commit': (frames) => HEADER + (frames - 1) * FRAME + 24 + 2_000,
  };
  for (const [place, offset] of Object.entries(places)) {
    it(`has every acknowledged event, in what salvage reads, when one bit flips in ${place}`, async () => {
      damageLog((log) => {
        const at = offset(committedFrames(log));
        log.writeUInt8(log.readUInt8(at) ^ 0x10, at);
      });
      const damaged = readFileSync(logOf(dataDir));
      const fixture = await open();
      const { damagedFile } = fixture;
      assert(damagedFile !== null);
      assert.equal(fixture.setAside, damagedFile, 'it is told, as that of a damaged database is');
      assert.deepEqual(readFileSync(`${damagedFile}-wal`), damaged, 'database and log are set aside together');
      assert.deepEqual(await lostAfterSalvage(fixture), []);
      assert.equal(fixture.damagedFile, null);
      assert.deepEqual(
        readdirSync(dataDir).filter((name) => name.includes('mended')),
        [],
      );
    });
  }

  it('has what stands behind a frame that is lost, and in front of it', async () => {
    damageLog((log) => {
      const at = HEADER + Math.floor(committedFrames(log) / 2) * FRAME;
      log.fill(0xa5, at, at + 600);
    });
    const fixture = await open();
    assert.notEqual(fixture.damagedFile, null);
    const lost = await lostAfterSalvage(fixture);
    assert(lost.length <= 8, `${lost} are more than one page and one group have`);
  });

  it('has what stands behind a header that is lost', async () => {
    damageLog((log) => log.fill(0, 0, HEADER));
    const fixture = await open();
    assert.notEqual(fixture.damagedFile, null);
    const lost = await lostAfterSalvage(fixture);
    assert(lost.length <= 8, `${lost} are more than the first frame has`);
  });

  it('takes frames that are left over from before SQLite began the log anew for what they are', () => {
    const file = join(root, 'other.db');
    const db = new DatabaseSync(file);
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
    const insert = db.prepare('INSERT INTO t VALUES (zeroblob(9000))');
    for (let n = 0; n < 20; n++) insert.run();
    db.exec('PRAGMA wal_checkpoint(PASSIVE)');
    for (let n = 0; n < 3; n++) insert.run();
    // A transaction that was written to the log and taken back: its frames are overwritten from their beginning.
    db.exec('PRAGMA cache_size = 10; BEGIN');
    for (let n = 0; n < 30; n++) insert.run();
    db.exec('ROLLBACK');
    insert.run();
    assert.equal(isLogDamaged(file), false);
    db.close();
  });

  it('loses nothing when the process is killed at any step of setting it aside', async () => {
    damageLog((log) => log.writeUInt8(log.readUInt8(HEADER + 100) ^ 1, HEADER + 100));
    const template = join(root, 'template');
    renameSync(dataDir, template);
    for (const links of ['links', 'no-links']) {
      for (let step = 1, isKilled = true; isKilled; step++) {
        cpSync(template, dataDir, { recursive: true });
        const child = spawnSync(process.execPath, [SET_ASIDE_CHILD, dataDir, String(step), links]);
        isKilled = child.signal === 'SIGKILL';
        assert(isKilled || child.status === 0, String(child.stderr));
        const fixture = await open();
        const names = readdirSync(dataDir).filter((name) => name.includes('.damaged-'));
        const sets = names.filter((name) => !/-(wal|shm)$/.test(name));
        assert.equal(sets.length, 1, `${links}, step ${step}: ${names}`);
        assert(names.includes(`${sets[0]}-wal`), `${links}, step ${step}: ${names}`);
        assert.deepEqual(await lostAfterSalvage(fixture), [], `${links}, step ${step}`);
        await fixture.cleanup();
        rmSync(dataDir, { recursive: true });
      }
    }
  });

  it('keeps a log whose database is gone, tells of it, and reads what it holds', async () => {
    rmSync(join(dataDir, 'outbox.db'));
    const service = await openThreadFixture({ dataDir });
    const { damagedFile } = service.outbox;
    assert(damagedFile !== null);
    const codes = () => service.logged.map(({ code }) => code);
    assert(codes().includes('outbox_damaged') && codes().includes('outbox_damaged_incomplete'));
    await service.reopen();
    assert.equal(codes().filter((code) => code === 'outbox_damaged_incomplete').length, 2, 'at each start');
    await service.cleanup();
    copyFileSync(join(killed.dataDir, 'outbox.db'), damagedFile);
    assert.deepEqual(await lostAfterSalvage(await open()), []);
    assert.equal(existsSync(damagedFile), false);
  });

  it('takes a number or an id that is taken already for the fault of the store: another process writes', () => {
    const db = new DatabaseSync(':memory:');
    db.exec("CREATE TABLE t (n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL); INSERT INTO t VALUES (1, 'a')");
    const isFaultOfCaller = (values: string) => {
      try {
        db.exec(`INSERT INTO t VALUES ${values}`);
      } catch (error) {
        return toEngineError(error) instanceof CallError;
      }
      return assert.fail('it was inserted');
    };
    assert.deepEqual(["(1, 'b')", "(2, 'a')", '(3, NULL)'].map(isFaultOfCaller), [false, false, true]);
    db.close();
  });
});
