import type { EventMeta, OutboxEntry, RowRange } from '../ground/event.ts';

/**
 * The outbox: where an accepted webhook waits, durably, until Azure has its rows. This port is what the edge and delivery
 * know of it, records.ts is what the operator's commands know; each engine (sqlite/, postgres/) keeps the same contract,
 * and test/outbox/contract.ts holds them to it.
 *
 * An event is waiting while any of its rows is neither delivered nor dead, and dead while any of its rows is a dead
 * letter. Once all of its rows are delivered its body is deleted and only its identity stays, for deduplication.
 */

export type { EventEntry, EventMeta, OutboxEntry, QuarantineEntry, RowRange } from '../ground/event.ts';

/** One for each entry that was put, in their order. */
export interface StoredEntry {
  /** eventId or quarantineId. */
  readonly id: string;
  readonly duplicate: boolean;
  /** When the first of its kind was stored, milliseconds since the epoch; this put's time unless it is a duplicate. */
  readonly firstStoredAt: number;
}

export type PutOutcome =
  /** Committed and synced: answer 200 (or 4xx for a quarantined body). */
  | { readonly outcome: 'stored'; readonly entries: readonly StoredEntry[] }
  /** The limit OUTBOX_MAX_BYTES or the disk is reached, nothing was stored: answer 503. */
  | { readonly outcome: 'full' }
  /** The engine cannot commit now (I/O error, its worker is gone, closing), nothing was stored: answer 503. */
  | { readonly outcome: 'unavailable'; readonly reason: string };

export interface ClaimRequest {
  readonly kind: string;
  /** At most so many events, ... */
  readonly maxEvents: number;
  /** ... and stop before the sum of their mappedBytes passes this; the first event comes whatever its size. */
  readonly maxMappedBytes: number;
}

export interface ClaimedEvent {
  readonly eventId: string;
  readonly kind: string;
  /** Fencing token of this claim; a settlement with another one is stale and changes nothing. */
  readonly token: number;
  readonly meta: EventMeta;
  readonly rowCount: number;
  readonly mappedBytes: number;
  /** The rows that are still to be sent. Never empty. */
  readonly pending: readonly RowRange[];
}

/** What says whose claim of an event is meant. */
export type ClaimKey = Pick<ClaimedEvent, 'eventId' | 'token'>;

export interface DeadRows {
  readonly rows: readonly RowRange[];
  /** Stable code of why, as in docs/errors.md. */
  readonly code: string;
  /** Azure's message or ours, for a person. At most 4,096 characters are kept. */
  readonly reason: string;
}

/** What became of some rows of a claimed event. Rows that it does not name stay pending. */
export interface Settlement {
  readonly eventId: string;
  readonly token: number;
  readonly delivered: readonly RowRange[];
  readonly dead: readonly DeadRows[];
  /** Ends the claim: what is still pending can be claimed again. An event with nothing pending is released anyway. */
  readonly release: boolean;
}

/** `stale`: the claim is not this token's any more (fenced), or its event is gone; nothing was changed. */
export type SettlementOutcome = 'applied' | 'stale';

export interface StateCount {
  readonly count: number;
  /** When the oldest of them was received, milliseconds since the epoch; null when there is none. */
  readonly oldestReceivedAt: number | null;
}

export interface OutboxStats {
  /** Events with rows still to be sent, by kind; kinds without any may be missing. */
  readonly waiting: Readonly<Record<string, StateCount>>;
  /** Events with dead letters. */
  readonly dead: StateCount;
  readonly quarantined: StateCount;
  /** Of the bodies, by state. An event with rows of both kinds counts as dead and as waiting. */
  readonly bytes: { readonly waiting: number; readonly dead: number; readonly quarantined: number };
  /** What the store takes on the disk, and its limit. */
  readonly usedBytes: number;
  readonly maxBytes: number;
  /** Whether a put would be committed now, as far as is known. After a failed commit this tries a write. */
  readonly writable: boolean;
  /** What is wrong when it is not writable, for the log and /readyz. */
  readonly problem: string | null;
}

export interface PutOptions {
  /**
   * Removes this quarantined body in the same transaction: its events take its place. A body that is not there any
   * more makes the put store nothing, with the outcome `stored` and no entries, so that two replays make one event.
   */
  readonly resolves?: string;
}

/**
 * Every method may be called at any time until `close`. None of them throws for a full disk, an I/O error or a dead
 * worker unless it says so; they reject only on a defect of the caller's.
 */
export interface Outbox {
  /**
   * Stores all entries or none, in one durable transaction (many calls may share one commit). An entry whose id is
   * known is a duplicate: it stores nothing and counts as success. The same id twice in one call: the second is a
   * duplicate of the first.
   */
  put(entries: readonly OutboxEntry[], options?: PutOptions): Promise<PutOutcome>;
  /**
   * Takes events of one kind, oldest first, that nobody holds. They stay claimed until a settlement releases them or
   * completes them, or until their holder is gone (the process ended; for an engine with replicas, its lease ran out).
   * Puts that wait go before claims. An engine that cannot answer rejects with an OutboxUnavailableError.
   */
  claim(request: ClaimRequest): Promise<readonly ClaimedEvent[]>;
  /**
   * The bodies of claimed events, in their order; who has their rows still needs none. Null: the claim is not this
   * token's any more, as with a stale settlement. Rejects with an OutboxUnavailableError, also where one cannot be read.
   */
  bodies(claims: readonly ClaimKey[]): Promise<readonly (string | null)[]>;
  /**
   * Records what became of claimed rows, in one durable transaction; the outcomes are in the settlements' order.
   * Rejects with an OutboxUnavailableError when it could not be committed: nothing was recorded, settle again.
   */
  settle(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]>;
  /** Counts, ages and the condition of the store. Rejects with an OutboxUnavailableError when the engine is gone. */
  stats(): Promise<OutboxStats>;
  /** Forgets the identities of events that were delivered before `deliveredBefore` (ms since the epoch). How many. */
  prune(deliveredBefore: number): Promise<number>;
  /**
   * Up to when the deliveries that are remembered show that time has passed (ms since the epoch): the newest one, less
   * what is over a day in each pause between two. Null: none is remembered. Rejects with an OutboxUnavailableError.
   */
  recordedUntil(): Promise<number | null>;
  /** Finishes what was asked before, then closes the store. Later puts are `unavailable`. Closing twice does nothing. */
  close(): Promise<void>;
}

export class OutboxUnavailableError extends Error {
  override readonly name = 'OutboxUnavailableError';
  readonly code = 'outbox_unavailable';
}
