import { hasEntity } from './entities.ts';

/** How a template engine treated the values that it put into a body, as far as the body shows it. See ADR 0003. */
export interface EscapingEvidence {
  /** An entity, a raw control character or an invalid escape inside a string: what HTML escaping leaves behind. */
  readonly html: boolean;
  /** `\"` or `\\`: what JSON escaping makes. */
  readonly json: boolean;
}

/** Reads the strings of `text` as JSON does, whether or not the whole is JSON, and says what they show. Linear. */
export function escapingEvidence(text: string): EscapingEvidence {
  let json = false;
  if (hasEntity(text)) return { html: true, json: false };
  let at = text.indexOf('"');
  while (at !== -1) {
    at++;
    for (; at < text.length && text.charCodeAt(at) !== QUOTE; at++) {
      const code = text.charCodeAt(at);
      if (code < 0x20) return { html: true, json };
      if (code !== BACKSLASH) continue;
      const kind = escapeKindAt(text, at);
      if (kind === 'invalid') return { html: true, json };
      if (kind === 'quoting') json = true;
      at++;
    }
    at = text.indexOf('"', at + 1);
  }
  return { html: false, json };
}

/**
 * The text with every backslash and control character inside its strings taken as typed. Strings end at the next
 * quote, whatever stands before it: with HTML escaping no value holds a quote. Linear.
 */
export function readLiterally(text: string): string {
  return text
    .split('"')
    .map((part, index) => (index % 2 === 1 ? part.replace(CONTROL_OR_BACKSLASH, jsonEscape) : part))
    .join('"');
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL_OR_BACKSLASH = /[\\\u0000-\u001f]/g;

function jsonEscape(char: string): string {
  return char === '\\' ? '\\\\' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function escapeKindAt(text: string, backslash: number): 'quoting' | 'valid' | 'invalid' {
  const next = text[backslash + 1] ?? '';
  if (next === '"' || next === '\\') return 'quoting';
  if (next === 'u') return /^[0-9a-fA-F]{4}$/.test(text.slice(backslash + 2, backslash + 6)) ? 'valid' : 'invalid';
  return next !== '' && '/bfnrt'.includes(next) ? 'valid' : 'invalid';
}
