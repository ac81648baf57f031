import type { HeldKind, OperatorState, OperatorStats, ReplayResult } from './operator.ts';
import type { StateCount } from './port.ts';
import type { DeadLetter, RecordDetail, RecordPage, RecordSummary } from './records.ts';
import { summary } from './summary.ts';

/**
 * What an operator sees, as JSON: the admin API answers with it, and the commands print it with `--json`. Names are in
 * snake_case and times in UTC, as in the other answers of the service. operator-read.ts reads it back.
 */

export const operatorStates = ['waiting', 'held', 'dead', 'quarantined'] as const satisfies readonly OperatorState[];

export function statsJson(stats: OperatorStats) {
  const { waiting, held, dead, quarantined } = summary(stats, stats.holds);
  return {
    waiting: countJson(waiting),
    held: countJson(held),
    dead: countJson(dead),
    quarantined: countJson(quarantined),
    /** What waits or is held, by kind. */
    kinds: Object.fromEntries(Object.entries(stats.waiting).map(([kind, count]) => [kind, countJson(count)])),
    held_kinds: stats.holds.map(({ kind }) => kind),
    holds: stats.holds.map(holdJson),
    body_bytes: stats.bytes,
    used_bytes: stats.usedBytes,
    max_bytes: stats.maxBytes,
    writable: stats.writable,
    problem: stats.problem,
  };
}

function holdJson({ kind, stream, since, code, reason, fix, message, clientRequestId }: HeldKind) {
  return { kind, stream, since: iso(since), code, reason, fix, message, client_request_id: clientRequestId };
}

export function summaryJson(record: RecordSummary) {
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
  return {
    type: record.type,
    ...summaryJson(record),
    body_form: record.meta?.bodyForm ?? null,
    pending: record.pending,
    dead_letters: record.deadLetters.map(deadLetterJson),
    ...bodyJson(record.body),
  };
}

export function replayJson(result: ReplayResult) {
  if (result.outcome !== 'accepted') return result;
  const events = result.events.map(({ eventId, kind, rows, duplicate }) => ({
    event_id: eventId,
    kind,
    rows,
    duplicate,
  }));
  return { ...result, events };
}

function deadLetterJson({ rows, code, reason, buriedAt }: DeadLetter) {
  return { rows, code, reason, buried_at: iso(buriedAt) };
}

function bodyJson(body: Uint8Array): { body: string } | { body_base64: string } {
  try {
    return { body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body) };
  } catch {
    return { body_base64: Buffer.from(body).toString('base64') };
  }
}

function countJson({ count, oldestReceivedAt }: StateCount) {
  return { count, oldest_received_at: oldestReceivedAt === null ? null : iso(oldestReceivedAt) };
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
