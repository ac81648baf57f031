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
  const clean = LONE_SURROGATE.test(text) ? wellFormed : (value: JsonValue) => value;
  if (Buffer.byteLength(text) <= MAX_FIELD_BYTES) return { value: clean(given), truncated: false };
  if (isJsonArray(given)) {
    const kept = takeFitting(given, clean, jsonBytes);
    return { value: kept.length > 0 ? kept : null, truncated: true };
  }
  if (!isJsonObject(given)) return { value: null, truncated: true };
  const member = (key: string) => [key.toWellFormed(), clean(given[key] ?? null)] as const;
  const kept = takeFitting(Object.keys(given), member, ([key, child]) => jsonBytes(key) + 1 + jsonBytes(child));
  return { value: kept.length > 0 ? Object.fromEntries(kept) : null, truncated: true };
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

/**
 * The first elements that fit between two brackets with a comma after each, each as `clean` makes it. Looks no further
 * than they reach: a body may hold a million.
 */
function takeFitting<From, To>(
  elements: readonly From[],
  clean: (element: From) => To,
  bytesOf: (element: To) => number,
): To[] {
  const kept: To[] = [];
  let total = 2;
  for (const element of elements) {
    const cleaned = clean(element);
    total += bytesOf(cleaned) + 1;
    if (total - 1 > MAX_FIELD_BYTES) break;
    kept.push(cleaned);
  }
  return kept;
}
