import type { Clock } from '../clock.ts';
import type { TemplateEscaping } from '../config/config.ts';
import type { QuarantineCode } from '../http/problem-codes.ts';
import type { AcceptedEvent, Receive, Received, ReceivedBody } from '../http/receiver.ts';
import { isJsonObject, type JsonValue } from '../json.ts';
import type { Problem, RowPlan, WebhookKind } from '../kinds/kind.ts';
import type { EventEntry, EventMeta, Outbox, StoredEntry } from '../outbox/port.ts';
import type { Logger } from '../telemetry/logger.ts';
import { eventId, quarantineId } from './identity.ts';
import { MAX_DEPTH, readBody } from './read.ts';
import { isRecipeRow } from './recipe-row.ts';

/** One event becomes at most so many rows, ... */
export const MAX_ROWS_PER_EVENT = 10_000;
/** ... of at most so many bytes of JSON: a small body must not become gigabytes on the way out. */
export const MAX_MAPPED_BYTES_PER_EVENT = 268_435_456;

export interface ReceiverOptions {
  readonly outbox: Outbox;
  readonly kinds: readonly WebhookKind[];
  /** By name of the kind; null: its stream is off, so its events go into quarantine. */
  readonly streams: Readonly<Record<string, string | null>>;
  readonly escaping: TemplateEscaping;
  readonly clock: Clock;
  readonly log: Logger;
  /** Tells delivery that there is something new. */
  readonly onStored: (kind: string, mappedBytes: number) => void;
}

/** Why an authentic body is kept for later instead of taken. */
interface Refusal {
  readonly type: 'not_json' | 'not_understood';
  readonly code: QuarantineCode;
  readonly detail: string;
  readonly errors: readonly Problem[];
}

type Understood = { readonly entries: readonly EventEntry[] } | { readonly refusal: Refusal };

/** The way of a body from the edge into the outbox: read → repair → kind → schema → identity → put. */
export function createReceiver(options: ReceiverOptions): Receive {
  return async (body) => {
    const receivedAt = options.clock.now();
    const understood = understand(body, receivedAt, options);
    if ('refusal' in understood) return quarantine(body, receivedAt, understood.refusal, options.outbox);
    const put = await options.outbox.put(understood.entries);
    if (put.outcome !== 'stored') return { outcome: put.outcome };
    for (const [index, entry] of understood.entries.entries()) {
      if (!put.entries[index]?.duplicate) options.onStored(entry.kind, entry.mappedBytes);
    }
    const events = understood.entries.map((entry, index) => accepted(entry, put.entries[index], receivedAt));
    return { outcome: 'accepted', events, batch: events.length > 1 };
  };
}

function understand(body: ReceivedBody, receivedAt: number, options: ReceiverOptions): Understood {
  const read = readBody(body.bytes, options.escaping);
  switch (read.outcome) {
    case 'not_json':
      return { refusal: { type: 'not_json', code: 'body_not_json', detail: read.detail, errors: [] } };
    case 'too_deep':
      return refuse('nested_too_deep', [{ path: '', message: `is nested deeper than ${MAX_DEPTH} levels` }]);
    case 'read':
      return understandEvents(read.value, read.plain, { receivedAt, bodyForm: read.form, feed: body.feed }, options);
  }
}

/** All events of the body or none: the first one that is refused refuses the whole. */
function understandEvents(value: JsonValue, plain: unknown, meta: EventMeta, options: ReceiverOptions): Understood {
  if (!Array.isArray(value)) return understandEvent(value, plain, meta, options);
  if (value.length === 0) return refuse('no_event', [{ path: '', message: 'is an empty list' }]);
  const plainEvents = plain as readonly unknown[];
  const entries: EventEntry[] = [];
  for (const [index, element] of value.entries()) {
    const understood = understandEvent(element, plainEvents[index], meta, options);
    if ('refusal' in understood) return { refusal: withPrefix(understood.refusal, `/${index}`) };
    entries.push(...understood.entries);
  }
  return { entries };
}

