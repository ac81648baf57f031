import type { EventEntry, QuarantineEntry, RowRange } from '../ground/event.ts';
import type { DeadRows } from './port.ts';

/** Times are milliseconds since the epoch. */

/** Where a record is. An event with rows of both kinds is listed as dead and as waiting. */
export type RecordState = 'waiting' | 'dead' | 'quarantined';

export interface ListRequest {
  readonly state: RecordState;
  /** Only of these webhook kinds; quarantined bodies, whose kind is not sure, are then left out. */
  readonly kinds?: readonly string[];
  /** `next` of the page before; oldest first, and a record that comes or goes meanwhile moves no other. */
  readonly after?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** The record after which the next page of a list begins; its number tells those of one millisecond apart. */
interface Position {
  readonly receivedAt: number;
  readonly seq: number;
}

/** A ListRequest that was checked, as an engine gets it. */
export interface ListArgs extends Omit<ListRequest, 'after'> {
  readonly after: Position;
}

export interface DeadLetter extends DeadRows {
  readonly buriedAt: number;
}

/** A record without its rows or body: what a list shows. */
export interface RecordSummary {
  readonly id: string;
  /** Of a quarantined body: the kind that its path named; null if it named none. */
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

export type ListedRecord = RecordSummary & Position;

export interface RecordPage {
  readonly records: readonly RecordSummary[];
  /** Null: this was the last page. */
  readonly next: string | null;
}

export interface RecordDetail extends RecordSummary {
  readonly type: 'event' | 'quarantine';
  /** The JSON array of all rows of the event, or the body as it came. */
  readonly body: Uint8Array;
  /** The charset that the body's Content-Type named; null for an event, for UTF-8 and for none. */
  readonly charset: string | null;
  readonly pending: readonly RowRange[];
  readonly deadLetters: readonly DeadLetter[];
}

/** An event whose rows are gone. Its identity is kept for DEDUP_DAYS. */
export interface GoneEvent extends Pick<RecordSummary, 'id' | 'receivedAt' | 'feed' | 'rowCount'> {
  /** Empty where the identity came from another database. */
  readonly kind: string;
  readonly goneAt: number;
  /** False: it was purged, or it is not known what became of it. */
  readonly isDelivered: boolean;
}

export interface FoundIds {
  /** In the order of their bytes, so that it is the whole text itself where a record has that id; null if there is none. */
  readonly first: string | null;
  readonly count: number;
}

/** What an engine stores: an entry that is new, or a record of another database as far as it came over. */
export type StoredRecord = { readonly storedAt: number } & (
  | (EventEntry & { readonly pending: readonly RowRange[]; readonly deadLetters: readonly DeadLetter[] })
  | QuarantineEntry
  /** An event that was delivered: only its identity is left. */
  | { readonly type: 'identity'; readonly eventId: string; readonly deliveredAt: number }
);

/** What became of a quarantined body that was read again, as the operator is told. */
export type ReadAgain =
  /** Its events were stored (or would be); duplicates make no rows. */
  | {
      readonly outcome: 'accepted';
      readonly events: readonly { event_id: string; kind: string; rows: number; duplicate: boolean }[];
    }
  /** It is still not understood and stays where it is. */
  | { readonly outcome: 'still_refused'; readonly code: string; readonly detail: string }
  /** No quarantined body has this id, or another replay took it meanwhile. */
  | { readonly outcome: 'nothing_to_replay' }
  /** The outbox is full, cannot commit, or did not answer: only then it may be done all the same. */
  | { readonly outcome: 'unavailable' };

/** The operator's port of an outbox. Every method rejects with an OutboxUnavailableError if it cannot be done now. */
export interface OutboxRecords {
  /** Oldest first. Rejects with a RangeError for a request that is not valid. */
  list(request: ListRequest): Promise<RecordPage>;
  /** Null when there is none of this id. */
  show(id: string): Promise<RecordDetail | null>;
  /** Which records (events that wait or are dead, quarantined bodies) have an id that begins with this text. */
  find(start: string): Promise<FoundIds>;
  /** The only event that is gone and has such an id; null if there is none, or several. */
  gone(start: string): Promise<GoneEvent | null>;
  /**
   * Makes all dead rows of these events wait again, past deduplication, in one durable transaction. How many rows of each:
   * 0 where there is no such event or none is dead.
   */
  revive(eventIds: readonly string[]): Promise<readonly number[]>;
  /**
   * Reads a quarantined body with the schemas and code of now and the time at which it was received; its events take its
   * place. With `dryRun` nothing is changed.
   */
  readAgain(id: string, dryRun: boolean): Promise<ReadAgain>;
  /**
   * Deletes records for good in one durable transaction: quarantined bodies, and of events all but the identity, so that
   * they are not taken anew (claimed rows too: their settlement is then stale). Which of the ids were there.
   */
  purge(ids: readonly string[]): Promise<readonly boolean[]>;
}

/** Records of one page. */
const MAX_PAGE = 1_000;
const FIRST_POSITION: Position = { receivedAt: Number.MIN_SAFE_INTEGER, seq: 0 };

/** Opaque to the caller, so that another engine may put into it what it needs. */
export function encodeCursor({ receivedAt, seq }: Position): string {
  return Buffer.from(`${receivedAt}.${seq}`).toString('base64url');
}

/** Throws a RangeError for text that is no cursor of ours. */
function decodeCursor(cursor: string): Position {
  const [, receivedAt = '', seq = ''] =
    /^(-?\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  const position = { receivedAt: Number(receivedAt), seq: Number(seq) };
  // Base64 has several spellings of one text; only the one that was given out is taken.
  if (encodeCursor(position) !== cursor) throw new RangeError('This is no cursor that a page of this list gave');
  return position;
}

/** Throws a RangeError for a request that is not valid. */
export function readListRequest({ after, ...request }: ListRequest): ListArgs {
  const { state, limit } = request;
  if (!['waiting', 'dead', 'quarantined'].includes(state))
    throw new RangeError(`There is no list of the state ${state}`);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new RangeError(`limit must be a whole number from 1 to ${MAX_PAGE}, got ${limit}`);
  }
  return { ...request, after: after === undefined ? FIRST_POSITION : decodeCursor(after) };
}
