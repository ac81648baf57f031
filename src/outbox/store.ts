import type { Clock } from '../ground/clock.ts';
import type { OutboxEntry } from '../ground/event.ts';
import {
  CallError,
  type ClaimedRows,
  DamageError,
  type Engine,
  type EngineState,
  FullError,
  type Put,
} from './engine.ts';
import {
  commitTogether,
  createLane,
  newlyWaiting,
  outcomeOf,
  type SettleCall,
  settleTogether,
  sizeOf,
} from './group.ts';
import { fullness, HEADROOM_BYTES } from './limits.ts';
import {
  type CallRequest,
  type Claimed,
  MAX_CALL_BYTES,
  type OutboxStats,
  OutboxUnavailableError,
  type PutOutcome,
  type Queue,
  type SettlementOutcome,
} from './port.ts';
import type { ListArgs, ListRequest, MovedRecord, OutboxRecords } from './records.ts';
import { decodeCursor, encodeCursor, FIRST_POSITION } from './records.ts';
import { packCalls } from './rows.ts';

/** What happens in a store, for the log, the metrics and delivery. */
export type StoreEvent =
  /** A transaction of puts. `full`: there was no room for any of them. `failed`: it could not be committed. */
  | {
      readonly type: 'commit';
      readonly durationMs: number;
      readonly puts: number;
      /** Entries of the puts, duplicates and quarantined bodies included. */
      readonly events: number;
      readonly outcome: 'committed' | 'full' | 'failed';
    }
  /** Rows of this kind wait that did not before, about so many bytes; null: of any kind, it is not known which. */
  | { readonly type: 'waiting'; readonly kind: string | null; readonly bytes: number }
  /** The database could not do something, and why. */
  | {
      readonly type: 'trouble';
      readonly operation: 'commit' | 'settle' | 'read' | 'checkpoint';
      readonly reason: string;
    }
  /** The database is damaged: nothing more should be asked of it. */
  | { readonly type: 'damaged'; readonly reason: string };

export interface StoreOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** OUTBOX_MAX_BYTES. */
  readonly maxBytes: number;
  readonly onEvent: (event: StoreEvent) => void;
}

export interface PutOptions {
  /**
   * Removes this quarantined body in the same transaction: its events take its place. If the body is not there any more,
   * nothing is stored and the outcome is `stored` without entries, so that two replays make one event.
   */
  readonly resolves?: string;
}

export type AddOutcome =
  /** In the order of the records: whether each is new here. */
  | { readonly outcome: 'stored'; readonly isNew: readonly boolean[] }
  /** OUTBOX_MAX_BYTES is reached; nothing was stored. */
  | { readonly outcome: 'full' };

/**
 * The outbox on an open database, in the thread that has it. What port.ts and records.ts say of their methods is true
 * here; a request that is wrong rejects with a RangeError.
 */
export interface Store extends Queue, Omit<OutboxRecords, 'readAgain'> {
  /**
   * Stores all entries or none, in one durable transaction that many calls may share. An entry whose id is known is a
   * duplicate: it stores nothing and counts as success. The same id twice in one call: the second is a duplicate of the
   * first.
   */
  put(entries: readonly OutboxEntry[], options?: PutOptions): Promise<PutOutcome>;
  /** Forgets the identities of events that were delivered before a time (ms since the epoch). Returns how many. */
  prune(deliveredBefore: number): Promise<number>;
  /** See Engine. Rejects with an OutboxUnavailableError. */
  recordedUntil(): Promise<number | null>;
  /** Stores records of another outbox; what is known here already stays as it is. */
  add(records: readonly MovedRecord[]): Promise<AddOutcome>;
  close(): Promise<void>;
}

/** While so many events are claimed, webhooks wait. */
const MAX_EVENTS_PER_CLAIM = 1_000;
/** Identities forgotten in one transaction: some milliseconds of work. */
const PRUNE_CHUNK = 500;
const MAX_PAGE = 1_000;
/** Closing waits this long for a database that does not answer. The service has two seconds for all of its end. */
const CLOSE_LIMIT_MS = 500;

