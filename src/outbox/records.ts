import type { DeadRows, EventMeta, Outbox, RowRange } from './port.ts';

/** Where a record lies. An event with rows of both kinds is listed as dead and as waiting. */
export type RecordState = 'waiting' | 'dead' | 'quarantined';

export interface ListRequest {
  readonly state: RecordState;
  /** Only of this webhook kind; quarantined bodies, whose kind is not sure, are then left out. */
  readonly kind?: string;
  /** `next` of the page before; oldest first, and a record that comes or goes meanwhile moves no other. */
  readonly after?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface DeadLetter extends DeadRows {
  /** When it was buried, milliseconds since the epoch. */
  readonly buriedAt: number;
}

/** A record without its body: what a list shows. */
export interface RecordSummary {
  /** eventId or quarantineId. */
  readonly id: string;
  /** Of a quarantined body: the kind that its path named; null: none. */
  readonly kind: string | null;
  readonly receivedAt: number;
  readonly feed: string | null;
  /** Rows of the event that were accepted, and of those the ones that wait and that are dead; 0 for quarantine. */
  readonly rowCount: number;
  readonly pendingRows: number;
  readonly deadRows: number;
  readonly bodyBytes: number;
  /** Of the newest dead letter, or of the quarantine; null for an event that only waits. The reason may quote the body. */
  readonly code: string | null;
  readonly reason: string | null;
}

export interface RecordPage {
  readonly records: readonly RecordSummary[];
  /** Null: this was the last page. */
  readonly next: string | null;
}

/** One record whole. */
export interface RecordDetail extends RecordSummary {
  readonly type: 'event' | 'quarantine';
  /** The decoded event as JSON text, or the body as it came. */
  readonly body: Uint8Array;
  /** Null for quarantine. */
  readonly meta: EventMeta | null;
  /** Of a body whose Content-Type named another charset than UTF-8; null or missing: it did not. */
  readonly charset?: string | null;
  readonly pending: readonly RowRange[];
  readonly deadLetters: readonly DeadLetter[];
}

export interface FoundIds {
  /** In the order of their bytes, so that it is the whole text itself where a record has that id; null: none. */
  readonly first: string | null;
  readonly count: number;
}

/** Sorts after every id that begins with the text, by bytes in UTF-8. */
export function endOfIds(start: string): string {
  return `${start}\u{10ffff}`;
}

/** The operator's port of an outbox, beside port.ts; what that says of all its methods is true of these. */
export interface OutboxRecords {
  /** One page of records of one state, oldest first. Rejects with an OutboxUnavailableError. */
  list(request: ListRequest): Promise<RecordPage>;
  /** One record, or null when there is none of this id. Rejects with an OutboxUnavailableError. */
  show(id: string): Promise<RecordDetail | null>;
  /** Which records have an id that begins with this text. Rejects with an OutboxUnavailableError. */
  find(start: string): Promise<FoundIds>;
  /**
   * Makes all dead rows of these events wait again, past deduplication; the event keeps its id, delivered rows stay
   * delivered. How many rows of each, in the order of `eventIds`: 0 where there is no such event or none is dead.
   * One durable transaction. Rejects with an OutboxUnavailableError.
   */
  revive(eventIds: readonly string[]): Promise<readonly number[]>;
  /**
   * Deletes records for good: the body, the dead letters and what waits of an event (claimed rows too: their settlement
   * is then stale), or a quarantined body. The identity of an event stays, so that it is not taken anew. Which of the
   * ids were there, in their order. One durable transaction. Rejects with an OutboxUnavailableError.
   */
  purge(ids: readonly string[]): Promise<readonly boolean[]>;
}

/** What each engine is. */
export interface OperableOutbox extends Outbox, OutboxRecords {}
