import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';

/** Azure cuts longer values in the middle of a character or of JSON text (Logs Ingestion limits: 64 KB a field). */
export const MAX_FIELD_BYTES = 65_536;

/** Cuts to 64 KB of UTF-8 between two characters. Lone surrogates, which no encoding can carry, become U+FFFD. */
export function fitText(text: string): { readonly value: string; readonly truncated: boolean } {
  const value = text.toWellFormed();
  // No UTF-16 unit takes more than three bytes, so most texts need not be measured.
  if (value.length * 3 <= MAX_FIELD_BYTES || Buffer.byteLength(value) <= MAX_FIELD_BYTES)
    return { value, truncated: false };
  const bytes = Buffer.from(value);
  let end = MAX_FIELD_BYTES;
  // Bytes of the form 10xxxxxx continue a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return { value: bytes.toString('utf8', 0, end), truncated: true };
}

/**
 * A value for a dynamic column: valid JSON of at most 64 KB. Lists lose whole elements at their end, and objects the
 * members that do not fit, of which the first object or list is cut inside, two levels deep. Where nothing fits, or the
 * value is neither list nor object, it is null, since `[]` would say "there are none".
 */
export function fitDynamic(given: JsonValue): { readonly value: JsonValue; readonly truncated: boolean } {
  if (given === null) return { value: null, truncated: false };
  const text = JSON.stringify(given);
  const clean = LONE_SURROGATE.test(text) ? wellFormed : (value: JsonValue) => value;
  if (Buffer.byteLength(text) <= MAX_FIELD_BYTES) return { value: clean(given), truncated: false };
  return { value: cut(given, { clean, maxBytes: MAX_FIELD_BYTES, levels: OPENED_LEVELS }), truncated: true };
}

/** Bytes of UTF-8 that the value takes as JSON. */
export function jsonBytes(value: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** How JSON.stringify escapes a lone surrogate, and nothing else. */
const LONE_SURROGATE = /\\ud[89a-f][0-9a-f]{2}/;

function wellFormed(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.toWellFormed();
  if (isJsonArray(value)) return value.map(wellFormed);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key.toWellFormed(), wellFormed(child ?? null)]),
  );
}

/** How many levels of objects are cut inside. Each level measures the value once more. */
const OPENED_LEVELS = 3;
/** `"":0` and a comma. */
const SMALLEST_MEMBER_BYTES = 5;

interface Cut {
  readonly clean: (value: JsonValue) => JsonValue;
  readonly maxBytes: number;
  /** How many levels of objects may still be cut inside, this one included. */
  readonly levels: number;
}

function cut(given: JsonValue, options: Cut): JsonValue {
  if (isJsonArray(given)) return cutList(given, options);
  return isJsonObject(given) && options.levels > 0 ? cutObject(given, options) : null;
}

/** The first elements that fit. The others are not looked at: a body may have hundreds of thousands. */
function cutList(elements: readonly JsonValue[], { clean, maxBytes }: Cut): JsonValue {
  const kept: JsonValue[] = [];
  // Two brackets, and a comma after each element but the last.
  let room = maxBytes - 2 + 1;
  for (const element of elements) {
    const cleaned = clean(element);
    room -= jsonBytes(cleaned) + 1;
    if (room < 0) break;
    kept.push(cleaned);
  }
  return kept.length > 0 ? kept : null;
}

/**
 * Keeps every member that fits into the room that the members before it leave, since their order means nothing; then
 * what fits of the first object or list that did not fit as a whole.
 */
function cutObject(given: JsonObject, { clean, maxBytes, levels }: Cut): JsonValue {
  const kept: [string, JsonValue][] = [];
  let room = maxBytes - 2 + 1;
  let large: [string, JsonValue] | null = null;
  for (const name of Object.keys(given)) {
    if (room < SMALLEST_MEMBER_BYTES) break;
    const member = given[name] ?? null;
    // This skips most members that do not fit without measuring them.
    if (typeof member === 'string' && name.length + member.length + SMALLEST_MEMBER_BYTES > room) continue;
    const key = name.toWellFormed();
    const value = clean(member);
    const bytes = jsonBytes(key) + 1 + jsonBytes(value) + 1;
    if (bytes <= room) {
      kept.push([key, value]);
      room -= bytes;
    } else if (isJsonArray(value) || isJsonObject(value)) {
      large ??= [key, value];
    }
  }
  if (large !== null) {
    const [key, value] = large;
    const part = cut(value, { clean, maxBytes: room - jsonBytes(key) - 2, levels: levels - 1 });
    if (part !== null) kept.push([key, part]);
  }
  return kept.length > 0 ? Object.fromEntries(kept) : null;
}
