import { isJsonArray, isJsonObject, type JsonValue } from '../json.ts';

/** Azure cuts what is longer, in the middle of a character or of a JSON text (Logs Ingestion limits: 64 KB a field). */
export const MAX_FIELD_BYTES = 65_536;

/** Cut to 64 KB of UTF-8 on a character. Lone surrogates, which no encoding can carry, become U+FFFD. */
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
 * A value for a dynamic column: valid JSON of at most 64 KB. Arrays lose whole elements from their end, objects whole
 * members; where not even the first fits, or the value is neither, it is null, since `[]` would say "there are none".
 */
export function fitDynamic(given: JsonValue): { readonly value: JsonValue; readonly truncated: boolean } {
  if (given === null) return { value: null, truncated: false };
  const text = JSON.stringify(given);
  const value = LONE_SURROGATE.test(text) ? wellFormed(given) : given;
  if (Buffer.byteLength(text) <= MAX_FIELD_BYTES) return { value, truncated: false };
  if (isJsonArray(value)) {
    const kept = value.slice(0, countFitting(value.map((element) => jsonBytes(element))));
    return { value: kept.length > 0 ? kept : null, truncated: true };
  }
  if (!isJsonObject(value)) return { value: null, truncated: true };
  const members = Object.entries(value);
  const sizes = members.map(([key, child]) => jsonBytes(key) + 1 + jsonBytes(child ?? null));
  const kept = Object.fromEntries(members.slice(0, countFitting(sizes)));
  return { value: Object.keys(kept).length > 0 ? kept : null, truncated: true };
}

/** Bytes of UTF-8 that the value takes as JSON. */
export function jsonBytes(value: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** JSON.stringify escapes nothing else like this. */
const LONE_SURROGATE = /\\ud[89a-f][0-9a-f]{2}/;

function wellFormed(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.toWellFormed();
  if (isJsonArray(value)) return value.map(wellFormed);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key.toWellFormed(), wellFormed(child ?? null)]),
  );
}

/** How many of the first elements fit between two brackets, with a comma after each. */
function countFitting(sizes: readonly number[]): number {
  let total = 2;
  const over = sizes.findIndex((size) => {
    total += size + 1;
    return total - 1 > MAX_FIELD_BYTES;
  });
  return over === -1 ? sizes.length : over;
}
