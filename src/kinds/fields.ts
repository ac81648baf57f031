import { decodeEntities } from '../apono/escaping.ts';
import { measure, parseExact } from '../apono/exact-json.ts';
import { MAX_DEPTH, MAX_VALUES } from '../apono/read.ts';
import { numberText } from '../apono/time.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';

/** The value if it is an object, otherwise an empty object. */
export function objectAt(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/**
 * Text as it was sent; numbers as they were written, so that a 20-digit id keeps its digits. In a body that a template
 * made, the empty string stands for a missing value, so it becomes null.
 */
export function textAt(value: JsonValue | undefined, isTemplate: boolean): string | null {
  if (value === undefined || value === null || (isTemplate && value === '')) return null;
  if (typeof value === 'string') return value;
  return numberText(value) ?? (typeof value === 'boolean' ? String(value) : null);
}

/**
 * Removes the blanks that a template prints for missing values: null for the empty string and for objects in which
 * nothing is filled, and lists without their blank elements.
 */
export function withoutBlanks(value: JsonValue | undefined): JsonValue {
  if (value === undefined || value === '') return null;
  if (isJsonArray(value)) return value.map(withoutBlanks).filter((element) => element !== null);
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(([key, child]) => [key, withoutBlanks(child)] as const);
  return members.every(([, child]) => isBlank(child)) ? null : Object.fromEntries(members);
}

function isBlank(value: JsonValue): boolean {
  return value === null || (isJsonArray(value) && value.length === 0);
}

/**
 * The object or list whose JSON a text is; null for any other text, and for JSON that is nested deeper or has more
 * values than a body may. If the text is not JSON, its HTML entities are decoded first, because a template engine may
 * have escaped it in a body that does not show that.
 */
export function parseEmbedded(text: string): JsonObject | readonly JsonValue[] | null {
  if (!/^\s*[[{]/.test(text)) return null;
  return parse(text) ?? (text.includes('&') ? parse(decodeEntities(text)) : null);
}

function parse(text: string): JsonObject | readonly JsonValue[] | null {
  const measured = measure(text);
  if (measured.values > MAX_VALUES || measured.depth > MAX_DEPTH) return null;
  try {
    const parsed = parseExact(text, measured);
    return isJsonObject(parsed) || isJsonArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
