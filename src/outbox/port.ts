import type { RowRange } from '../ground/event.ts';
import type { ReceivedBody } from '../intake/understand.ts';
import type { Problem } from '../kinds/kind.ts';
import type { ClaimRequest } from './engine.ts';

/**
 * The outbox: where an accepted event waits, durably, until Azure has its rows. This port is what the edge and delivery
 * know of it, records.ts is what the operator's commands know. Behind it is the store thread (thread/), in it the store
 * (store.ts) over one of two engines (engine.ts); test/outbox/contract.ts holds both engines to the same contract.
 *
 * An event is waiting while any of its rows is neither delivered nor dead, and dead while any of its rows is a dead
 * letter. Once all of its rows are delivered they are deleted and only its identity stays, for deduplication.
 */

/** One for each entry that was put, in their order. */
export interface StoredEntry {
  readonly id: string;
  readonly duplicate: boolean;
  /** Milliseconds since the epoch; this put's time unless it is a duplicate. */
  readonly firstStoredAt: number;
}

/** `stored`: committed and synced. `full`: nothing was stored. `unavailable`: see Received. */
export type PutOutcome =
  | { readonly outcome: 'stored'; readonly entries: readonly StoredEntry[] }
  | { readonly outcome: 'full' }
  | { readonly outcome: 'unavailable'; readonly reason: string };

export interface AcceptedEvent extends Omit<StoredEntry, 'id'> {
  readonly eventId: string;
  readonly kind: string;
  /** What happened, one of a few fixed words whatever Apono's spelling (`eventAction` of apono/event.ts). */
  readonly action: string;
  readonly rows: number;
  readonly hasInvalidFields: boolean;
}

/** What became of one authentic body; the route has one exhaustive switch over it. */
export type Received =
  /** 200. Committed and synced. `looksEscaped`: its text looks as if a template had escaped it, and was stored as it came. */
  | { readonly outcome: 'accepted'; events: readonly AcceptedEvent[]; looksEscaped: boolean }
  /** 400 or 422, as intake/quarantine-codes.ts says of the code. The body is kept. `errors` is empty if it is no JSON. */
  | { readonly outcome: 'quarantined'; code: string; detail: string; errors: readonly Problem[] }
  /** 503 with Retry-After. Nothing was stored: OUTBOX_MAX_BYTES or the disk is reached. */
  | { readonly outcome: 'full' }
  /**
   * 503 with Retry-After. The outbox cannot commit now (I/O error, closing, its thread is gone), or its answer was lost:
   * then it may be stored all the same, and is a duplicate when it comes again.
   */
  | { readonly outcome: 'unavailable' };

export type ReceivedAs<Outcome extends Received['outcome']> = Extract<Received, { readonly outcome: Outcome }>;

/** Takes an authentic body. Resolves when what it says is durable; rejects only on a defect, which is answered 500. */
export type Receive = (body: ReceivedBody) => Promise<Received>;

/** Azure takes no larger request, before compression (facts: Logs Ingestion limits, 1 MB a call). */
export const MAX_REQUEST_BYTES = 1_048_576;
/** Of the rows that are joined into one call; a single row may be larger. */
export const MAX_CALL_BYTES = 950_000;

/** An event some of whose rows are claimed. */
export interface ClaimedEvent {
  readonly eventId: string;
  /** Fences this claim: a settlement with another token is stale and changes nothing. */
  readonly token: number;
  readonly receivedAt: number;
  /** What happened, as AcceptedEvent has it. */
  readonly action: string;
  /** Never empty. */
  readonly ranges: readonly RowRange[];
}

/** Where a row of a call comes from. */
export interface RowSource {
  /** The claim's own object of the event, also after both have come from the store thread in one message. */
  readonly event: ClaimedEvent;
  readonly index: number;
}

/** What goes into one request to Azure. */
export interface ClaimedCall {
  /** A JSON array of rows: at most MAX_CALL_BYTES, or a single row that is larger. */
  readonly text: string;
  readonly bytes: number;
  /** Where each row begins in `text`, in UTF-16 units. One character stands between two rows, and one after the last. */
  readonly starts: readonly number[];
  /** Whose rows they are, in their order. */
  readonly sources: readonly RowSource[];
}

export interface Claimed {
  readonly events: readonly ClaimedEvent[];
  /** All claimed rows, each in one call. */
  readonly calls: readonly ClaimedCall[];
  /** The claim ended at one of its bounds, so there may be more to claim. */
  readonly mayBeMore: boolean;
}

export interface DeadRows {
  readonly rows: readonly RowRange[];
  /** Stable code of why, as in docs/errors.md. */
  readonly code: string;
  /** Azure's message or ours, for a person. At most 4,096 characters are kept. */
  readonly reason: string;
}

/** What became of some rows of a claimed event. Rows that it does not name stay pending. */
export interface Settlement extends Pick<ClaimedEvent, 'eventId' | 'token'> {
  readonly delivered: readonly RowRange[];
  readonly dead: readonly DeadRows[];
  /** Ends the claim: what is still pending can be claimed again. A claim without rows left ends anyway. */
  readonly release: boolean;
}

