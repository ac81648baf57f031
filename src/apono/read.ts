import type { TemplateEscaping } from '../config/config.ts';
import { isJsonObject, type JsonValue } from '../json.ts';
import { decodeEntitiesDeep } from './entities.ts';
import { exactFrom, isNestedDeeperThan } from './exact-json.ts';
import { isRecipeRow } from './recipe-row.ts';
import { escapingEvidence, readLiterally } from './template-text.ts';

/** Deeper bodies are refused: no event of Apono's comes near it, and every walk over a value may recurse. */
export const MAX_DEPTH = 64;

export type ReadBody =
  | {
      readonly outcome: 'read';
      /** With every number as it was written. */
      readonly value: JsonValue;
      /** The same as `JSON.parse` makes it, for the schemas. */
      readonly plain: unknown;
      readonly form: 'json' | 'template';
      /** The JSON of `value`; null: it has to be written, or stands on several lines and would be shorter written anew. */
      readonly json: string | null;
    }
  | { readonly outcome: 'not_json'; readonly detail: string }
  | { readonly outcome: 'too_deep' };

/**
 * Reads a webhook's body. Straight JSON comes out as `JSON.parse` makes it and is never altered. A body that a template
 * made is one whose event_time is a string or which is a recipe row, or which is no JSON until its strings are read
 * literally: no serializer writes such a thing. `escaping` says how to undo what the template engine did (DESIGN.md,
 * Bodies; ADR 0003). Linear in the size.
 */
export function readBody(bytes: Uint8Array, escaping: TemplateEscaping): ReadBody {
  const text = decodeUtf8(bytes);
  if (text === null) return { outcome: 'not_json', detail: 'the body is not UTF-8' };
  const strict = parse(text);
  if (strict.outcome === 'parsed' && !isTemplateMade(strict.plain)) return finish(strict, 'json', false);
  return readTemplate(text, strict, escaping);
}

type Parsed =
  | { readonly outcome: 'parsed'; readonly plain: unknown; readonly text: string }
  | { readonly outcome: 'not_json'; readonly detail: string };

function readTemplate(text: string, strict: Parsed, escaping: TemplateEscaping): ReadBody {
  const reading = chooseReading(text, escaping);
  const literal = reading.literal || (strict.outcome === 'not_json' && escaping === 'auto');
  const first = literal ? parse(readLiterally(text)) : strict;
  // Static text of a template may hold JSON escapes of its own; then only the strict reading is JSON.
  const chosen = first.outcome === 'parsed' ? first : strict;
  return chosen.outcome === 'parsed' ? finish(chosen, 'template', reading.decode) : chosen;
}

/** `literal`: backslashes are what somebody typed. `decode`: entities are the engine's. */
function chooseReading(text: string, escaping: TemplateEscaping): { literal: boolean; decode: boolean } {
  switch (escaping) {
    case 'html':
      return { literal: true, decode: true };
    case 'json':
      return { literal: false, decode: false };
    case 'none':
      return { literal: true, decode: false };
    case 'auto': {
      const evidence = escapingEvidence(text);
      return { literal: evidence.html || !evidence.json, decode: evidence.html };
    }
  }
}

function finish(parsed: Parsed & { outcome: 'parsed' }, form: 'json' | 'template', decode: boolean): ReadBody {
  // Before anything recurses into it.
  if (isNestedDeeperThan(parsed.text, MAX_DEPTH)) return { outcome: 'too_deep' };
  const exact = exactFrom(parsed.plain, parsed.text);
  if (!decode) {
    const json = parsed.text.includes('\n') ? null : parsed.text;
    return { outcome: 'read', value: exact, plain: parsed.plain, form, json };
  }
  const value = decodeEntitiesDeep(exact);
  const plain = exact === parsed.plain ? value : decodeEntitiesDeep(parsed.plain as JsonValue);
  return { outcome: 'read', value, plain, form, json: null };
}

/** Strips a byte order mark; `fatal` because replacement characters would alter what was typed. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

function parse(text: string): Parsed {
  try {
    return { outcome: 'parsed', plain: JSON.parse(text), text };
  } catch (error) {
    return { outcome: 'not_json', detail: text.trim() === '' ? 'the body is empty' : placeOf(error) };
  }
}

/** Where V8 stumbled; its message itself quotes the body, which may hold what must not travel on. */
function placeOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const place = /at position \d+ \((line \d+ column \d+)\)/.exec(message)?.[1];
  return place === undefined
    ? 'the body is not JSON: it ends too early or is no JSON at all'
    : `the body is not JSON at ${place}`;
}

function isTemplateMade(plain: unknown): boolean {
  const events = Array.isArray(plain) ? plain : [plain];
  return events.some((event) => isJsonObject(event) && (typeof event['event_time'] === 'string' || isRecipeRow(event)));
}
