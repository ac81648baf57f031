import { decodeEntities } from '../apono/entities.ts';
import { hasMoreValuesThan, isNestedDeeperThan, parseExact } from '../apono/exact-json.ts';
import { MAX_DEPTH, MAX_VALUES } from '../apono/read.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';

/**
 * The object or list that a text is the JSON of; null for any other text, and for one that is nested deeper or holds more
 * values than a body may. Where a template engine escaped the text for HTML and the body did not show it, it is
 * JSON once that is undone.
 */
export function parseEmbedded(text: string): JsonObject | readonly JsonValue[] | null {
  if (!/^\s*[[{]/.test(text)) return null;
  return parse(text) ?? (text.includes('&') ? parse(decodeEntities(text)) : null);
}

function parse(text: string): JsonObject | readonly JsonValue[] | null {
  if (hasMoreValuesThan(text, MAX_VALUES) || isNestedDeeperThan(text, MAX_DEPTH)) return null;
  try {
    const parsed = parseExact(text);
    return isJsonObject(parsed) || isJsonArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** Whether the text is what JavaScript prints for objects where a template puts them into text: nothing of them is left. */
export function isMangled(text: string): boolean {
  return /\[object \w+\]/.test(text);
}
