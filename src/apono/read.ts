import { isUtf8 } from 'node:buffer';
import { isJsonObject, type JsonValue, mapTexts } from '../ground/json.ts';
import { decodeEntities, type Escaping, escapeInvalid, escapingOf, hasEntity, readLiterally } from './escaping.ts';
import { isRecipeRow } from './event.ts';
import { duplicateKey, measure, parseExact } from './exact-json.ts';
import { explainFault, placeAfter } from './json-fault.ts';

/** APONO_TEMPLATE_ESCAPING: how Apono's template engine escapes what it fills in. */
export type TemplateEscaping = 'auto' | Escaping;

/** Deeper bodies are refused, so that every walk over a value may recurse. No event of Apono's comes near it. */
export const MAX_DEPTH = 64;
/** Bodies with more are refused before they are parsed: in memory, empty lists take a hundred times their text. */
export const MAX_VALUES = 300_000;

type ReadBody =
  | {
      readonly outcome: 'read';
      readonly value: JsonValue;
      readonly form: 'json' | 'template';
      /** Straight JSON that contains entities, which were left alone: perhaps a template made it after all. */
      readonly looksEscaped: boolean;
    }
  | { readonly outcome: 'not_json'; readonly detail: string }
  | { readonly outcome: 'too_many_values' }
  | { readonly outcome: 'too_deep' }
  /** A template-made object has two members of the same name. `path`: JSON Pointer of the second. */
  | { readonly outcome: 'duplicate_key'; readonly path: string };

const QUOTED_TIME = /"event_time"\s*:\s*"/;

/**
 * Reads a webhook's body. ADR 3 says which bodies a template made, and how what its engine did is undone; straight JSON
 * is never altered, unless `escaping` was set by hand. `charset` is that of the Content-Type header. Takes time linear
 * in the size.
 */
export function readBody(bytes: Uint8Array, escaping: TemplateEscaping, charset: string | null = null): ReadBody {
  const text = decodeText(bytes, charset);
  if (typeof text !== 'string') return { outcome: 'not_json', detail: text.fault };
  const strict = parse(text);
  if (strict === 'too_many_values' || strict === 'too_deep') return { outcome: strict };
  const isJson = strict !== 'not_json';
  const form = isJson && !isTemplateMade(strict.value) ? 'json' : 'template';
  // Where the text is not JSON, the engine left raw what JSON does not allow, so it did not escape for JSON.
  const automatic = () => (form === 'json' ? 'json' : isJson ? escapingOf(text) : 'html');
  const applied = escaping === 'auto' ? automatic() : escaping;
  const parsed = applied.endsWith('json') ? strict : parseLiterally(text, strict);
  if (parsed === 'too_many_values' || parsed === 'too_deep') return { outcome: parsed };
  if (parsed === 'not_json') return { outcome: parsed, detail: explainFault(text) };
  // Without escaping, text that somebody typed could end its string and repeat members of the template, and a number in
  // place of the template's event_time would make the body look like straight JSON.
  const duplicate = form === 'template' || QUOTED_TIME.test(parsed.text) ? duplicateKey(parsed.text) : null;
  if (duplicate !== null) return { outcome: 'duplicate_key', path: duplicate };
  const value = applied.startsWith('html') ? mapTexts(parsed.value, decodeEntities) : parsed.value;
  // A JSON writer may have escaped the ampersand of an entity.
  const looksEscaped = form === 'json' && escaping === 'auto' && hasEntity(text.replaceAll('\\u0026', '&'));
  return { outcome: 'read', value, form, looksEscaped };
}

type Parsed = { readonly value: JsonValue; readonly text: string } | 'not_json' | 'too_many_values' | 'too_deep';

/** The value that a text of JSON holds, each number as it was written, or why there is none. */
export function parse(text: string): Parsed {
  const measured = measure(text);
  if (measured.values > MAX_VALUES) return 'too_many_values';
  try {
    if (measured.depth <= MAX_DEPTH) return { value: parseExact(text, measured), text };
    // Without the reviver of `parseExact`, which recurses.
    JSON.parse(text);
    return 'too_deep';
  } catch {
    return 'not_json';
  }
}

/** The template's own text may contain JSON escapes; then only those that JSON does not know are literal. */
function parseLiterally(text: string, strict: Parsed): Parsed {
  const parsed = parse(readLiterally(text));
  if (parsed !== 'not_json') return parsed;
  return strict === 'not_json' ? parse(escapeInvalid(text)) : strict;
}

function isTemplateMade(value: JsonValue): boolean {
  const events: readonly JsonValue[] = Array.isArray(value) ? value : [value];
  return events.some((event) => isJsonObject(event) && (typeof event['event_time'] === 'string' || isRecipeRow(event)));
}

/**
 * Decodes a body with the charset that its Content-Type names (null: none). A byte order mark overrides that charset,
 * and so do bytes that are UTF-8 where the header says Latin-1 or ASCII, which many clients send whatever the body is.
 * The decoder is `fatal`, because replacement characters would alter what was typed.
 */
function decodeText(bytes: Uint8Array, charset: string | null): string | { readonly fault: string } {
  const named = charset === null ? 'utf-8' : encodingOf(charset);
  const overriding = utf16Of(bytes) ?? (named === 'windows-1252' && isUtf8(bytes) ? 'utf-8' : null);
  const encoding = overriding ?? named ?? 'utf-8';
  try {
    // This strips a byte order mark.
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    if (encoding !== 'utf-8') return { fault: `the body is not ${encoding.toUpperCase()}` };
    const unknown = named === null ? ', and its Content-Type names a charset that is not known here' : '';
    // The first bytes that are not UTF-8 become this character.
    const [before = ''] = new TextDecoder().decode(bytes).split('\uFFFD', 1);
    return { fault: `the body is not UTF-8 at ${placeAfter(before)}${unknown}` };
  }
}

/** Decided by the byte order mark, or the zero byte next to a first character that JSON allows. */
function utf16Of([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first === 0 && second !== undefined && second !== 0) return 'utf-16be';
  return first !== undefined && first !== 0 && second === 0 ? 'utf-16le' : null;
}

/** The name of an encoding in the Encoding standard, null for one that it does not know. */
function encodingOf(charset: string): string | null {
  try {
    return new TextDecoder(charset).encoding;
  } catch {
    return null;
  }
}