export function createStore({ engine, clock, maxBytes, onEvent }: StoreOptions): Store {
  const underWay = new Set<Promise<unknown>>();
  /** Why the last write failed; null after one that did not. */
  let problem: string | null = null;
  let lastState: EngineState | null = null;
  let latest = clock.now();
  let closed: Promise<void> | null = null;

  /** Never goes back with the clock: an event that seems to be delivered earlier than it was is forgotten too early. */
  function now(): number {
    latest = Math.max(latest, clock.now());
    return latest;
  }

  function failed(operation: 'commit' | 'settle' | 'read', error: unknown): string {
    const reason = error instanceof Error ? error.message : String(error);
    if (operation !== 'read') problem = reason;
    onEvent({ type: 'trouble', operation, reason });
    if (error instanceof DamageError) onEvent({ type: 'damaged', reason });
    return reason;
  }

  /** Runs something on the engine; errors that are not the caller's own become an OutboxUnavailableError. */
  async function ask<T>(operation: 'put' | 'commit' | 'settle' | 'read', act: () => Promise<T>): Promise<T> {
    if (closed !== null) throw new OutboxUnavailableError('the outbox is closed');
    const run = act();
    underWay.add(run);
    try {
      const value = await run;
      // What became of a put is in its outcome, which tryPuts makes. A settlement says nothing of puts: a server that runs
      // out of storage takes the one and refuses the other.
      if (operation === 'commit') problem = null;
      return value;
    } catch (error) {
      if (error instanceof CallError) throw new RangeError(error.message, { cause: error });
      if (error instanceof RangeError || error instanceof OutboxUnavailableError) throw error;
      throw new OutboxUnavailableError(failed(operation === 'put' ? 'commit' : operation, error), { cause: error });
    } finally {
      underWay.delete(run);
    }
  }

  async function putGroup(group: readonly Put[]): Promise<(PutOutcome | Error)[]> {
    const begunAt = performance.now();
    const results = await commitTogether(engine, group, {
      onCommitted: () => {
        problem = null;
      },
      onFailed: (error) => failed('commit', error),
    });
    const durationMs = performance.now() - begunAt;
    const events = group.reduce((sum, { entries }) => sum + entries.length, 0);
    onEvent({ type: 'commit', durationMs, puts: group.length, events, outcome: outcomeOf(results) });
    for (const [kind, bytes] of newlyWaiting(group, results)) onEvent({ type: 'waiting', kind, bytes });
    return results;
  }

  const puts = createLane<Put, PutOutcome>(putGroup, ({ entries }) => sizeOf(entries));
  const settles = createLane<SettleCall, readonly SettlementOutcome[]>((calls) => settleTogether(engine, calls));

  async function put(entries: readonly OutboxEntry[], { resolves }: PutOptions = {}): Promise<PutOutcome> {
    checkEntries(entries);
    if (entries.length === 0 && resolves === undefined) return { outcome: 'stored', entries: [] };
    try {
      return await ask('put', () => puts.add({ entries, now: clock.now(), resolves: resolves ?? null }));
    } catch (error) {
      if (error instanceof OutboxUnavailableError) return { outcome: 'unavailable', reason: error.message };
      throw error;
    }
  }

  async function claim({ kind, maxCalls, oneRow }: CallRequest): Promise<Claimed> {
    if (!Number.isSafeInteger(maxCalls) || maxCalls < 1) {
      throw new RangeError(`maxCalls must be a whole number of at least 1, got ${maxCalls}`);
    }
    const maxBytes = oneRow === undefined ? maxCalls * MAX_CALL_BYTES : 0;
    const maxEvents = oneRow === undefined ? MAX_EVENTS_PER_CLAIM : 1;
    const except = oneRow !== undefined && 'except' in oneRow ? oneRow.except : [];
    const only = oneRow !== undefined && 'eventId' in oneRow ? oneRow : null;
    const rows = await ask('read', () => engine.claim({ kind, maxEvents, maxBytes, except, only }));
    return { ...packCalls(rows), mayBeMore: rows.length >= maxEvents || bytesOf(rows) >= maxBytes / 2 };
  }

  async function stats(): Promise<OutboxStats> {
    let state: EngineState;
    try {
      state = await ask('read', () => engine.read());
      lastState = state;
      if (problem !== null) await ask('commit', () => engine.probe()).catch(() => undefined);
    } catch (error) {
      // The last counts are still the best there are, as long as the store itself is there.
      if (lastState === null || closed !== null || !(error instanceof OutboxUnavailableError)) throw error;
      state = lastState;
      problem ??= error.message;
    }
    const { dataBytes, refuses, ...counts } = state;
    const headroom = Math.min(HEADROOM_BYTES, Math.floor(maxBytes / 16));
    const why = problem ?? refuses ?? fullness(state, maxBytes, headroom);
    return {
      ...counts,
      usedBytes: dataBytes + state.logBytes,
      maxBytes,
      writable: why === null,
      problem: why,
    };
  }

  async function prune(deliveredBefore: number): Promise<number> {
    let forgotten = 0;
    try {
      for (let isMore = true; isMore && closed === null; ) {
        const chunk = await ask('settle', () => engine.prune(deliveredBefore, PRUNE_CHUNK));
        forgotten += chunk;
        isMore = chunk === PRUNE_CHUNK;
      }
    } catch (error) {
      if (!(error instanceof OutboxUnavailableError)) throw error;
    }
    return forgotten;
  }

  async function add(records: readonly MovedRecord[]): Promise<AddOutcome> {
    const isNew = await ask('commit', () =>
      engine.add(records).catch((error: unknown) => {
        if (error instanceof FullError) return null;
        throw error;
      }),
    );
    if (isNew === null) return { outcome: 'full' };
    onEvent({ type: 'waiting', kind: null, bytes: 1 });
    return { outcome: 'stored', isNew };
  }

  async function close(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    // A database that does not answer must not hold up the end of the process.
    const cancel = clock.setTimer(CLOSE_LIMIT_MS, limit.resolve);
    const finished = (async () => {
      while (underWay.size > 0) await Promise.allSettled([...underWay]);
    })();
    await Promise.race([finished, limit.promise]);
    cancel();
    await engine.close();
  }

  return {
    put,
    claim,
    settle: (settlements) =>
      settlements.length === 0 ? Promise.resolve([]) : ask('settle', () => settles.add({ settlements, now: now() })),
    stats,
    prune,
    recordedUntil: () => ask('read', () => engine.recordedUntil()),
    async list(request) {
      const args = readList(request);
      const { records, next } = await ask('read', () => engine.list(args));
      return { records, next: next === null ? null : encodeCursor(next) };
    },
    show: (id) => ask('read', () => engine.show(id)),
    find: (start) => ask('read', () => engine.find(start)),
    async revive(eventIds) {
      const counts = await ask('settle', () => engine.revive(eventIds));
      if (counts.some((count) => count > 0)) onEvent({ type: 'waiting', kind: null, bytes: 1 });
      return counts;
    },
    purge: (ids) => ask('settle', () => engine.purge(ids, now())),
    add,
    close() {
      closed ??= close();
      return closed;
    },
  };
}

function bytesOf(claimed: readonly ClaimedRows[]): number {
  return claimed.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Throws a RangeError when an entry could not be stored as it is: a defect of the caller's. */
function checkEntries(entries: readonly OutboxEntry[]): void {
  for (const entry of entries) {
    const id = entry.type === 'event' ? entry.eventId : entry.quarantineId;
    if (id === '') throw new RangeError('An entry needs an id');
    if (!Number.isSafeInteger(entry.receivedAt)) {
      throw new RangeError(`receivedAt of ${id} must be whole milliseconds since the epoch, got ${entry.receivedAt}`);
    }
    if (entry.type === 'event' && entry.rows.own.length === 0) throw new RangeError(`Event ${id} has no row`);
  }
}

function readList({ state, kind, after, limit }: ListRequest): ListArgs {
  if (!['waiting', 'dead', 'quarantined'].includes(state))
    throw new RangeError(`There is no list of the state ${state}`);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new RangeError(`limit must be a whole number from 1 to ${MAX_PAGE}, got ${limit}`);
  }
  return { state, kind: kind ?? null, after: after === undefined ? FIRST_POSITION : decodeCursor(after), limit };
}