/** `stale`: the claim is not this token's any more (fenced), or its event is gone; nothing was changed. */
export type SettlementOutcome = 'applied' | 'stale';

export interface StateCount {
  readonly count: number;
  /** Milliseconds since the epoch; null when there is none. */
  readonly oldestReceivedAt: number | null;
}

export interface OutboxStats {
  /** Events with rows still to be sent, by kind; kinds without any may be missing. */
  readonly waiting: Readonly<Record<string, StateCount>>;
  readonly dead: StateCount;
  readonly quarantined: StateCount;
  /** Of stored rows and bodies. An event with rows of both kinds counts as dead and as waiting. */
  readonly bytes: { readonly waiting: number; readonly dead: number; readonly quarantined: number };
  /** On the disk: the data, which OUTBOX_MAX_BYTES limits, and a write-ahead log, which is emptied now and then. */
  readonly usedBytes: number;
  readonly logBytes: number;
  readonly maxBytes: number;
  /** Whether a put would be committed now, as far as is known. After a failed commit this tries a write. */
  readonly writable: boolean;
  /** What is wrong when it is not writable, for the log and /readyz. */
  readonly problem: string | null;
}

/** How long probes, scrapes, the page and the heartbeat wait for `stats`; after that they answer without it. */
export const STATS_LIMIT_MS = 2_000;

/** What is not delivered, `held` of the kinds whose stream is on hold and `waiting` of the others, and both together. */
export function summary({ waiting: byKind, dead, quarantined }: OutboxStats, holds: readonly { kind: string }[]) {
  const heldKinds = new Set(holds.map(({ kind }) => kind));
  const of = (isHeld: boolean) =>
    sumOf(Object.entries(byKind).flatMap(([kind, count]) => (heldKinds.has(kind) === isHeld ? [count] : [])));
  return { waiting: of(false), held: of(true), dead, quarantined, undelivered: sumOf(Object.values(byKind)) };
}

export function sumOf(counts: readonly StateCount[]): StateCount {
  const times = counts.flatMap(({ oldestReceivedAt }) => oldestReceivedAt ?? []);
  return {
    count: counts.reduce((sum, { count }) => sum + count, 0),
    oldestReceivedAt: times.length === 0 ? null : Math.min(...times),
  };
}

/** How long ago the oldest was received; 0 if there is none. The clock may have been set back since. */
export function oldestAgeMs({ oldestReceivedAt }: StateCount, nowMs: number): number {
  return oldestReceivedAt === null ? 0 : Math.max(0, nowMs - oldestReceivedAt);
}

/** Claiming and settling: what delivery needs. */
export interface Queue {
  /**
   * Takes rows of one kind that nobody holds, oldest events first, until a settlement releases or completes them or their
   * holder is gone (its process ended or, with replicas, its lease ran out). By default up to 1,000 events, whichever.
   * Rejects with an OutboxUnavailableError.
   */
  claim(request: Pick<ClaimRequest, 'kind' | 'maxBytes'> & Partial<ClaimRequest>): Promise<Claimed>;
  /**
   * Records what became of claimed rows, in one durable transaction; the outcomes are in the settlements' order.
   * Rejects with an OutboxUnavailableError when it is not known to be committed: settle again.
   */
  settle(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]>;
  /** Rejects with an OutboxUnavailableError when the store is gone. */
  stats(): Promise<OutboxStats>;
}

/** Whether a stream may be sent to now, for all that deliver from the same outbox. */
export interface Turn {
  /** 0: go on. Otherwise rest for so many milliseconds, then ask again. */
  readonly restMs: number;
  /** All others rest until this one has found out whether Azure takes rows again: send one call at a time. */
  readonly alone: boolean;
}

/**
 * Ingestion over its limit, or a stream on hold, is a matter of the whole group: what one replica learns slows all, and
 * one of them tries again for all. No method rejects: where the others cannot be asked, everybody goes at their own pace.
 */
export interface SharedPace {
  turn(stream: string): Promise<Turn>;
  /** Azure asked for a pause, or holds the stream. `wasAlone`: this is what the one that tried for all found out. */
  rest(stream: string, delayMs: number, wasAlone: boolean): Promise<void>;
  /** Azure takes rows again. */
  resume(stream: string): Promise<void>;
  /** Whoever asks for a turn next gets it. Whether the group was resting. */
  endRest(stream: string): Promise<boolean>;
}

/** For an outbox used by a single process: there is nobody to coordinate with, and its own backoff is enough. */
export const ownPace: SharedPace = {
  turn: async () => ({ restMs: 0, alone: false }),
  rest: async () => undefined,
  resume: async () => undefined,
  endRest: async () => false,
};

export class OutboxUnavailableError extends Error {
  override readonly name = 'OutboxUnavailableError';
  readonly code = 'outbox_unavailable';
}
