import { randomBytes } from 'node:crypto';
import type { JsonValue } from '../ground/json.ts';

/** More digits than this may not survive a double: IEEE 754 keeps 15 of any decimal. */
const SAFE_DIGITS = 15;
/** No double needs more characters to be written; a longer number is kept as it is, unlooked at. */
const LONGEST_DOUBLE = 400;

/**
 * `JSON.parse`, but a number that a double would change (20-digit ids, 1e400) stays as it is written.
 * @throws SyntaxError when `text` is no JSON, as `JSON.parse` does
 */
export function parseExact(text: string): JsonValue {
  const plain: unknown = JSON.parse(text);
  return exactFrom(plain, text);
}

/** The same for a text whose plain value is already there; it must not be nested deeper than the stack can bear. */
export function exactFrom(plain: unknown, text: string): JsonValue {
  const marked = markInexactNumbers(text);
  // A reviver, which is made for this, takes a hundred times as long as the parse: seconds for the largest bodies.
  return marked === null ? (plain as JsonValue) : withMarkedNumbers(JSON.parse(marked));
}

/** Begins the strings that stand for numbers. Nobody outside can guess it, so that no body holds it. */
const MARK = randomBytes(12).toString('base64url');

/** The text with every number that a double would change as a string behind the mark; null when there is none. */
function markInexactNumbers(text: string): string | null {
  let marked = '';
  let copiedTo = 0;
  forEachToken(text, (start, end) => {
    const source = text.slice(start, end);
    if (isExact(Number(source), source)) return;
    marked += `${text.slice(copiedTo, start)}"${MARK}${source}"`;
    copiedTo = end;
  });
  return copiedTo === 0 ? null : marked + text.slice(copiedTo);
}

/** Calls `onNumber` with the place of each number that might not be exact. Linear: it jumps from quote to quote. */
function forEachToken(text: string, onNumber: (start: number, end: number) => void): void {
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (isDigit(code) || code === MINUS) {
      const start = at;
      let hasExponent = false;
      for (let next = code; isNumberPart(next); next = text.charCodeAt(++at)) hasExponent ||= (next | 0x20) === LOWER_E;
      if (hasExponent || at - start > SAFE_DIGITS || text.startsWith('0.000000', start + Number(code === MINUS)))
        onNumber(start, at);
    } else {
      at++;
    }
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const LOWER_E = 0x65;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Digits, `+ - . e E`. */
function isNumberPart(code: number): boolean {
  return isDigit(code) || code === 0x2b || code === MINUS || code === 0x2e || (code | 0x20) === LOWER_E;
}

/** Puts the numbers in place of the strings that stand for them, inside of the value itself. */
function withMarkedNumbers(value: unknown): JsonValue {
  if (typeof value === 'string' && value.startsWith(MARK)) return JSON.rawJSON(value.slice(MARK.length));
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = withMarkedNumbers(value[index]);
  } else if (typeof value === 'object' && value !== null) {
    const members = value as Record<string, unknown>;
    for (const key of Object.keys(members)) {
      const child = members[key];
      const restored = withMarkedNumbers(child);
      // By assignment, `__proto__` would become the prototype; for all others it is a hundred times as fast.
      if (key === '__proto__') Object.defineProperty(members, key, { value: restored });
      else if (restored !== child) members[key] = restored;
    }
  }
  return value as JsonValue;
}

/**
 * Whether a text has more values than this, as its `[`, `{` and `,` outside of strings count them. Linear, and without
 * building any of them: a body of empty lists would take a hundred times its size.
 */
export function hasMoreValuesThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  let left = limit;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === COMMA || (code & 0xdf) === 0x5b) {
      left--;
      if (left < 0) return true;
    }
    at++;
  }
  return false;
}

/** Whether brackets stand deeper than `levels` in a text that is known to be JSON. Linear, without recursion. */
export function isNestedDeeperThan(text: string, levels: number): boolean {
  return !hasAtMostOpening(text, levels) && isDeeper(text, levels);
}

/** Whether there are no more `[` and `{` than this in the text, strings included: most bodies need no closer look. */
function hasAtMostOpening(text: string, limit: number): boolean {
  let left = limit;
  for (const bracket of '[{') {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      left--;
      if (left < 0) return false;
    }
  }
  return true;
}

function isDeeper(text: string, levels: number): boolean {
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    // Of the characters outside of strings only [ ] { } have these bits: 0x5b 0x5d 0x7b 0x7d.
    if ((code & 0xdf) === 0x5b) {
      depth++;
      if (depth > levels) return true;
    } else if ((code & 0xdf) === 0x5d) {
      depth--;
    }
    at++;
  }
  return false;
}

/** The index after the closing quote of the string that opens at `quote`; the end of the text where there is none. */
export function endOfString(text: string, quote: number): number {
  let end = text.indexOf('"', quote + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/**
 * Whether the double's shortest decimal is the very number that was written; zeros at its ends do not count. A number
 * that JavaScript would write with an exponent although it came without one is kept too: ids are shown as text.
 */
function isExact(value: number, source: string): boolean {
  if (source.length > LONGEST_DOUBLE || !Number.isFinite(value)) return false;
  const shortest = String(value);
  if (shortest === source) return true;
  // Most are Apono's times, whose nine decimals end in zeros.
  if (source.length > shortest.length && /^-?\d+\.\d+$/.test(shortest) && source.startsWith(shortest)) {
    if (areZeros(source, shortest.length)) return true;
  }
  if (shortest.includes('e') && !/e/i.test(source)) return false;
  return normalDecimal(shortest) === normalDecimal(source);
}

function areZeros(digits: string, from: number): boolean {
  for (let at = from; at < digits.length; at++) if (digits.charCodeAt(at) !== 0x30) return false;
  return true;
}

/**
 * A decimal in one spelling: sign, significant digits without zeros at either end, power of ten. Two numbers that are
 * equal have the same, whatever their zeros and exponents; `-0` is `0`.
 */
export function normalDecimal(source: string): string {
  const [mantissa = '', exponent = '0'] = source.toLowerCase().split('e');
  // Such an exponent means nothing to anybody, and turning megabytes of digits into a bigint takes seconds.
  if (exponent.length > LONGEST_DOUBLE) return source;
  const negative = mantissa.startsWith('-');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = trimZeros(whole + fraction);
  if (digits.text === '') return '0';
  const shift = digits.trailing - fraction.length;
  const power = exponent.length <= SAFE_DIGITS ? Number(exponent) + shift : BigInt(exponent) + BigInt(shift);
  return `${negative ? '-' : ''}${digits.text}e${power}`;
}

/** By hand: `/0+$/` is quadratic on long runs of zeros that do not end the text. */
function trimZeros(digits: string): { text: string; trailing: number } {
  let start = 0;
  while (digits.charCodeAt(start) === 0x30) start++;
  let end = digits.length;
  while (end > start && digits.charCodeAt(end - 1) === 0x30) end--;
  return { text: digits.slice(start, end), trailing: digits.length - end };
}
