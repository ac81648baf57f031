import { createHash } from 'node:crypto';
import { isJsonArray, isRawNumber, type JsonValue } from '../json.ts';
import { normalDecimal } from './exact-json.ts';

/**
 * The identity of an event: `v1` and the SHA-256, in hex, of its kind and of the canonical JSON of what was decoded,
 * unknown fields included. Never of what the mapper makes of it: a new column must not make an old event a new one.
 * test/apono/identity.test.ts holds golden values; one that changes means that upgraded services take duplicates.
 */
export function eventId(kind: string, value: JsonValue): string {
  return `v1${digest(`${kind}\n${canonicalJson(value)}`)}`;
}

/** The same for a body that could not be understood: over its bytes, and the kind that its path named, if any. */
export function quarantineId(bytes: Uint8Array, kind: string | null): string {
  const hash = createHash('sha256').update(bytes);
  // No body that somebody keeps ends like this, so that the ids of bodies without a kind stay what they were.
  if (kind !== null) hash.update(`\0${kind}`);
  return `q1${hash.digest('hex')}`;
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
  if (typeof value === 'number') return canonicalNumber(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isRawNumber(value)) return normalDecimal(value.rawJSON);
  let text = '';
  if (isJsonArray(value)) {
    for (const element of value) text += `${text === '' ? '' : ','}${canonicalJson(element)}`;
    return `[${text}]`;
  }
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`;
  }
  return `{${text}}`;
}

/** `normalDecimal` of a double; by arithmetic where that is the same, since bodies can hold millions of small integers. */
function canonicalNumber(value: number): string {
  if (!Number.isSafeInteger(value) || value === 0) return normalDecimal(String(value));
  let digits = value;
  let power = 0;
  while (digits % 10 === 0) {
    digits /= 10;
    power++;
  }
  return `${digits}e${power}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
