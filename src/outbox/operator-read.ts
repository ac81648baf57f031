import type { HeldKind, OperatorStats, PurgeResult, ReplayResult } from './operator.ts';
import type { EventMeta, RowRange, StateCount } from './port.ts';
import type { DeadLetter, RecordDetail, RecordPage, RecordSummary } from './records.ts';

/**
 * Reads what operator-json.ts writes. Another program may be at the address that was asked, or another version of this
 * one: what is missing or of another type throws a TypeError that names the member, and never quotes its value.
 */

export function readStats(json: unknown): OperatorStats {
  const stats = object(json, 'answer');
  const kinds = Object.entries(object(stats['kinds'], 'kinds'));
  const bytes = object(stats['body_bytes'], 'body_bytes');
  return {
    waiting: Object.fromEntries(kinds.map(([kind, count]) => [kind, readCount(count, `kinds.${kind}`)])),
    dead: readCount(stats['dead'], 'dead'),
    quarantined: readCount(stats['quarantined'], 'quarantined'),
    bytes: {
      waiting: number(bytes['waiting'], 'body_bytes'),
      dead: number(bytes['dead'], 'body_bytes'),
      quarantined: number(bytes['quarantined'], 'body_bytes'),
    },
    holds: list(stats['holds'], 'holds').map(readHold),
    usedBytes: number(stats['used_bytes'], 'used_bytes'),
    maxBytes: number(stats['max_bytes'], 'max_bytes'),
    writable: stats['writable'] === true,
    problem: textOrNull(stats['problem'], 'problem'),
  };
}

function readHold(json: unknown): HeldKind {
  const hold = object(json, 'holds');
  return {
    kind: text(hold['kind'], 'holds.kind'),
    stream: text(hold['stream'], 'holds.stream'),
    since: time(hold['since'], 'holds.since'),
    code: text(hold['code'], 'holds.code'),
    reason: text(hold['reason'], 'holds.reason'),
    fix: text(hold['fix'], 'holds.fix'),
    message: textOrNull(hold['message'], 'holds.message'),
    clientRequestId: textOrNull(hold['client_request_id'], 'holds.client_request_id'),
  };
}

export function readPage(json: unknown): RecordPage {
  const page = object(json, 'answer');
  return { records: list(page['records'], 'records').map(readSummary), next: textOrNull(page['next'], 'next') };
}

function readSummary(json: unknown): RecordSummary {
  const record = object(json, 'record');
  return {
    id: text(record['id'], 'id'),
    kind: textOrNull(record['kind'], 'kind'),
    receivedAt: time(record['received_at'], 'received_at'),
    feed: textOrNull(record['feed'], 'feed'),
    rowCount: number(record['rows'], 'rows'),
    pendingRows: number(record['pending_rows'], 'pending_rows'),
    deadRows: number(record['dead_rows'], 'dead_rows'),
    bodyBytes: number(record['body_bytes'], 'body_bytes'),
    code: textOrNull(record['code'], 'code'),
    reason: textOrNull(record['reason'], 'reason'),
  };
}

export function readDetail(json: unknown): RecordDetail {
  const record = object(json, 'answer');
  const summary = readSummary(record);
  const base64 = record['body_base64'];
  return {
    ...summary,
    type: text(record['type'], 'type') === 'event' ? 'event' : 'quarantine',
    body:
      base64 === undefined ? Buffer.from(text(record['body'], 'body')) : Buffer.from(text(base64, 'body'), 'base64'),
    meta: readMeta(textOrNull(record['body_form'], 'body_form'), summary),
    pending: ranges(record['pending'], 'pending'),
    deadLetters: list(record['dead_letters'], 'dead_letters').map(readDeadLetter),
  };
}

function readMeta(form: string | null, { receivedAt, feed }: RecordSummary): EventMeta | null {
  if (form === null) return null;
  if (form !== 'json' && form !== 'template' && form !== 'recipe') throw wrong('body_form');
  return { receivedAt, feed, bodyForm: form };
}

function readDeadLetter(json: unknown): DeadLetter {
  const letter = object(json, 'dead_letters');
  return {
    rows: ranges(letter['rows'], 'rows'),
    code: text(letter['code'], 'code'),
    reason: text(letter['reason'], 'reason'),
    buriedAt: time(letter['buried_at'], 'buried_at'),
  };
}

export function readReplay(json: unknown): readonly ReplayResult[] {
  return list(object(json, 'answer')['results'], 'results').map((result) => readReplayResult(object(result, 'result')));
}

function readReplayResult(result: Readonly<Record<string, unknown>>): ReplayResult {
  const id = text(result['id'], 'id');
  const outcome = text(result['outcome'], 'outcome');
  switch (outcome) {
    case 'revived':
      return { id, outcome, rows: number(result['rows'], 'rows'), ranges: ranges(result['ranges'], 'ranges') };
    case 'accepted':
      return { id, outcome, events: list(result['events'], 'events').map(readReplayedEvent) };
    case 'still_refused':
      return { id, outcome, code: text(result['code'], 'code'), detail: text(result['detail'], 'detail') };
    case 'nothing_to_replay':
      return { id, outcome, ...readIdRefusal(result) };
    case 'unavailable':
      return { id, outcome };
    default:
      throw wrong('outcome');
  }
}

function readIdRefusal(result: Readonly<Record<string, unknown>>): Pick<PurgeResult, 'code' | 'detail'> {
  const code = result['code'];
  return code === 'id_too_short' || code === 'id_ambiguous' ? { code, detail: text(result['detail'], 'detail') } : {};
}

function readReplayedEvent(json: unknown) {
  const event = object(json, 'events');
  return {
    eventId: text(event['event_id'], 'event_id'),
    kind: text(event['kind'], 'kind'),
    rows: number(event['rows'], 'rows'),
    duplicate: event['duplicate'] === true,
  };
}

export function readPurge(json: unknown): readonly PurgeResult[] {
  const results = list(object(json, 'answer')['results'], 'results');
  return results.map((json) => {
    const result = object(json, 'result');
    return { id: text(result['id'], 'id'), purged: result['purged'] === true, ...readIdRefusal(result) };
  });
}

function readCount(json: unknown, name: string): StateCount {
  const count = object(json, name);
  const oldest = count['oldest_received_at'];
  return { count: number(count['count'], name), oldestReceivedAt: oldest === null ? null : time(oldest, name) };
}

function ranges(json: unknown, name: string): RowRange[] {
  return list(json, name).map((range) => {
    const [from, to] = list(range, name);
    return [number(from, name), number(to, name)];
  });
}

function object(json: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw wrong(name);
  return { ...json };
}

function list(json: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(json)) throw wrong(name);
  return json;
}

function text(json: unknown, name: string): string {
  if (typeof json !== 'string') throw wrong(name);
  return json;
}

function textOrNull(json: unknown, name: string): string | null {
  return json === null ? null : text(json, name);
}

function number(json: unknown, name: string): number {
  if (typeof json !== 'number') throw wrong(name);
  return json;
}

function time(json: unknown, name: string): number {
  const timeMs = Date.parse(text(json, name));
  if (Number.isNaN(timeMs)) throw wrong(name);
  return timeMs;
}

function wrong(name: string): TypeError {
  return new TypeError(`"${name}" is missing or not what it should be`);
}
