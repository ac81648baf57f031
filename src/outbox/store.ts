import type { Clock } from '../ground/clock.ts';
import type { OutboxEntry } from '../ground/event.ts';
import { createDoor, type Trouble } from './door.ts';
import { type Engine, FullError, fullness, HEADROOM_BYTES, type Put, type RecordCount } from './engine.ts';
import { createLane, sizeOf } from './group.ts';
import {
  OutboxUnavailableError,
  type PutOutcome,
  type Queue,
  type Settlement,
  type SettlementOutcome,
  sumOf,
} from './port.ts';
import { encodeCursor, type OutboxRecords, readListRequest, type StoredRecord } from './records.ts';
import { forgetOldest, PRUNE_CHUNK } from './retention.ts';
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
  | Trouble;

export interface StoreOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** OUTBOX_MAX_BYTES. */
  readonly maxBytes: number;
  readonly onEvent: (event: StoreEvent) => void;
}

/**
 * The outbox on an open database, in the thread that has it. What port.ts and records.ts say of their methods is true
 * here; a request that is wrong rejects with a RangeError.
 */
export interface Store extends Queue, Omit<OutboxRecords, 'readAgain'>, Pick<Engine, 'recordedUntil'> {
  /**
   * Stores all entries or none, in one durable transaction that many calls may share; of duplicates and of `resolves` see
   * `commit` of Engine. Where the body that it resolves is gone, the outcome is `stored` without entries, so that two
   * replays make one event.
   */
  put(entries: readonly OutboxEntry[], options?: { readonly resolves?: string }): Promise<PutOutcome>;
  /** Forgets the identities of events that were delivered before a time (ms since the epoch). Returns how many. */
  prune(deliveredBefore: number): Promise<number>;
  /**
   * Stores records of another outbox, all or none: whether each is new here. What is known here already stays as it is.
   * Rejects with an OutboxUnavailableError, also when OUTBOX_MAX_BYTES is reached.
   */
  add(records: readonly StoredRecord[]): Promise<readonly boolean[]>;
  close(): Promise<void>;
}

/** While so many events are claimed, webhooks wait. */
const MAX_EVENTS_PER_CLAIM = 1_000;
/** Of one transaction of puts: with 500 identities less there is nearly always room. */
const MAX_ROOM_TRIES = 10;

export function createStore(options: StoreOptions): Store {
  const { engine, clock, maxBytes, onEvent } = options;
  const door = createDoor(engine, onEvent);
  const addPut = createLane(
    (group: readonly Put[]) => commit(group, options),
    ({ records }) => sizeOf(records),
  );
  const addSettlements = createLane(async (calls: readonly (readonly Settlement[])[]) => {
    const outcomes = [...(await settleInParts(calls.flat()))];
    return calls.map(({ length }) => outcomes.splice(0, length));
  });
  let latest = clock.now();

  /** Never goes back with the clock: an event that seems to be delivered earlier than it was is forgotten too early. */
  function now(): number {
    latest = Math.max(latest, clock.now());
    return latest;
  }

  /** On a full disk a part of them may still be recorded. */
  async function settleInParts(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]> {
    try {
      return await engine.settle(settlements, now());
    } catch (error) {
      if (!(error instanceof FullError) || settlements.length === 1) throw error;
      const middle = Math.ceil(settlements.length / 2);
      const first = await settleInParts(settlements.slice(0, middle));
      return [...first, ...(await settleInParts(settlements.slice(middle)))];
    }
  }

  return {
    async put(entries, { resolves } = {}) {
      const storedAt = clock.now();
      const call = { records: entries.map((entry) => recordOf(entry, storedAt)), resolves: resolves ?? null };
      try {
        return { outcome: 'stored', entries: await door.ask('commit', () => addPut(call)) };
      } catch (error) {
        if (!(error instanceof OutboxUnavailableError)) throw error;
        return error.cause instanceof FullError
          ? { outcome: 'full' }
          : { outcome: 'unavailable', reason: error.message };
      }
    },

    async claim(asked) {
      const request = { maxEvents: MAX_EVENTS_PER_CLAIM, except: [], only: null, ...asked };
      const claimed = await door.ask('read', () => engine.claim(request));
      const bytes = claimed.reduce((sum, each) => sum + each.bytes, 0);
      return { ...packCalls(claimed), mayBeMore: claimed.length >= request.maxEvents || bytes >= request.maxBytes / 2 };
    },

    settle: (settlements) => door.ask('settle', () => addSettlements(settlements)),

    async stats() {
      const headroom = Math.min(HEADROOM_BYTES, Math.floor(maxBytes / 16));
      const read = () => door.ask('read', () => engine.read());
      let state = await read();
      // Who looks at /readyz sends nothing to a service that is full, and a put alone would make room.
      if (fullness(state, maxBytes, headroom)?.reached === 'limit') {
        if (await door.ask('settle', () => forgetOldest(headroom, options))) state = await read();
      }
      if (door.problem !== null) await door.ask('commit', () => engine.probe()).catch(() => undefined);
      const problem = door.problem ?? state.refuses ?? fullness(state, maxBytes, headroom)?.message ?? null;
      const { counts, dataBytes, logBytes } = state;
      const usedBytes = dataBytes + logBytes;
      return { ...statsOf(counts), usedBytes, logBytes, maxBytes, writable: problem === null, problem };
    },

    async prune(deliveredBefore) {
      let forgotten = 0;
      for (let chunk = PRUNE_CHUNK; chunk === PRUNE_CHUNK; forgotten += chunk) {
        chunk = await door.ask('settle', () => engine.prune(deliveredBefore, PRUNE_CHUNK));
      }
      return forgotten;
    },

    async list(request) {
      const args = readListRequest(request);
      // One more than was asked for shows whether there is another page.
      const found = await door.ask('read', () => engine.list({ ...args, limit: args.limit + 1 }));
      const page = found.slice(0, args.limit);
      const last = found.length > page.length ? page.at(-1) : undefined;
      return {
        records: page.map(({ seq: _, ...record }) => record),
        next: last === undefined ? null : encodeCursor(last),
      };
    },

    async revive(eventIds) {
      const counts = await door.ask('settle', () => engine.revive(eventIds));
      if (counts.some((count) => count > 0)) onEvent({ type: 'waiting', kind: null, bytes: 1 });
      return counts;
    },

    async add(records) {
      const [stored = []] = await door.ask('commit', () => engine.commit([{ records, resolves: null }]));
      return stored.map(({ duplicate }) => !duplicate);
    },

    recordedUntil: () => door.ask('read', () => engine.recordedUntil()),
    show: (id) => door.ask('read', () => engine.show(id)),
    find: (start) => door.ask('read', () => engine.find(start)),
    gone: (start) => door.ask('read', () => engine.gone(start)),
    purge: (ids) => door.ask('settle', () => engine.purge(ids, now())),
    close: () => door.close(),
  };
}