function understandEvent(value: JsonValue, plain: unknown, meta: EventMeta, options: ReceiverOptions): Understood {
  if (!isJsonObject(value)) return refuse('schema_mismatch', [{ path: '', message: 'must be an event object' }]);
  const mismatches = options.kinds.map((kind) => ({ kind, reason: kind.mismatch(value) }));
  const kind = mismatches.find((candidate) => candidate.reason === null)?.kind;
  if (kind === undefined) {
    const errors = mismatches.map(({ kind: { name }, reason }) => ({
      path: '',
      message: `is no ${name} event: ${reason}`,
    }));
    return refuse('unknown_kind', errors);
  }
  const problems = kind.validate(plain);
  if (problems.length > 0) return refuse('schema_mismatch', problems);
  if (options.streams[kind.name] == null) {
    return refuse('stream_off', [{ path: '', message: `is a ${kind.name} event, and ${kind.streamVariable} is off` }]);
  }
  const bodyForm = isRecipeRow(value) ? 'recipe' : meta.bodyForm;
  return entryOf(value, kind, { ...meta, bodyForm }, options.log);
}

function entryOf(value: JsonValue & object, kind: WebhookKind, meta: EventMeta, log: Logger): Understood {
  const id = eventId(kind.name, value);
  let plan: RowPlan;
  let mappedBytes: number;
  try {
    plan = kind.plan({ eventId: id, value: value as Parameters<WebhookKind['plan']>[0]['value'], meta });
    if (plan.rowCount > MAX_ROWS_PER_EVENT) {
      return refuse('too_many_rows', [
        { path: '', message: `makes ${plan.rowCount} rows, over ${MAX_ROWS_PER_EVENT}` },
      ]);
    }
    mappedBytes = plan.measure(MAX_MAPPED_BYTES_PER_EVENT);
  } catch (error) {
    // A defect of ours must not lose the event: the body stays in quarantine until a version that can map it.
    log.error(
      { event_id: id, kind: kind.name, error: error instanceof Error ? error.name : 'unknown' },
      'mapping failed',
    );
    return refuse('mapping_failed', [
      { path: '', message: 'could not be mapped to rows; this is a defect of the service' },
    ]);
  }
  if (mappedBytes > MAX_MAPPED_BYTES_PER_EVENT) {
    return refuse('too_many_bytes', [{ path: '', message: `makes rows of over ${MAX_MAPPED_BYTES_PER_EVENT} bytes` }]);
  }
  const body = JSON.stringify(value);
  // Claims are bounded by this, and a body full of unknown fields is larger than its rows.
  const claimBytes = Math.max(mappedBytes, Buffer.byteLength(body));
  return {
    entries: [
      { type: 'event', eventId: id, kind: kind.name, body, meta, rowCount: plan.rowCount, mappedBytes: claimBytes },
    ],
  };
}

function refuse(code: QuarantineCode, errors: readonly Problem[]): { readonly refusal: Refusal } {
  const first = errors[0];
  const where = first?.path ? `${first.path} ` : 'the body ';
  const detail = `${where}${first?.message ?? ''}${errors.length > 1 ? `, and ${errors.length - 1} more` : ''}`;
  return { refusal: { type: 'not_understood', code, detail, errors } };
}

function withPrefix(refusal: Refusal, prefix: string): Refusal {
  const errors = refusal.errors.map(({ path, message }) => ({ path: prefix + path, message }));
  return errors.length > 0 ? { ...refuse(refusal.code, errors).refusal, type: refusal.type } : refusal;
}

async function quarantine(body: ReceivedBody, receivedAt: number, refusal: Refusal, outbox: Outbox): Promise<Received> {
  const { code, detail, errors } = refusal;
  const reason = errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ') || detail;
  const id = quarantineId(body.bytes);
  const put = await outbox.put([
    { type: 'quarantine', quarantineId: id, body: body.bytes, receivedAt, feed: body.feed, code, reason },
  ]);
  if (put.outcome !== 'stored') return { outcome: put.outcome };
  return refusal.type === 'not_json'
    ? { outcome: 'not_json', code, detail }
    : { outcome: 'not_understood', code, detail, errors };
}

function accepted(entry: EventEntry, stored: StoredEntry | undefined, receivedAt: number): AcceptedEvent {
  return {
    eventId: entry.eventId,
    kind: entry.kind,
    rows: entry.rowCount,
    duplicate: stored?.duplicate ?? false,
    firstStoredAt: stored?.firstStoredAt ?? receivedAt,
  };
}
