import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import type { Commit } from '../commit.ts';
import { encodeCursor } from '../cursor.ts';
import { bodyBytes, copyEntries } from '../entries.ts';
import {
  type OutboxEntry,
  type OutboxStats,
  OutboxUnavailableError,
  type PutOptions,
  type PutOutcome,
} from '../port.ts';
import type { ListRequest, OperableOutbox, RecordPage } from '../records.ts';
import { copyClaim, readList } from '../requests.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import { toStartError } from './errors.ts';
import { checkFileSystem } from './file-system.ts';
import { preparePrivateFolder } from './files.ts';
import { logDamage, WorkerLink } from './link.ts';
import { acquireLock, type OutboxLock } from './lock.ts';
import type { PutArgs } from './protocol.ts';
import { findDamaged, tellIncompleteSets } from './set-aside.ts';

export interface SqliteOutboxOptions {
  /** Made with mode 0700 if it is missing. */
  readonly dataDir: string;
  /** OUTBOX_MAX_BYTES: puts that would take the database past it are `full`. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The worker died and cannot be brought back: the process should end, so that its supervisor starts it anew. */
  readonly onFatal: (error: Error) => void;
  /** Called after each transaction of puts, for the metrics. */
  readonly onCommit?: (commit: Commit) => void;
  /** For tests, which cannot mount a network file system: the type of the file system of a folder. */
  readonly fileSystemType?: (folder: string) => number;
}

export interface SqliteOutbox extends OperableOutbox {
  /**
   * Where the newest database lies that was found damaged and set aside, at this start or an earlier one, and was neither
   * salvaged nor removed since; null: there is none. For /healthz and the metrics: a restart must not end the alarm.
   */
  readonly damagedFile: string | null;
  /**
   * Stores what was salvaged (salvage.ts), one durable transaction. What is known here already stays as it is. Rejects
   * with an OutboxUnavailableError.
   */
  restore(records: readonly SalvagedRecord[]): Promise<RestoreOutcome>;
  /** Like `purge`, but the identities go too: see MoveSource. */
  takeAway(ids: readonly string[]): Promise<readonly boolean[]>;
  /** For tests only: ends the worker as a crash would, wherever it is. */
  killWorkerForTests(): Promise<void>;
}

/** Bodies on their way to the worker or in it. Past this a slow disk would show as memory; the sender tries again. */
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/**
 * Opens the outbox of a folder and takes its lock. Rejects with an OutboxStartError, whose message says what to do:
 * another process has it, a later version wrote it, the folder cannot be used.
 */
export async function openSqliteOutbox(options: SqliteOutboxOptions): Promise<SqliteOutbox> {
  const { dataDir, log } = options;
  try {
    preparePrivateFolder(dataDir);
  } catch (error) {
    throw toStartError(error, dataDir);
  }
  checkFileSystem(dataDir, log, options.fileSystemType);
  const lock = acquireLock(dataDir);
  const link = new WorkerLink(options);
  try {
    const damagedFile = await link.open();
    if (damagedFile !== null) logDamage(log, damagedFile);
    tellIncompleteSets(dataDir, log);
    const outbox = createOutbox(link, options, lock);
    await outbox.stats(); // so that there are counts to show, should the worker die before anybody asks
    return outbox;
  } catch (error) {
    lock.release();
    throw toStartError(error, dataDir);
  }
}

const LOCK_LOST =
  'outbox.lock was removed, and this process cannot lock the outbox again: another one has it, or DATA_DIR is gone. ' +
  'Stop the other one, then restart this one';

function createOutbox(link: WorkerLink, { clock, dataDir }: SqliteOutboxOptions, lock: OutboxLock): SqliteOutbox {
  let inFlightBytes = 0;
  let latest = clock.now();
  /** Never goes back with the clock: an event that seems to be delivered earlier than it was is forgotten too early. */
  const now = (): number => {
    latest = Math.max(latest, clock.now());
    return latest;
  };
  const ask: WorkerLink['request'] = (...args) =>
    lock.isHeld() ? link.request(...args) : Promise.reject(new OutboxUnavailableError(LOCK_LOST));
  let lastStats: OutboxStats | null = null;
  let closed: Promise<void> | null = null;

  async function put(given: readonly OutboxEntry[], { resolves }: PutOptions = {}): Promise<PutOutcome> {
    const entries = copyEntries(given);
    if (link.problem !== null) return { outcome: 'unavailable', reason: link.problem };
    const bytes = bodyBytes(entries);
    // One put alone is always taken, whatever its size: it could never be stored else.
    if (inFlightBytes > 0 && inFlightBytes + bytes > MAX_IN_FLIGHT_BYTES) {
      return { outcome: 'unavailable', reason: 'busy' };
    }
    const buffers = entries.flatMap((entry) => (entry.type === 'quarantine' ? [entry.body.buffer] : []));
    inFlightBytes += bytes;
    try {
      const args = { entries, bytes, now: clock.now(), resolves: resolves ?? null };
      return (await ask('put', args, buffers.filter(isTransferable))) ?? allNew(args);
    } catch (error) {
      if (error instanceof OutboxUnavailableError) return { outcome: 'unavailable', reason: error.message };
      throw error;
    } finally {
      inFlightBytes -= bytes;
    }
  }

  async function list(request: ListRequest): Promise<RecordPage> {
    const { records, next } = await ask('list', readList(request));
    return { records, next: next === null ? null : encodeCursor(next) };
  }

  async function stats(): Promise<OutboxStats> {
    try {
      lastStats = await ask('stats', null);
      return lastStats;
    } catch (error) {
      // While the worker is being restarted the last counts are still the best there are.
      if (link.isGone || lastStats === null || !(error instanceof OutboxUnavailableError)) throw error;
      return { ...lastStats, writable: false, problem: error.message };
    }
  }

  async function prune(deliveredBefore: number): Promise<number> {
    try {
      return await ask('prune', { deliveredBefore });
    } catch (error) {
      if (error instanceof OutboxUnavailableError) return 0;
      throw error;
    }
  }

  return {
    get damagedFile() {
      return findDamaged(dataDir);
    },
    put,
    claim: async (request) => ask('claim', copyClaim(request)),
    bodies: (claims) =>
      ask(
        'bodies',
        // Whole events need not travel.
        claims.map(({ eventId, token }) => ({ eventId, token })),
      ),
    settle: (settlements) => ask('settle', { settlements, now: now() }),
    stats,
    prune,
    recordedUntil: () => ask('recordedUntil', null),
    list,
    show: (id) => ask('show', { id }),
    find: (start) => ask('find', { start }),
    revive: (eventIds) => ask('revive', { eventIds: [...eventIds] }),
    restore: (records) => ask('restore', { records }),
    purge: (ids) => ask('purge', { ids: [...ids], now: now(), forget: false }),
    takeAway: (ids) => ask('purge', { ids: [...ids], now: now(), forget: true }),
    close() {
      closed ??= link.close().finally(lock.release);
      return closed;
    },
    killWorkerForTests: () => link.kill(),
  };
}

function allNew({ entries, now }: PutArgs): PutOutcome {
  const stored = entries.map((entry) => ({
    id: entry.type === 'event' ? entry.eventId : entry.quarantineId,
    duplicate: false,
    firstStoredAt: now,
  }));
  return { outcome: 'stored', entries: stored };
}

/** The copies that entries.ts makes are never shared, which their type cannot say. */
function isTransferable(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer;
}
