import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, mapTexts } from '../ground/json.ts';
import type { TableSchema } from './table.ts';

/** Values of columns of one table, by their names. */
export type Row = Readonly<Record<string, JsonValue>>;

/**
 * Makes the function that writes columns of a row of this table as a JSON object, each value cut to what its column can
 * hold; `truncated`: those that lost something. A key that is no column is a defect of the mapper's, and throws.
 */
export function columnFitter(table: TableSchema) {
  const types = new Map(table.columns.map(({ name, type }) => [name, type]));
  return (values: Row) => {
    for (const name of Object.keys(values))
      if (!types.has(name)) throw new Error(`${name} is no column of ${table.name}`);
    const whole = JSON.stringify(values);
    // Where all of them together fit into one field, each does. Nearly all rows are like this.
    if (whole.length * 3 <= MAX_FIELD_BYTES && !LONE_SURROGATE.test(whole)) return { json: whole, truncated: [] };
    const fitted: Record<string, JsonValue> = {};
    const truncated: string[] = [];
    for (const [name, given] of Object.entries(values)) {
      const isText = typeof given === 'string' && types.get(name) !== 'dynamic';
      const fit = isText ? fitText(given) : fitDynamic(given);
      fitted[name] = fit.value;
      if (fit.truncated) truncated.push(name);
    }
    return { json: JSON.stringify(fitted), truncated };
  };
}

/** Azure cuts longer values in the middle of a character or of JSON text (Logs Ingestion limits: 64 KB a field). */
export const MAX_FIELD_BYTES = 65_536;

/** Cuts to 64 KB of UTF-8 between two characters. Lone surrogates, which no encoding can carry, become U+FFFD. */
export function fitText(text: string) {
  const value = text.toWellFormed();
  // No UTF-16 unit takes more than three bytes, so most texts need not be measured.
  if (value.length * 3 <= MAX_FIELD_BYTES || Buffer.byteLength(value) <= MAX_FIELD_BYTES)
    return { value, truncated: false };
  const { read } = new TextEncoder().encodeInto(value, new Uint8Array(MAX_FIELD_BYTES));
  return { value: value.slice(0, read), truncated: true };
}

/**
 * A value for a dynamic column: valid JSON of at most 64 KB. Lists lose whole elements at their end, and objects the
 * members that do not fit, of which the first object or list is cut inside, two levels deep. Where nothing fits, or the
 * value is neither list nor object, it is null, since `[]` would say "there are none".
 */
export function fitDynamic(given: JsonValue) {
  const value = LONE_SURROGATE.test(JSON.stringify(given)) ? mapTexts(given, wellFormed, wellFormed) : given;
  if (jsonBytes(value) <= MAX_FIELD_BYTES) return { value, truncated: false };
  return { value: cut(value), truncated: true };
}

/** Bytes of UTF-8 that the value takes as JSON. */
export function jsonBytes(value: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** How JSON.stringify escapes a lone surrogate, and nothing else. */
const LONE_SURROGATE = /\\ud[89a-f][0-9a-f]{2}/;

const wellFormed = (text: string) => text.toWellFormed();

/** `levels`: how many levels of objects may still be cut inside, this one included. Each measures the value again. */
function cut(given: JsonValue, maxBytes = MAX_FIELD_BYTES, levels = 3): JsonValue {
  if (isJsonArray(given)) return cutList(given, maxBytes);
  return isJsonObject(given) && levels > 0 ? cutObject(given, maxBytes, levels) : null;
}

/** The first elements that fit. */
function cutList(elements: readonly JsonValue[], maxBytes: number): JsonValue {
  // Two brackets, and a comma after each element but the last.
  let room = maxBytes - 2 + 1;
  const end = elements.findIndex((element) => {
    room -= jsonBytes(element) + 1;
    return room < 0;
  });
  const kept = end === -1 ? elements : elements.slice(0, end);
  return kept.length > 0 ? kept : null;
}

/**
 * Keeps every member that fits into the room that the members before it leave, since their order means nothing; then
 * what fits of the first object or list that did not fit as a whole.
 */
function cutObject(given: JsonObject, maxBytes: number, levels: number): JsonValue {
  const kept: [string, JsonValue][] = [];
  let room = maxBytes - 2 + 1;
  let large: [string, JsonValue] | null = null;
  for (const [key, value = null] of Object.entries(given)) {
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
    const part = cut(value, room - jsonBytes(key) - 2, levels - 1);
    if (part !== null) kept.push([key, part]);
  }
  return kept.length > 0 ? Object.fromEntries(kept) : null;
}
