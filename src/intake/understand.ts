import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EventAction, eventId, isRecipeRow } from '../apono/event.ts';
import { MAX_DEPTH, MAX_VALUES, readBody, type TemplateEscaping } from '../apono/read.ts';
import type { EventEntry, EventMeta } from '../ground/event.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import type { Problem, WebhookKind } from '../kinds/kind.ts';
import { dataElsewhere, whyNoEvent } from '../kinds/no-event.ts';
import { recognize } from '../kinds/recognize.ts';
import { MAX_MAPPED_BYTES, type MappedRows, mapRows } from '../kinds/rows.ts';
import { validate } from '../kinds/validator.ts';
import type { QuarantineCode } from './quarantine-codes.ts';

/** A body may hold a hundred thousand events: behind so much work on them, other requests get their turn. */
const MAX_TURN_MS = 20;

/** One authentic body, whole, and inflated unless it is refused, as the edge hands it on. */
export interface ReceivedBody {
  readonly bytes: Uint8Array;
  /** The X-Apono-Feed header, see feed.ts. */
  readonly feed: string | null;
  /** Of the path `/apono/webhook/<kind>`; null: the body itself says of which kind it is. */
  readonly kind: string | null;
  /** The edge refuses the body, and it is to be kept in quarantine with this code and reason instead of being read. */
  readonly refusal?: { readonly code: string; readonly detail: string };
  /** That its Content-Type names; null or missing: UTF-8 or none. */
  readonly charset?: string | null;
}

export interface UnderstandOptions {
  readonly kinds: readonly WebhookKind[];
  /** By name of the kind; null: its stream is off, so its events go into quarantine. */
  readonly streams: Readonly<Record<string, string | null>>;
  readonly escaping: TemplateEscaping;
  /** Gets the lines `mapping failed` and no others. */
  readonly log: { error(fields: object, message: string): void };
}

/** Why an authentic body is kept for later instead of taken. */
export interface Refusal {
  readonly type: 'not_json' | 'not_understood';
  readonly code: QuarantineCode;
  readonly detail: string;
  readonly errors: readonly Problem[];
}

/** An event for the outbox, and what the answer and the metrics say of it. */
export interface UnderstoodEvent {
  readonly entry: EventEntry;
  readonly action: EventAction;
  /** Whether any of its fields could not be read. */
  readonly hasInvalidFields: boolean;
}

export type Understood =
  | {
      readonly events: readonly UnderstoodEvent[];
      /** The text of the body looks as if a template had escaped it, and was left as it is. */
      readonly looksEscaped?: true;
    }
  | { readonly refusal: Refusal };

/**
 * What a body says: read → repair → kind → schema → identity. Changes nothing, so that a replay can ask it again.
 * `receivedAt`: when the body came, milliseconds since the epoch.
 */
export async function understand(
  body: ReceivedBody,
  receivedAt: number,
  options: UnderstandOptions,
): Promise<Understood> {
  const read = readBody(body.bytes, options.escaping, body.charset ?? null);
  switch (read.outcome) {
    case 'not_json':
      return { refusal: { type: 'not_json', code: 'body_not_json', detail: read.detail, errors: [] } };
    case 'too_many_values':
      return refuse('too_many_values', [{ path: '', message: `holds more than ${MAX_VALUES} values` }]);
    case 'too_deep':
      return refuse('nested_too_deep', [{ path: '', message: `is nested deeper than ${MAX_DEPTH} levels` }]);
    case 'duplicate_key':
      return refuse('duplicate_keys', [{ path: read.path, message: DUPLICATE_KEY }]);
    case 'read': {
      const understood = await understandEvents(
        { value: read.value, plain: read.plain, kind: body.kind },
        { receivedAt, bodyForm: read.form, feed: body.feed },
        options,
      );
      return 'events' in understood && read.looksEscaped ? { ...understood, looksEscaped: true } : understood;
    }
  }
}

