import { isUtf8 } from 'node:buffer';
import { CodedError } from '../ground/error.ts';
import type { RowRange } from '../ground/event.ts';
import { type OutboxStats, type StateCount, summary } from './port.ts';
import type { GoneEvent, ListRequest, ReadAgain, RecordDetail, RecordPage, RecordSummary } from './records.ts';

/**
 * What an operator can do with the outbox, over HTTP or directly (ADR 11). An id may be shortened to any unique beginning
 * of eight characters or more; results name the whole id. All results are JSON as the API answers and `--json` prints it:
 * names in snake_case, times in UTC.
 */
export interface OutboxOperator {
  stats(): Promise<StatsJson>;
  list(request: OperatorListRequest): Promise<PageJson>;
  /** Null: no record has this id. Rejects with a RecordIdError. */
  show(id: string): Promise<DetailJson | null>;
  /** An event of which only the identity is left; null: none that is still remembered has this id. */
  gone(id: string): Promise<GoneJson | null>;
  /** Sends the dead rows of events again, and reads quarantined bodies again with the schemas and code of now. */
  replay(ids: readonly string[], options: { dryRun: boolean }): Promise<readonly ReplayResult[]>;
  /** Deletes for good; the results are in the order of `ids`. */
  purge(ids: readonly string[]): Promise<readonly PurgeResult[]>;
}

/** The text is too short to stand for an id, or is the beginning of several. */
export class RecordIdError extends CodedError<'id_too_short' | 'id_ambiguous'> {
  override readonly name = 'RecordIdError';
}

export interface OperatorListRequest extends Omit<ListRequest, 'state' | 'kinds'> {
  readonly state: OperatorState;
  readonly kind?: string;
}

export type StatsJson = ReturnType<typeof statsJson>;
export type HoldJson = ReturnType<typeof holdJson>;
export type RecordJson = ReturnType<typeof summaryJson>;
export type PageJson = ReturnType<typeof pageJson>;
export type DetailJson = ReturnType<typeof detailJson>;
export type DeadLetterJson = DetailJson['dead_letters'][number];
export type GoneJson = ReturnType<typeof goneJson>;

/** Why an id named no record, if it was too short or named several. */
interface Unnamed {
  readonly code?: RecordIdError['code'];
  readonly detail?: string;
}

export interface PurgeResult extends Unnamed {
  readonly id: string;
  readonly purged: boolean;
}

/** `held`: what waits of the kinds whose stream is on hold. Without a server nothing is known to be held. */
export const operatorStates = ['waiting', 'held', 'dead', 'quarantined'] as const;

export type OperatorState = (typeof operatorStates)[number];

/**
 * Why the stream of a kind waits for a person, and since when. `reason` and `fix` hold no secret, and of foreign text codes
 * alone.
 */
export interface HeldKind {
  readonly kind: string;
  /** `off` where the stream of the kind is off. */
  readonly stream: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly code: string;
  /** What happened, in one sentence; it may be logged. */
  readonly reason: string;
  /** What a person has to do; empty when nothing has to be done. */
  readonly fix: string;
  /** Azure's own words, which may quote a row: for the admin port and the terminal alone. Null: it said nothing. */
  readonly message: string | null;
  /** x-ms-client-request-id of the request that was refused: Azure's DCRLogErrors shows it. Null where none was sent. */
  readonly clientRequestId: string | null;
}

export type ReplayResult = { readonly id: string } & (
  | Exclude<ReadAgain, { outcome: 'nothing_to_replay' }>
  /** Dead rows wait again (or would). */
  | { readonly outcome: 'revived'; readonly rows: number; readonly ranges: readonly RowRange[] }
  /** No such record, or an event without dead rows. */
  | ({ readonly outcome: 'nothing_to_replay' } & Unnamed)
);

export function statsJson(stats: OutboxStats, holds: readonly HeldKind[]) {
  const { waiting, held, dead, quarantined } = summary(stats, holds);
  return {
    waiting: countJson(waiting),
    held: countJson(held),
    dead: countJson(dead),
    quarantined: countJson(quarantined),
    kinds: Object.fromEntries(Object.entries(stats.waiting).map(([kind, count]) => [kind, countJson(count)])),
    held_kinds: holds.map(({ kind }) => kind),
    holds: holds.map(holdJson),
    body_bytes: stats.bytes,
    used_bytes: stats.usedBytes,
    log_bytes: stats.logBytes,
    max_bytes: stats.maxBytes,
    writable: stats.writable,
    problem: stats.problem,
  };
}

function holdJson({ kind, stream, since, code, reason, fix, message, clientRequestId }: HeldKind) {
  return { kind, stream, since: iso(since), code, reason, fix, message, client_request_id: clientRequestId };
}

function summaryJson(record: RecordSummary) {
  return {
    id: record.id,
    kind: record.kind,
    received_at: iso(record.receivedAt),
    feed: record.feed,
    rows: record.rowCount,
    pending_rows: record.pendingRows,
    dead_rows: record.deadRows,
    body_bytes: record.bodyBytes,
    code: record.code,
    reason: record.reason,
  };
}

export function pageJson({ records, next }: RecordPage) {
  return { records: records.map(summaryJson), next };
}

/** The body is `body` where it is UTF-8, else `body_base64`. */
export function detailJson(record: RecordDetail) {
  const bytes = Buffer.from(record.body);
  const body = isUtf8(bytes) ? { body: bytes.toString() } : { body_base64: bytes.toString('base64') };
  return {
    type: record.type,
    ...summaryJson(record),
    pending: record.pending,
    dead_letters: record.deadLetters.map(({ buriedAt, ...letter }) => ({ ...letter, buried_at: iso(buriedAt) })),
    ...body,
  };
}

export function goneJson({ id, kind, feed, rowCount, receivedAt, goneAt, isDelivered }: GoneEvent) {
  const what = isDelivered
    ? 'all rows delivered to Azure, and deleted here'
    : 'deleted: it was purged, or came from another database and is only remembered';
  const times = { received_at: iso(receivedAt), gone_at: iso(goneAt) };
  return { id, kind, feed, rows: rowCount, ...times, is_delivered: isDelivered, what };
}

function countJson({ count, oldestReceivedAt }: StateCount) {
  return { count, oldest_received_at: oldestReceivedAt === null ? null : iso(oldestReceivedAt) };
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
