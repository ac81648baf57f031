import type { Clock } from '../../clock.ts';
import type { Logger } from '../../telemetry/logger.ts';
import {
  type ClaimRequest,
  type Outbox,
  type OutboxEntry,
  type OutboxStats,
  OutboxUnavailableError,
  type PutOutcome,
} from '../port.ts';
import { bodyBytes, copyEntries } from './entries.ts';
import { toStartError } from './errors.ts';
import { preparePrivateFolder } from './files.ts';
import { logDamage, WorkerLink } from './link.ts';
import { acquireLock } from './lock.ts';

export interface SqliteOutboxOptions {
  /** Made with mode 0700 if it is missing. */
  readonly dataDir: string;
  /** OUTBOX_MAX_BYTES: puts that would take the database past it are `full`. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The worker died and cannot be brought back: the process should end, so that its supervisor starts it anew. */
  readonly onFatal: (error: Error) => void;
}

export interface SqliteOutbox extends Outbox {
  /** Where the database lies that was found damaged at start and set aside, for /healthz; null when it was sound. */
  readonly damagedFile: string | null;
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
  const lock = acquireLock(dataDir);
  const link = new WorkerLink(options);
  try {
    const damagedFile = await link.open();
    if (damagedFile !== null) logDamage(log, damagedFile);
    const outbox = createOutbox(link, options, { damagedFile, release: () => lock.release() });
    await outbox.stats(); // so that there are counts to show, should the worker die before anybody asks
    return outbox;
  } catch (error) {
    lock.release();
    throw toStartError(error, dataDir);
  }
}

interface Opened {
  readonly damagedFile: string | null;
  /** Gives the lock back. */
  release(): void;
}

function createOutbox(link: WorkerLink, { clock }: SqliteOutboxOptions, opened: Opened): SqliteOutbox {
  let inFlightBytes = 0;
  let lastStats: OutboxStats | null = null;
  let closed: Promise<void> | null = null;

  async function put(given: readonly OutboxEntry[]): Promise<PutOutcome> {
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
      return await link.request('put', { entries, bytes, now: clock.now() }, buffers.filter(isTransferable));
    } catch (error) {
      if (error instanceof OutboxUnavailableError) return { outcome: 'unavailable', reason: error.message };
      throw error;
    } finally {
      inFlightBytes -= bytes;
    }
  }

  async function claim({ kind, maxEvents, maxMappedBytes }: ClaimRequest) {
    if (!Number.isSafeInteger(maxEvents) || maxEvents < 1) {
      throw new RangeError(`maxEvents must be a whole number of at least 1, got ${maxEvents}`);
    }
    if (!(maxMappedBytes >= 0)) throw new RangeError(`maxMappedBytes must be at least 0, got ${maxMappedBytes}`);
    return link.request('claim', { kind, maxEvents, maxMappedBytes });
  }

  async function stats(): Promise<OutboxStats> {
    try {
      lastStats = await link.request('stats', null);
      return lastStats;
    } catch (error) {
      // While the worker is being restarted the last counts are still the best there are.
      if (link.isGone || lastStats === null || !(error instanceof OutboxUnavailableError)) throw error;
      return { ...lastStats, writable: false, problem: error.message };
    }
  }

  async function prune(deliveredBefore: number): Promise<number> {
    try {
      return await link.request('prune', { deliveredBefore });
    } catch (error) {
      if (error instanceof OutboxUnavailableError) return 0;
      throw error;
    }
  }

  return {
    damagedFile: opened.damagedFile,
    put,
    claim,
    settle: (settlements) => link.request('settle', { settlements, now: clock.now() }),
    stats,
    prune,
    close() {
      closed ??= link.close().finally(opened.release);
      return closed;
    },
    killWorkerForTests: () => link.kill(),
  };
}

/** The copies that entries.ts makes are never shared, which their type cannot say. */
function isTransferable(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer;
}
