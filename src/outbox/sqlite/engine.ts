import { randomBytes } from 'node:crypto';
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { DamageError, type Engine, FullError, fullness, HEADROOM_BYTES, type Usage } from '../engine.ts';
import { ownPace } from '../port.ts';
import { countRecords, createReads, type Query } from '../reads.ts';
import { openDatabase } from './database.ts';
import { describe, isDiskFull, toEngineError } from './errors.ts';
import { databaseFile } from './files.ts';
import { readSound } from './move.ts';
import { setAside } from './set-aside.ts';
import { BUSY_TIMEOUT_MS, getRow, pragma, queryOf } from './sql.ts';
import { PAGE_BYTES } from './wal.ts';
import { createClaims, createWriter } from './writes.ts';

/** Above it we fold the write-ahead log in and tell why it fails: SQLite tries at 4 MiB and says nothing (ADR 7). */
const MAX_LOG_BYTES = 8 * 1024 * 1024;
/** The largest reserve: enough for any event but the very largest. On a small disk it is a sixteenth of the disk. */
const MAX_RESERVE_BYTES = 8 * 1024 * 1024;
const DISK_FULL = 'the disk is full';
/** A reader hinders checkpoints for longer than this, and each try to make the reserve on a full disk fills it again. */
const PAUSE_MS = 1_000;

export interface OpenSqliteOptions {
  readonly dataDir: string;
  readonly maxBytes: number;
  readonly nowMs: number;
  /** A damaged page was met: the whole file is checked, whatever its size. */
  readonly isSuspect: boolean;
  /** The write-ahead log could not be folded into the database, and why. */
  readonly onCheckpointTrouble: (reason: string) => void;
}

/**
 * Opens the engine on the database of a folder that this process has locked. What writes or claims does so before it
 * returns: a promise only carries the result. Throws an OutboxStartError.
 */
