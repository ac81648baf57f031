import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventId, isRecipeRow } from '../apono/event.ts';
import { MAX_DEPTH, MAX_VALUES, readBody, type TemplateEscaping } from '../apono/read.ts';
import type { EventMeta } from '../ground/event.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, textOf } from '../ground/json.ts';
import type { Problem, WebhookKind } from '../kinds/kind.ts';
import { hasDataElsewhere, recognize, whyNoEvent } from '../kinds/recognize.ts';
import { MAX_MAPPED_BYTES, mapRows } from '../kinds/rows.ts';
import { validate } from '../kinds/validator.ts';
import type { QuarantineCode } from './quarantine-codes.ts';

/** A body may hold a hundred thousand events: behind so much work on them, other requests get their turn. */
const MAX_TURN_MS = 20;

/** One authentic body, whole, and inflated unless it is refused, as the edge hands it on. */
export interface ReceivedBody {
  readonly bytes: Uint8Array;
  /** The X-Apono-Feed header, as http/exchange.ts reads it. */
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
interface Refusal {
  readonly code: QuarantineCode;
  readonly detail: string;
  readonly errors: readonly Problem[];
}

/** An event for the outbox, and what the answer and the metrics say of it. */
type UnderstoodEvent = Exclude<ReturnType<typeof understandEvent>, Refusal>;

/** `looksEscaped`: the text of the body looks as if a template had escaped it, and was left as it is. */
type Understood = { readonly events: readonly UnderstoodEvent[]; readonly looksEscaped: boolean } | Refusal;

/**
 * What a body says: read → repair → kind → schema → identity → rows. All of its events or none: the first one that is
 * refused refuses the whole. Changes nothing, so that a replay can ask it again. `receivedAt`: when the body came,
 * milliseconds since the epoch.
 */
export async function understand(
  body: ReceivedBody,
  receivedAt: number,
  options: UnderstandOptions,
): Promise<Understood> {
  const read = readBody(body.bytes, options.escaping, body.charset);
  if (read.outcome === 'not_json') return { code: 'body_not_json', detail: read.detail, errors: [] };
  if (read.outcome === 'too_many_values') return refuse(read.outcome, `holds more than ${MAX_VALUES} values`);
  if (read.outcome === 'too_deep') return refuse('nested_too_deep', `is nested deeper than ${MAX_DEPTH} levels`);
  if (read.outcome === 'duplicate_key') return refuse('duplicate_keys', DUPLICATE_KEY, read.path);
  const meta = { receivedAt, bodyForm: read.form, feed: body.feed };
  const isList = isJsonArray(read.value);
  const values = isList ? read.value : [read.value];
  if (values.length === 0) return refuse('no_event', 'is an empty list');
  const events: UnderstoodEvent[] = [];
  let turnEndsAt = performance.now() + MAX_TURN_MS;
  for (const [index, value] of values.entries()) {
    if (performance.now() >= turnEndsAt) {
      await nextTurn();
      turnEndsAt = performance.now() + MAX_TURN_MS;
    }
    const understood = understandEvent({ value, fixed: body.kind }, meta, options);
    if (!('code' in understood)) events.push(understood);
    else if (isList) return refuseAll(understood.code, understood.errors, `/${index}`);
    else return understood;
  }
  return { events, looksEscaped: read.looksEscaped };
}

const DUPLICATE_KEY =
  'has a name that stands twice in its object: the template has it twice, or text that somebody typed was not escaped ' +
  'and changed the body';

/** `fixed`: the kind that the path of the URL named. */
function understandEvent(
  { value, fixed }: { readonly value: JsonValue; readonly fixed: string | null },
  meta: EventMeta,
  options: UnderstandOptions,
) {
  const noEvent = whyNoEvent(value);
  if (noEvent !== null) return refuseAll(noEvent.code, [noEvent.problem]);
  if (!isJsonObject(value)) return refuse('schema_mismatch', 'must be an event object');
  const recognized = recognize(value, options.kinds, fixed);
  if (!('kind' in recognized)) return refuseAll(recognized.code, recognized.problems);
  const { kind } = recognized;
  if (meta.bodyForm === 'template' && hasDataElsewhere(value, kind.dataFields))
    return refuse('duplicate_keys', DATA_ELSEWHERE);
  const problems = validate(kind, value);
  if (problems.length > 0) return refuseAll('schema_mismatch', problems);
  if (options.streams[kind.name] == null)
    return refuse('stream_off', `is of kind ${kind.name}, and ${kind.streamVariable} is off`);
  return mapEvent(value, kind, { ...meta, bodyForm: isRecipeRow(value) ? 'recipe' : meta.bodyForm }, options);
}

const DATA_ELSEWHERE = 'holds the fields of data in another member too: text that was not escaped changed it';

function mapEvent(value: JsonObject, kind: WebhookKind, meta: EventMeta, { log }: UnderstandOptions) {
  const id = eventId(kind.name, value);
  try {
    const mapped = mapRows(kind, { eventId: id, value, meta });
    if (mapped === null) return refuse('too_many_bytes', `makes rows of over ${MAX_MAPPED_BYTES} bytes`);
    const { hasInvalidFields, ...rows } = mapped;
    const { receivedAt, feed } = meta;
    const entry = { type: 'event', eventId: id, kind: kind.name, receivedAt, feed, ...rows } as const;
    return { entry, action: kind.actionOf?.(textOf(value['event_type']) ?? '') ?? 'Other', hasInvalidFields };
  } catch (error) {
    // A defect of ours must not lose the event: the body stays in quarantine until a version that can map it.
    const name = error instanceof Error ? error.name : 'unknown';
    log.error({ event_id: id, kind: kind.name, error: name }, 'mapping failed');
    return refuse('mapping_failed', 'could not be mapped to rows; this is a defect of the service');
  }
}

function refuse(code: QuarantineCode, message: string, path = ''): Refusal {
  return refuseAll(code, [{ path, message }]);
}

/** `element`: JSON Pointer of the event in the body. */
function refuseAll(code: QuarantineCode, problems: readonly Problem[], element = ''): Refusal {
  const errors = problems.map(({ path, message }) => ({ path: element + path, message }));
  const [first] = errors;
  const where = first?.path ? `${first.path} ` : 'the body ';
  const others = errors.length > 1 ? `; errors says what else is wrong (${errors.length - 1})` : '';
  return { code, detail: `${where}${first?.message ?? ''}${others}`, errors };
}
