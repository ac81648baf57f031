import { CodedError } from '../ground/error.ts';
import type { ClaimedEvent, Settlement, SettlementOutcome, SharedPace, StateCount, StoredEntry } from './port.ts';
import type { ListArgs, ListedRecord, OutboxRecords, RecordState, StoredRecord } from './records.ts';

/**
 * What a database has to do for an outbox. Everything else (group commit, limits, the fault of one call, health, chunks)
 * stands once, in store.ts. An engine runs in the store thread. Times are milliseconds since the epoch.
 *
 * Each method runs in one transaction and either does all that it says, durably, or rejects and has changed nothing:
 * with a FullError, a CallError, a DamageError, or any other error when the database cannot do it now. Where a server's
 * answer was lost it may be done all the same; every method can be asked again.
 */
export interface Engine extends Pick<OutboxRecords, 'show' | 'find' | 'gone' | 'revive'> {
  /**
   * Stores the records of all puts. A record whose id is known, or came before in the same call, is a duplicate: it
   * stores nothing. A put that `resolves` a quarantined body removes it; if that body is not there, the put stores
   * nothing and its list is empty. Rejects with a FullError if anything new was stored and the database is past its
   * limit then; what is only duplicates is never refused.
   */
  commit(puts: readonly Put[]): Promise<readonly (readonly StoredEntry[])[]>;
  /**
   * Takes events of a kind that nobody holds, oldest first (received_at, then order of storing), with as many of their
   * pending rows as fit into `maxBytes` (`takeRows`), the first event with at least one. They stay claimed, under a token
   * that no other claim has, until a settlement releases or completes them or the holder is gone.
   */
  claim(request: ClaimRequest): Promise<readonly ClaimedRows[]>;
  /** In the order of the settlements, by the rule of `settleRows`. A wrong settlement rejects with a CallError. */
  settle(settlements: readonly Settlement[], now: number): Promise<readonly SettlementOutcome[]>;
  read(): Promise<EngineState>;
  /** Writes as much as an ordinary webhook needs, durably, and takes it away again. */
  probe(): Promise<void>;
  /** Forgets at most `limit` identities of events that were delivered before a time, oldest first. Returns how many. */
  prune(deliveredBefore: number, limit: number): Promise<number>;
  /**
   * Up to when the deliveries that are remembered show that time has passed: the newest one, less what is over a day in
   * each pause between two. Null if none is remembered.
   */
  recordedUntil(): Promise<number | null>;
  /** At least the first `limit` records after a position, by `receivedAt` and then `seq`. */
  list(request: ListArgs): Promise<readonly ListedRecord[]>;
  /** Deletes records: which were there. The identity of an event stays, as if delivered at `now`. Claims of it end. */
  purge(ids: readonly string[], now: number): Promise<readonly boolean[]>;
  /**
   * All records: undelivered events, then quarantined bodies, then identities of delivered events. Rejects with a
   * CopyError if a service uses the database.
   */
  records(): AsyncIterable<StoredRecord>;
  /**
   * Gives the whole database another name after it was copied, since what is delivered from the copy must not be delivered
   * from here again. Returns the new name. The engine is of no use afterwards. Rejects with a CopyError like `records`.
   */
  setAside(nowMs: number): Promise<string>;
  /** What replicas that share the database tell each other. Here it may reject: open.ts answers where it cannot be asked. */
  readonly pace: SharedPace;
  /** Gives claims back where others could take them, and closes the database. */
  close(): Promise<void>;
}

export interface Put {
  readonly records: readonly StoredRecord[];
  /** The quarantined body whose place the records take; null for an ordinary put. */
  readonly resolves: string | null;
}

export interface ClaimRequest {
  readonly kind: string;
  readonly maxEvents: number;
  /** Of rows, as they will be sent. The first row is given whatever its size. */
  readonly maxBytes: number;
  /** Events that are passed over. */
  readonly except: readonly string[];
  /** Only this event, and only its rows from this one on; if none of those is pending, none is given. */
  readonly only: { readonly eventId: string; readonly fromRow: number } | null;
}

export interface ClaimedRows extends ClaimedEvent {
  /** The JSON of the rows of `ranges`, in order. */
  readonly rows: readonly string[];
  /** Of `rows` in UTF-8, with a byte for what separates each from the next. */
  readonly bytes: number;
}

export interface Usage {
  /** Of the database's pages in use, without the log. */
  readonly dataBytes: number;
  readonly logBytes: number;
}