export function openSqlite({ dataDir, maxBytes, nowMs, isSuspect, onCheckpointTrouble }: OpenSqliteOptions) {
  const { db, damagedFile } = openDatabase(dataDir, nowMs, isSuspect);
  const file = databaseFile(dataDir);
  const log = createWriteAheadLog(db, file, onCheckpointTrouble);
  const reserve = createReserve(dataDir);
  reserve.keep();
  // At 4 MiB, and so that the database can take in all of the log when the reserve is given up.
  db.exec(`PRAGMA wal_autocheckpoint = ${Math.min(1_000, Math.ceil(reserve.bytes / PAGE_BYTES / 2))}`);
  const writer = createWriter(db);
  const claims = createClaims(db, writer, withReserve);
  const query = queryOf(db);
  const read = <T>(work: (query: Query) => Promise<T>): Promise<T> => work(query).catch(rejectAsEngine);
  const used = db.prepare(
    `SELECT (page_count - freelist_count) * page_size AS bytes
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
  );
  // As large as an ordinary webhook: a disk that is full for those may still have room for a byte.
  const fill = db.prepare(`INSERT INTO write_probe (filler) VALUES (zeroblob(${HEADROOM_BYTES}))`);
  const clear = db.prepare('DELETE FROM write_probe');
  const forget = db.prepare(
    'DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE delivered_at < ? ORDER BY delivered_at LIMIT ?)',
  );

  /** Commits what `act` wrote, synced; if it throws, nothing is written. */
  function inTransaction<T>(act: () => T): T {
    try {
      db.exec('BEGIN IMMEDIATE');
      const value = act();
      db.exec('COMMIT');
      return value;
    } catch (error) {
      takeBack();
      throw toEngineError(error);
    } finally {
      log.tidy();
    }
  }

  /** As `inTransaction`, for what frees room in the end: a full disk does not stop it while there is the reserve. */
  function withReserve<T>(act: () => T): T {
    try {
      return inTransaction(act);
    } catch (error) {
      if (!(error instanceof FullError)) throw error;
      reserve.giveUp();
      log.empty();
      return inTransaction(act);
    } finally {
      // It has grown, and nothing else gives back room.
      if (reserve.isFull) log.empty();
    }
  }

  function takeBack(): void {
    try {
      if (db.isTransaction) db.exec('ROLLBACK');
    } catch (error) {
      // The connection's state is unknown: only a new one can tell what is in the database.
      throw new DamageError(`a transaction could not be taken back: ${describe(error)}`, { cause: error });
    }
  }

  /** The open transaction included. */
  function usage(): Usage {
    return { dataBytes: getRow<{ bytes: number }>(used)?.bytes ?? 0, logBytes: log.bytes() };
  }

  async function close(): Promise<void> {
    if (!db.isOpen) return;
    log.empty();
    db.close();
  }

  const engine: Engine = {
    ...claims,
    ...createReads(read),
    claim: (request) => claims.claim(request).catch(rejectAsEngine),
    commit: async (puts) =>
      inTransaction(() => {
        const stored = puts.map(writer.store);
        // Only what is new needs room: a duplicate is answered even when the outbox is full.
        if (stored.flat().every(({ duplicate }) => duplicate)) return stored;
        if (!reserve.keep()) throw new FullError('disk', DISK_FULL);
        const full = fullness(usage(), maxBytes);
        if (full !== null) throw full;
        return stored;
      }),
    read: () =>
      read(async () => {
        // While the outbox is full because of the log, health checks may be all that comes.
        log.tidy();
        return { counts: await countRecords(query), ...usage(), refuses: reserve.keep() ? null : DISK_FULL };
      }),
    async probe() {
      inTransaction(() => fill.run());
      inTransaction(() => clear.run());
    },
    async prune(deliveredBefore, limit) {
      const forgotten = Number(withReserve(() => forget.run(deliveredBefore, limit)).changes);
      if (forgotten < limit) log.empty();
      return forgotten;
    },
    async purge(ids, now) {
      const removed = await claims.purge(ids, now);
      log.empty();
      return removed;
    },
    async setAside(nowMs) {
      await close();
      return setAside(file, nowMs, 'moved');
    },
    records: () => readSound(db),
    pace: ownPace,
    close,
  };
  return { engine, damagedFile };
}

function rejectAsEngine(error: unknown): never {
  throw toEngineError(error);
}

/** The write-ahead log of an open database. `onTrouble` gets the reason if the log is long and cannot be folded in. */
function createWriteAheadLog(db: DatabaseSync, file: string, onTrouble: (reason: string) => void) {
  let triedAt = Number.NEGATIVE_INFINITY;

  function bytes(): number {
    return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Folds the log in and cuts it to nothing, if nobody reads the database: rows that were delivered are zeroed in the
   * database, but their text would stay in old pages of the log until something else is written over them. Waits for
   * nobody: whoever reads the database may do so for hours.
   */
  function empty(): void {
    try {
      db.exec('PRAGMA busy_timeout = 0');
      // If a reader is in the way, SQLite folds in as much as that reader allows.
      const isBusy = pragma(db, 'wal_checkpoint(TRUNCATE)') !== 0;
      if (!isBusy || bytes() <= MAX_LOG_BYTES) return;
      onTrouble(
        'another program has the database open in a read transaction, so that its write-ahead log cannot be emptied',
      );
    } catch (error) {
      onTrouble(`the write-ahead log could not be written into the database: ${describe(error)}`);
    } finally {
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  /** Outside of a transaction: empties the log if it has grown. */
  function tidy(): void {
    const now = performance.now();
    if (now - triedAt < PAUSE_MS || bytes() <= MAX_LOG_BYTES) return;
    triedAt = now;
    empty();
  }

  return { bytes, tidy, empty };
}

/**
 * A file that keeps room on the disk for recording what Azure took (ADR 7). It is given up when the disk is full, and
 * nothing new is stored until it is there again. `bytes`: how large it is.
 */
function createReserve(dataDir: string) {
  const file = join(dataDir, 'outbox.reserve');
  const { blocks, bsize } = statfsSync(dataDir);
  const bytes = Math.min(MAX_RESERVE_BYTES, Math.floor((blocks * bsize) / 16));
  const isThere = () => (statSync(file, { throwIfNoEntry: false })?.size ?? -1) >= bytes;
  let triedAt = Number.NEGATIVE_INFINITY;
  let isFull = false;

  return {
    bytes,
    get isFull() {
      return isFull;
    },
    /** Makes it unless it is there. False: the disk has no room for it. */
    keep(): boolean {
      if (performance.now() - triedAt < PAUSE_MS || isThere()) return !isFull;
      triedAt = performance.now();
      try {
        // Random, since a file system that compresses would keep no room for zeros.
        writeFileSync(file, randomBytes(bytes), { mode: 0o600, flush: true });
        isFull = false;
      } catch (error) {
        rmSync(file, { force: true });
        // It is a help, and no condition: what else is wrong with the disk shows in the database.
        isFull = isDiskFull(error);
      }
      return !isFull;
    },
    giveUp(): void {
      rmSync(file, { force: true });
      isFull = true;
    },
  };
}
