import { createHash, hash } from 'node:crypto';
import { isJsonArray, isRawNumber, type JsonValue } from '../ground/json.ts';
import { normalDecimal } from './exact-json.ts';

/**
 * The identity of an event: `v1` and the SHA-256, in hex, of its kind and of the canonical JSON of what was decoded,
 * unknown fields included. Never of what the mapper makes of it: a new column must not make an old event a new one.
 * test/apono/identity.test.ts holds golden values; one that changes means that upgraded services take duplicates.
 */
export function eventId(kind: string, value: JsonValue): string {
  return `v1${digest(`${kind}\n${canonicalJson(value)}`)}`;
}

/** The same for a body that could not be understood: over its bytes, and what its path and its header said, if anything. */
export function quarantineId(bytes: Uint8Array, kind: string | null, charset: string | null = null): string {
  const hash = createHash('sha256').update(bytes);
  // No body that somebody keeps ends like this, so that the ids of bodies without a kind stay what they were.
  if (kind !== null) hash.update(`\0${kind}`);
  if (charset !== null) hash.update(`\0charset=${charset}`);
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
  return appendCanonical('', value);
}

/** `text` and the canonical JSON behind it: one growing string costs less than one for each value within. */
function appendCanonical(text: string, value: JsonValue): string {
  if (typeof value === 'string') return text + quote(value);
  if (typeof value === 'number') return text + canonicalNumber(value);
  if (typeof value !== 'object' || value === null) return text + String(value);
  if (isRawNumber(value)) return text + normalDecimal(value.rawJSON);
  let grown = text;
  let separator = '';
  if (isJsonArray(value)) {
    grown += '[';
    for (const element of value) {
      grown = appendCanonical(grown + separator, element);
      separator = ',';
    }
    return `${grown}]`;
  }
  grown += '{';
  for (const key of sortedKeys(value)) {
    grown = appendCanonical(grown + separator + quotedKey(key), value[key] ?? null);
    separator = ',';
  }
  return `${grown}}`;
}

const LONGEST_SCANNED = 64;

/** `JSON.stringify` of a text. The call into the engine costs more than a look at each unit of a short text. */
function quote(text: string): string {
  if (text.length > LONGEST_SCANNED) return JSON.stringify(text);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    // Controls, quotes, backslashes, and surrogates, which may be alone.
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c || (unit & 0xf800) === 0xd800) return JSON.stringify(text);
  }
  return `"${text}"`;
}

const MAX_KNOWN_KEYS = 1_000;
/** Bounded: the keys of unknown fields are the sender's. */
const knownKeys = new Map<string, string>();

/** A key and its colon. The events of a feed have the same few dozen. */
function quotedKey(key: string): string {
  const known = knownKeys.get(key);
  if (known !== undefined) return known;
  const quoted = `${quote(key)}:`;
  if (knownKeys.size < MAX_KNOWN_KEYS && key.length <= LONGEST_SCANNED) knownKeys.set(key, quoted);
  return quoted;
}

/** Objects of events have a dozen members, for which the general sort takes several times as long. */
const MAX_INSERTION_SORTED = 24;

/** By UTF-16 code units, which is what `sort` does too. */
function sortedKeys(value: object): string[] {
  const keys = Object.keys(value);
  if (keys.length > MAX_INSERTION_SORTED) return keys.sort();
  for (let sorted = 1; sorted < keys.length; sorted++) {
    const key = keys[sorted] as string;
    let at = sorted;
    for (; at > 0 && (keys[at - 1] as string) > key; at--) keys[at] = keys[at - 1] as string;
    keys[at] = key;
  }
  return keys;
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
  return hash('sha256', text);
}