export interface EngineState extends Usage {
  /** One for each kind or for all; states without any may be missing. */
  readonly counts: readonly RecordCount[];
  /** Why the database takes no puts although it can be read; null if it is not known to refuse them. */
  readonly refuses: string | null;
}

export interface RecordCount extends StateCount {
  readonly state: RecordState;
  readonly kind: string;
  /** Of stored rows and bodies. */
  readonly bytes: number;
}

/**
 * What was to be stored would take the database past OUTBOX_MAX_BYTES (`limit`), its write-ahead log is too long and cannot
 * be emptied (`log`), or the `disk` is full.
 */
export class FullError extends Error {
  override readonly name = 'FullError';
  readonly reached: 'limit' | 'log' | 'disk';

  constructor(reached: FullError['reached'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reached = reached;
  }
}

/** One of the calls is at fault: its values cannot be stored, or a settlement contradicts itself. The others are not. */
export class CallError extends Error {
  override readonly name = 'CallError';
}

/** The database is damaged: it has to be checked and set aside. */
export class DamageError extends Error {
  override readonly name = 'DamageError';
}

/** What an ordinary webhook needs: with less than this left the outbox is as good as full. */
export const HEADROOM_BYTES = 64 * 1024;

/**
 * A write-ahead log is emptied while nobody reads the database, and stays below this. A longer one cannot be emptied:
 * then the outbox counts as full before the log takes the whole disk.
 */
const MAX_LOG_OVERSHOOT_BYTES = 64 * 1024 * 1024;

/** Why nothing more may be stored with `headroom` bytes to spare; null if there is room. */
export function fullness({ dataBytes, logBytes }: Usage, maxBytes: number, headroom = 0): FullError | null {
  if (dataBytes + headroom > maxBytes) {
    return new FullError('limit', `the outbox is full: ${dataBytes} of ${maxBytes} bytes are used (OUTBOX_MAX_BYTES)`);
  }
  if (dataBytes + logBytes <= maxBytes + MAX_LOG_OVERSHOOT_BYTES) return null;
  const log = `its write-ahead log has ${logBytes} bytes and cannot be emptied`;
  const why = 'because another program has the database open in a read transaction';
  return new FullError('log', `the outbox is full: ${log}, ${why}`);
}

type CopyCode =
  | `migrate_${'not_stored' | 'in_use' | 'unreadable' | 'not_set_aside'}`
  | `salvage_${'not_stored' | 'unreadable'}`
  | 'backup_failed';

/** Nothing is lost: the source is still there, and what was copied before is known when it is done again. */
export class CopyError extends CodedError<CopyCode> {
  override readonly name = 'CopyError';
}

/** Why an outbox could not be opened, as docs/errors.md has it, and what to do about it where the outbox is SQLite's. */
export const outboxStartFixes = {
  outbox_locked:
    'Stop the service, or wait for the outbox command, that has it open; a second service needs a DATA_DIR of its own',
  outbox_newer_version: 'Start the version that wrote it, or a later one',
  outbox_older_version: 'Let that version deliver what waits, then give this one a fresh folder',
  outbox_foreign_database: 'Point DATA_DIR to a folder of its own',
  outbox_no_folder: 'Set DATA_DIR to a folder, or to a path where one can be made',
  outbox_permission:
    'The user that runs the service must own DATA_DIR and be able to write there: check its owner (`chown -R <uid>:<gid> <folder>`), mode and mount options',
  outbox_disk_full: 'Free some space on the disk of DATA_DIR, then start again; nothing was lost',
  outbox_io_error: 'Check the disk and the system log, then start again; nothing was changed',
  outbox_unsupported: 'Put DATA_DIR on a local file system',
  outbox_network_file_system: 'Put DATA_DIR on a local disk, or the outbox on a PostgreSQL server (OUTBOX_URL)',
  outbox_cannot_open: 'Check DATA_DIR, then start again; nothing was changed',
} as const;

export type OutboxStartCode = keyof typeof outboxStartFixes;

/** Says what is wrong, where, and what a person has to do; together its message. Nothing was stored, deleted or renamed. */
export class OutboxStartError extends CodedError<OutboxStartCode> {
  override readonly name = 'OutboxStartError';
  readonly problem: string;
  readonly fix: string;

  constructor(code: OutboxStartCode, problem: string, fix = `${outboxStartFixes[code]}.`, options?: ErrorOptions) {
    super(code, `${problem}. ${fix}`, options);
    this.problem = problem;
    this.fix = fix;
  }
}
