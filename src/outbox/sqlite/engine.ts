import type { DatabaseSync } from 'node:sqlite';
import { type Engine, FullError } from '../engine.ts';
import { fullness, HEADROOM_BYTES, type Usage } from '../limits.ts';
import { createWriteAheadLog } from './checkpoint.ts';
import { Claims, createClaim } from './claim.ts';
import { readRecords } from './move.ts';
import { createWriter } from './put.ts';
import { createRecords } from './records.ts';
import { setMovedAside } from './set-aside.ts';
import { createFates } from './settle.ts';
import { pragma } from './sql.ts';
import { createTransaction, toEngineError } from './transaction.ts';

export interface SqliteEngineOptions {
  /** As database.ts opens it. */
  readonly db: DatabaseSync;
  /** Of the database. */
  readonly file: string;
  readonly maxBytes: number;
  /** The write-ahead log could not be folded into the database, and why. */
  readonly onCheckpointTrouble: (reason: string) => void;
}

/** The engine on an open SQLite database. Every method does its work before it returns; a promise only carries the result. */
export function createSqliteEngine({ db, file, maxBytes, onCheckpointTrouble }: SqliteEngineOptions): Engine {
  const log = createWriteAheadLog(db, file, onCheckpointTrouble);
  const inTransaction = createTransaction(db, log.tidy);
  const claims = new Claims();
  const writer = createWriter(db);
  const claim = createClaim(db, claims);
  const fates = createFates(db, claims);
  const records = createRecords(db);
  const pageSize = Number(pragma(db, 'page_size'));
  const pages = db.prepare('PRAGMA page_count');
  const freePages = db.prepare('PRAGMA freelist_count');
  // As large as an ordinary webhook: a disk that is full for those may still have room for a byte.
  const fill = db.prepare(`INSERT INTO write_probe (filler) VALUES (zeroblob(${HEADROOM_BYTES}))`);
  const clear = db.prepare('DELETE FROM write_probe');

  /** The open transaction included. */
  function usage(): Usage {
    const used = Number(pages.get()?.['page_count']) - Number(freePages.get()?.['freelist_count']);
    return { dataBytes: used * pageSize, logBytes: log.bytes() };
  }

  function refuseIfFull(): void {
    const reason = fullness(usage(), maxBytes);
    if (reason !== null) throw new FullError('limit', reason);
  }

  function close(): void {
    if (!db.isOpen) return;
    log.empty();
    db.close();
  }

  return {
    commit: (puts) =>
      doNow(() =>
        inTransaction(() => {
          const results = puts.map(writer.put);
          // Only what is new needs room: a duplicate is answered even when the outbox is full.
          if (results.some(({ isNew }) => isNew)) refuseIfFull();
          return results.map(({ entries }) => entries);
        }),
      ),
    claim: (request) => doNow(() => claim(request)),
    settle: (settlements, now) =>
      doNow(() => {
        const { outcomes, progress } = inTransaction(() => fates.settle(settlements, now));
        // Only now: a claim that ended before its rows were recorded would send them again.
        for (const [eventId, rows] of progress) claims.keep(eventId, rows);
        return outcomes;
      }),
    read: () =>
      doNow(() => {
        // While the outbox is full because of the log, health checks may be all that comes.
        log.tidy();
        return { ...records.count(), ...usage(), refuses: null };
      }),
    probe: () =>
      doNow(() => {
        inTransaction(() => fill.run());
        inTransaction(() => clear.run());
      }),
    prune: (deliveredBefore, limit) =>
      doNow(() => {
        const forgotten = inTransaction(() => fates.prune(deliveredBefore, limit));
        if (forgotten < limit) log.empty();
        return forgotten;
      }),
    recordedUntil: () => doNow(() => records.recordedUntil()),
    list: (request) => doNow(() => records.list(request)),
    show: (id) => doNow(() => records.show(id)),
    find: (start) => doNow(() => records.find(start)),
    revive: (eventIds) => doNow(() => inTransaction(() => fates.revive(eventIds))),
    purge: (ids, now) =>
      doNow(() => {
        const removed = inTransaction(() => fates.purge(ids, now));
        for (const id of ids) claims.keep(id, []);
        log.empty();
        return removed;
      }),
    records: () => readRecords(db),
    add: (given) =>
      doNow(() =>
        inTransaction(() => {
          const isNew = given.map(writer.add);
          if (isNew.includes(true)) refuseIfFull();
          return isNew;
        }),
      ),
    setAside: (nowMs) =>
      doNow(() => {
        close();
        return setMovedAside(file, nowMs);
      }),
    pace: null,
    close: () => doNow(close),
  };
}

async function doNow<T>(act: () => T): Promise<T> {
  try {
    return act();
  } catch (error) {
    throw toEngineError(error);
  }
}
