import { createHash } from 'node:crypto';
import { isJsonArray, isJsonObject, type JsonValue } from '../json.ts';
import { normalDecimal } from './exact-json.ts';
import { numberText } from './time.ts';

/**
 * The identity of an event: `v1` and the SHA-256, in hex, of its kind and of the canonical JSON of what was decoded,
 * unknown fields included. Never of what the mapper makes of it: a new column must not make an old event a new one.
 * test/apono/identity.test.ts holds golden values; one that changes means that upgraded services take duplicates.
 */
export function eventId(kind: string, value: JsonValue): string {
  return `v1${digest(`${kind}\n${canonicalJson(value)}`)}`;
}

/** The same for a body that could not be understood, over its bytes. */
export function quarantineId(bytes: Uint8Array): string {
  return `q1${createHash('sha256').update(bytes).digest('hex')}`;
}

/** SHA-256 in hex of any JSON value's canonical form. */
export function canonicalHash(value: JsonValue): string {
  return digest(canonicalJson(value));
}

/**
 * JSON with sorted keys, no blanks and one spelling for each number, so that two texts of the same value are the same.
 * Like RFC 8785, but numbers keep all their digits.
 */
export function canonicalJson(value: JsonValue): string {
  const number = numberText(value);
  if (number !== null) return normalDecimal(number);
  if (isJsonArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`);
  return `{${members.join(',')}}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