function statsOf(counts: readonly RecordCount[]) {
  const of = (state: RecordCount['state']) => counts.filter((count) => count.state === state);
  const bytesOf = (state: RecordCount['state']) => of(state).reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    waiting: Object.fromEntries(of('waiting').map(({ kind, ...count }) => [kind, sumOf([count])])),
    dead: sumOf(of('dead')),
    quarantined: sumOf(of('quarantined')),
    bytes: { waiting: bytesOf('waiting'), dead: bytesOf('dead'), quarantined: bytesOf('quarantined') },
  };
}

function recordOf(entry: OutboxEntry, storedAt: number): StoredRecord {
  if (entry.type === 'quarantine') return { ...entry, storedAt };
  return { ...entry, storedAt, pending: [[0, entry.rowCount]], deadLetters: [] };
}

/**
 * Commits. If that would pass OUTBOX_MAX_BYTES, forgets the oldest identities and tries again.
 * @throws FullError when there is no room to be made, or when it is the disk or the log that is full
 */
async function commitWithRoom(puts: readonly Put[], options: StoreOptions) {
  const neededBytes = puts.reduce((sum, { records }) => sum + sizeOf(records), 0);
  for (let tries = 0; ; tries++) {
    try {
      return await options.engine.commit(puts);
    } catch (error) {
      const isFull = error instanceof FullError && error.reached === 'limit' && tries < MAX_ROOM_TRIES;
      if (!isFull || !(await forgetOldest(neededBytes, options))) throw error;
    }
  }
}

/** One transaction of puts, and what is told of it. */
async function commit(puts: readonly Put[], options: StoreOptions) {
  const { onEvent } = options;
  const begunAt = performance.now();
  const events = puts.reduce((sum, { records }) => sum + records.length, 0);
  const tell = (outcome: 'committed' | 'full' | 'failed'): void =>
    onEvent({ type: 'commit', durationMs: performance.now() - begunAt, puts: puts.length, events, outcome });
  try {
    const stored = await commitWithRoom(puts, options);
    tell('committed');
    const waiting = puts.flatMap(({ records }, index) =>
      records.flatMap((record, place) =>
        record.type === 'event' && stored[index]?.[place]?.duplicate === false ? [record] : [],
      ),
    );
    for (const [kind, records] of Map.groupBy(waiting, (record) => record.kind)) {
      onEvent({ type: 'waiting', kind, bytes: records.reduce((sum, { mappedBytes }) => sum + mappedBytes, 0) });
    }
    return stored;
  } catch (error) {
    tell(error instanceof FullError ? 'full' : 'failed');
    throw error;
  }
}
