import type { EventEntry, QuarantineEntry, RowRange } from '../ground/event.ts';
import type { DeadRows } from './port.ts';

/** Where a record is. An event with rows of both kinds is listed as dead and as waiting. */
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

/** A place in a list: the record after which the next page begins. */
export interface Position {
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** The number of the record, which tells those of one millisecond apart. */
  readonly seq: number;
}

/** A ListRequest that was checked, as an engine gets it. */
export interface ListArgs {
  readonly state: RecordState;
  /** Null: of every kind. */
  readonly kind: string | null;
  readonly after: Position;
  readonly limit: number;
}

export interface DeadLetter extends DeadRows {
  /** When it was buried, milliseconds since the epoch. */
  readonly buriedAt: number;
}

/** A record without its rows or body: what a list shows. */
export interface RecordSummary {
  /** eventId or quarantineId. */
  readonly id: string;
  /** Of a quarantined body: the kind that its path named; null if it named none. */
  readonly kind: string | null;
  readonly receivedAt: number;
  readonly feed: string | null;
  /** Rows of the event that were accepted, and of those the ones that wait and that are dead; 0 for quarantine. */
  readonly rowCount: number;
  readonly pendingRows: number;
  readonly deadRows: number;
  /** Of the stored rows or of the body. */
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
  /** The JSON array of all rows of the event, or the body as it came. */
  readonly body: Uint8Array;
  /** The charset that the body's Content-Type named; null for an event, for UTF-8 and for none. */
  readonly charset: string | null;
  readonly pending: readonly RowRange[];
  readonly deadLetters: readonly DeadLetter[];
}

export interface FoundIds {
  /** In the order of their bytes, so that it is the whole text itself where a record has that id; null if there is none. */
  readonly first: string | null;
  readonly count: number;
}

/** Sorts after every id that begins with the text, by bytes in UTF-8. */
export function endOfIds(start: string): string {
  return `${start}\u{10ffff}`;
}

/** A record of another database, as far as it came over. Times are milliseconds since the epoch. */
export type MovedRecord =
  | {
      readonly type: 'event';
      readonly entry: EventEntry;
      readonly storedAt: number;
      /** The rows that are still to be sent; the others were delivered or are dead. */
      readonly pending: readonly RowRange[];
      readonly deadLetters: readonly DeadLetter[];
    }
  | { readonly type: 'quarantine'; readonly entry: QuarantineEntry; readonly storedAt: number }
  /** An event that was delivered: only its identity was left. */
  | {
      readonly type: 'identity';
      readonly eventId: string;
      readonly storedAt: number;
      readonly deliveredAt: number;
    };

/** What became of a quarantined body that was read again with the schemas and code of now. */
export type ReadAgain =
  | {
      readonly outcome: 'accepted';
      readonly events: readonly { eventId: string; kind: string; rows: number; duplicate: boolean }[];
    }
  | { readonly outcome: 'still_refused'; readonly code: string; readonly detail: string }
  /** No quarantined body has this id, or another replay took it meanwhile. */
  | { readonly outcome: 'nothing_to_replay' }
  /** The outbox is full or cannot commit: nothing was changed. */
  | { readonly outcome: 'unavailable' };

/** The operator's port of an outbox, beside port.ts. Every method rejects with an OutboxUnavailableError if it cannot be done now. */
export interface OutboxRecords {
  /** One page of records of one state, oldest first. Rejects with a RangeError for a request that is not valid. */
  list(request: ListRequest): Promise<RecordPage>;
  /** One record, or null when there is none of this id. */
  show(id: string): Promise<RecordDetail | null>;
  /** Which records have an id that begins with this text. */
  find(start: string): Promise<FoundIds>;
  /**
   * Makes all dead rows of these events wait again, past deduplication; the event keeps its id, delivered rows stay
   * delivered. How many rows of each, in the order of `eventIds`: 0 where there is no such event or none is dead.
   * One durable transaction.
   */
  revive(eventIds: readonly string[]): Promise<readonly number[]>;
  /**
   * Reads a quarantined body with the schemas and the code of now, and the time at which it was received; its events take
   * its place. With `dryRun` nothing is changed.
   */
  readAgain(id: string, dryRun: boolean): Promise<ReadAgain>;
  /**
   * Deletes records for good: the rows, the dead letters and what waits of an event (claimed rows too: their settlement
   * is then stale), or a quarantined body. The identity of an event stays, so that it is not taken anew. Which of the
   * ids were there, in their order. One durable transaction.
   */
  purge(ids: readonly string[]): Promise<readonly boolean[]>;
}

/** Records of one page. */
const MAX_PAGE = 1_000;
/** Before everything that can be stored. */
const FIRST_POSITION: Position = { receivedAt: Number.MIN_SAFE_INTEGER, seq: 0 };

/** Opaque to the caller, so that another engine may put into it what it needs. */
export function encodeCursor({ receivedAt, seq }: Position): string {
  return Buffer.from(`${receivedAt}.${seq}`).toString('base64url');
}

/** Throws a RangeError for text that is no cursor of ours. */
function decodeCursor(cursor: string): Position {
  const [, receivedAt, seq] = /^(-?\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  const position = { receivedAt: Number(receivedAt), seq: Number(seq) };
  // Base64 has several spellings of one text; only the one that was given out is taken.
  if (encodeCursor(position) !== cursor) throw new RangeError('This is no cursor that a page of this list gave');
  return position;
}

/** Throws a RangeError for a request that is not valid. */
export function readListRequest({ state, kind, after, limit }: ListRequest): ListArgs {
  if (!['waiting', 'dead', 'quarantined'].includes(state))
    throw new RangeError(`There is no list of the state ${state}`);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new RangeError(`limit must be a whole number from 1 to ${MAX_PAGE}, got ${limit}`);
  }
  return { state, kind: kind ?? null, after: after === undefined ? FIRST_POSITION : decodeCursor(after), limit };
}
