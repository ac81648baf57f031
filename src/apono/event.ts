import { createHash, hash } from 'node:crypto';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, numberText } from '../ground/json.ts';
import { normalDecimal } from './exact-json.ts';

/**
 * The identity of an event (ADR 5): `v1` and a SHA-256 in hex. test/apono/identity.test.ts holds golden values; if one
 * changes, upgraded services take duplicates for new events.
 */
export function eventId(kind: string, value: JsonValue): string {
  return `v1${hash('sha256', `${kind}\n${canonicalJson(value)}`)}`;
}

/** The identity of a body that could not be understood, of its bytes and of what its path and its header said. */
export function quarantineId(bytes: Uint8Array, kind: string | null, charset: string | null = null): string {
  const digest = createHash('sha256').update(bytes);
  // No body in quarantine ends with a zero byte and a kind, so the ids of bodies without a kind stay what they were.
  if (kind !== null) digest.update(`\0${kind}`);
  if (charset !== null) digest.update(`\0charset=${charset}`);
  return `q1${digest.digest('hex')}`;
}

/**
 * JSON with sorted keys, no blanks and one spelling for each number, so that two texts of the same value are the same.
 * Like RFC 8785, but numbers keep all their digits.
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'string') return quoted(value);
  const digits = numberText(value);
  if (digits !== null) return normalDecimal(digits);
  if (isJsonArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  let text = '';
  // `sort` compares UTF-16 code units, as RFC 8785 does.
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${quoted(key)}:${canonicalJson(value[key] ?? null)}`;
  }
  return `{${text}}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them
const ESCAPED_IN_JSON = /["\\\u0000-\u001f\ud800-\udfff]/;

/** `JSON.stringify` of a text, whose call takes longer than the look at the text. */
function quoted(text: string): string {
  return ESCAPED_IN_JSON.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/**
 * Whether an object is a row of Apono's own Sentinel recipe (or of one that an admin extended): it has the table's
 * TimeGenerated where an event has event_time and data.
 */
export function isRecipeRow(value: JsonObject): boolean {
  return Object.hasOwn(value, 'TimeGenerated') && !Object.hasOwn(value, 'event_time') && !isJsonObject(value['data']);
}

const KNOWN = ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed', 'Manual'] as const;

export const eventActions = [...KNOWN, 'Other'] as const;

/** What happened to a request, however Apono spells it. An event type that nobody knows is `Other`, and accepted too. */
export type EventAction = (typeof eventActions)[number];

/**
 * `AccessRequestCreated` (in Apono's sample), `RequestCreated` (in its list of triggers) and `Created` (in older pages)
 * mean the same. Case, blanks, hyphens, underscores and dots do not count.
 */
export function eventAction(eventType: string): EventAction {
  const spelling = eventType.toLowerCase().replace(/[\s._-]/g, '');
  const word = spelling.replace(/^(?:access)?(?:request)?/, '');
  return KNOWN.find((action) => action.toLowerCase() === word) ?? 'Other';
}
