import type { OutboxStats, RowRange } from './port.ts';
import type { RecordIdError } from './record-id.ts';
import type { RecordDetail, RecordPage, RecordState } from './records.ts';

/**
 * What an operator can do with the outbox. The admin API serves it over HTTP, and the `outbox` commands use either that
 * API, while a server runs, or this directly, on a database that nobody serves. An id may be shortened, see
 * record-id.ts; results name the whole id.
 */
export interface OutboxOperator {
  stats(): Promise<OperatorStats>;
  list(request: { state: OperatorState; kind?: string; after?: string; limit: number }): Promise<RecordPage>;
  /** Null: no record has this id. Rejects with a RecordIdError. */
  show(id: string): Promise<RecordDetail | null>;
  /** Sends the dead rows of events again, and reads quarantined bodies again with the schemas and code of now. */
  replay(ids: readonly string[], options: { dryRun: boolean }): Promise<readonly ReplayResult[]>;
  /** Deletes for good; the results are in the order of `ids`. */
  purge(ids: readonly string[]): Promise<readonly PurgeResult[]>;
}

export interface PurgeResult {
  readonly id: string;
  /** False: there was no such record, or `code` and `detail` say why the id named none. */
  readonly purged: boolean;
  readonly code?: RecordIdError['code'];
  readonly detail?: string;
}

/** `held`: what waits of the kinds whose stream is on hold. Without a server nothing is known to be held. */
export type OperatorState = RecordState | 'held';

export interface OperatorStats extends OutboxStats {
  /** The kinds whose stream is on hold now, and why. */
  readonly holds: readonly HeldKind[];
}

export interface HeldKind {
  readonly kind: string;
  readonly stream: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly code: string;
  readonly reason: string;
  readonly fix: string;
  /** Azure's own words, which may quote a row; null: it said nothing. */
  readonly message: string | null;
  readonly clientRequestId: string | null;
}

export type ReplayResult =
  /** Dead rows wait again (or would). */
  | { readonly id: string; readonly outcome: 'revived'; readonly rows: number; readonly ranges: readonly RowRange[] }
  /** A quarantined body is understood now and its events were stored (or would be); duplicates make no rows. */
  | {
      readonly id: string;
      readonly outcome: 'accepted';
      readonly events: readonly { eventId: string; kind: string; rows: number; duplicate: boolean }[];
    }
  /** A quarantined body is still not understood: it stays where it is. */
  | { readonly id: string; readonly outcome: 'still_refused'; readonly code: string; readonly detail: string }
  /** No record of this id, or an event without dead rows; or `code` and `detail` say why the id named none. */
  | {
      readonly id: string;
      readonly outcome: 'nothing_to_replay';
      readonly code?: RecordIdError['code'];
      readonly detail?: string;
    }
  /** The outbox is full or cannot commit: nothing was changed. */
  | { readonly id: string; readonly outcome: 'unavailable' };