const DUPLICATE_KEY =
  'has a name that stands twice in its object: the template has it twice, or text that somebody typed was not escaped ' +
  'and changed the body';

/** What was read, exact and as `JSON.parse` makes it, and the kind that the path of the URL named. */
interface Given {
  readonly value: JsonValue;
  readonly plain: unknown;
  readonly kind: string | null;
}

/** All events of the body or none: the first one that is refused refuses the whole. */
async function understandEvents(given: Given, meta: EventMeta, options: UnderstandOptions): Promise<Understood> {
  const { value, plain, kind } = given;
  if (!Array.isArray(value)) return understandEvent(given, meta, options);
  if (value.length === 0) return refuse('no_event', [{ path: '', message: 'is an empty list' }]);
  const plainEvents = plain as readonly unknown[];
  const events: UnderstoodEvent[] = [];
  let turnEndsAt = performance.now() + MAX_TURN_MS;
  for (const [index, element] of value.entries()) {
    const understood = understandEvent({ value: element, plain: plainEvents[index], kind }, meta, options);
    if ('refusal' in understood) return { refusal: withPrefix(understood.refusal, `/${index}`) };
    for (const event of understood.events) events.push(event);
    if (performance.now() < turnEndsAt) continue;
    await nextTurn();
    turnEndsAt = performance.now() + MAX_TURN_MS;
  }
  return { events };
}

function understandEvent(
  { value, plain, kind: fixed }: Given,
  meta: EventMeta,
  options: UnderstandOptions,
): Understood {
  const noEvent = whyNoEvent(value);
  if (noEvent !== null) return refuse(noEvent.code, [noEvent.problem]);
  if (!isJsonObject(value)) return refuse('schema_mismatch', [{ path: '', message: 'must be an event object' }]);
  const recognized = recognize(value, options.kinds, fixed);
  if (!('kind' in recognized)) return refuse(recognized.code, recognized.problems);
  const { kind } = recognized;
  const elsewhere = meta.bodyForm === 'template' ? dataElsewhere(value, kind.dataFields) : null;
  if (elsewhere !== null) return refuse('duplicate_keys', [elsewhere]);
  const problems = validate(kind, plain);
  if (problems.length > 0) return refuse('schema_mismatch', problems);
  if (options.streams[kind.name] == null) {
    return refuse('stream_off', [{ path: '', message: `is a ${kind.name} event, and ${kind.streamVariable} is off` }]);
  }
  const bodyForm = isRecipeRow(value) ? 'recipe' : meta.bodyForm;
  return mapEvent(value, kind, { ...meta, bodyForm }, options);
}

function mapEvent(value: JsonObject, kind: WebhookKind, meta: EventMeta, { log }: UnderstandOptions): Understood {
  const id = eventId(kind.name, value);
  let mapped: MappedRows | null;
  try {
    mapped = mapRows(kind, { eventId: id, value, meta });
  } catch (error) {
    // A defect of ours must not lose the event: the body stays in quarantine until a version that can map it.
    const name = error instanceof Error ? error.name : 'unknown';
    log.error({ event_id: id, kind: kind.name, error: name }, 'mapping failed');
    const message = 'could not be mapped to rows; this is a defect of the service';
    return refuse('mapping_failed', [{ path: '', message }]);
  }
  if (mapped === null) {
    return refuse('too_many_bytes', [{ path: '', message: `makes rows of over ${MAX_MAPPED_BYTES} bytes` }]);
  }
  const { shared, own, bytes, hasInvalidFields } = mapped;
  const { receivedAt, feed } = meta;
  const rows = { shared, own };
  const entry = { type: 'event', eventId: id, kind: kind.name, receivedAt, feed, rows, mappedBytes: bytes } as const;
  return { events: [{ entry, action: actionOf(value, kind), hasInvalidFields }] };
}

function actionOf(value: JsonObject, kind: WebhookKind): EventAction {
  const type = value['event_type'];
  return typeof type === 'string' ? (kind.actionOf?.(type) ?? 'Other') : 'Other';
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
