import { hasEntity } from './entities.ts';
import { endOfString } from './exact-json.ts';

/** How the strings of a body are read. `decode`: the template engine made the entities, so they are decoded. */
export interface Reading {
  /** `literal`: each backslash is what somebody typed. */
  readonly backslashes: 'literal' | 'json';
  readonly decode: boolean;
}

/** An ampersand that a JSON writer escaped, which may be the beginning of an entity. */
const ESCAPED_AMPERSAND = /\\u0026/;

/** What JSON escaping leaves. The other escapes (`\n`, `\b`) also occur in a path such as CORP\bob. */
const JSON_EVIDENCE = /\\(?:["\\/]|u[0-9a-fA-F]{4})/;

/** How to read a template-made body that is valid JSON as it stands, judged by its text in linear time (ADR 3). */
export function readingOf(text: string): Reading {
  const decode = hasEntity(text);
  if (!JSON_EVIDENCE.test(text)) return { backslashes: 'literal', decode };
  if (!decode) return { backslashes: 'json', decode: ESCAPED_AMPERSAND.test(text) };
  return { backslashes: isWrittenByJsonWriter(text) ? 'json' : 'literal', decode };
}

/**
 * Whether a JSON writer made a body with both entities and JSON escapes, rather than a template engine that passed on
 * backslashes which somebody typed. A writer never escapes letters, digits and spaces, it writes a character the same
 * way everywhere, and where `\\` is its only escape it leaves no line breaks between the members.
 */
function isWrittenByJsonWriter(text: string): boolean {
  const escaped = new Set<number>();
  let hasEscapedQuote = false;
  for (const at of backslashes(text)) {
    const next = text[at + 1];
    if (next === '"') hasEscapedQuote = true;
    if (next === '/') escaped.add(SLASH);
    if (next !== 'u') continue;
    const unit = Number.parseInt(text.slice(at + 2, at + 6), 16);
    if (/[A-Za-z0-9 ]/.test(String.fromCharCode(unit))) return false;
    escaped.add(unit);
  }
  if (escaped.size === 0) return hasEscapedQuote || !hasLineBreaksBetweenMembers(text);
  return !holdsRaw(text, escaped);
}

/** The places of the backslashes that begin an escape, in text that is valid JSON. */
function* backslashes(text: string): Generator<number> {
  for (let at = text.indexOf('\\'); at !== -1; at = text.indexOf('\\', at + 2)) yield at;
}

/** Whether a string contains one of these code units without an escape. Halves of surrogate pairs are not compared. */
function holdsRaw(text: string, units: ReadonlySet<number>): boolean {
  for (let start = text.indexOf('"'); start !== -1; ) {
    const end = endOfString(text, start);
    for (let at = start + 1; at < end - 1; at++) {
      const unit = text.charCodeAt(at);
      if (unit === BACKSLASH) at += text[at + 1] === 'u' ? 5 : 1;
      else if (units.has(unit) && (unit & 0xf800) !== 0xd800) return true;
    }
    start = text.indexOf('"', end);
  }
  return false;
}

/** `text` must be valid JSON, where no string contains a raw line break. */
function hasLineBreaksBetweenMembers(text: string): boolean {
  return /[\r\n]/.test(text.trim());
}

/**
 * Reads every backslash and control character inside of strings as typed. Strings end at the next quote, whatever comes
 * before it, because with HTML escaping no value contains a quote. Takes linear time.
 */
export function readLiterally(text: string): string {
  return text
    .split('"')
    .map((part, index) => (index % 2 === 1 ? part.replace(CONTROL_OR_BACKSLASH, jsonEscape) : part))
    .join('"');
}

/**
 * Reads only those backslashes and control characters inside of strings as typed that JSON does not allow, for a
 * template whose own text contains `\"`. Takes linear time.
 */
export function escapeInvalid(text: string): string {
  let fixed = '';
  let copiedTo = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) isInString = !isInString;
    if (!isInString || (unit >= 0x20 && unit !== BACKSLASH)) continue;
    if (unit === BACKSLASH && isEscape(text, at)) {
      at++;
      continue;
    }
    fixed += text.slice(copiedTo, at) + jsonEscape(text.charAt(at));
    copiedTo = at + 1;
  }
  return fixed + text.slice(copiedTo);
}

/** Whether the backslash at a place begins a JSON escape. */
export function isEscape(text: string, backslash: number): boolean {
  const next = text[backslash + 1];
  if (next === 'u') return /^[0-9a-fA-F]{4}$/.test(text.slice(backslash + 2, backslash + 6));
  return next !== undefined && '"\\/bfnrt'.includes(next);
}

const QUOTE = 0x22;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL_OR_BACKSLASH = /[\\\u0000-\u001f]/g;

function jsonEscape(char: string): string {
  return char === '\\' ? '\\\\' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
