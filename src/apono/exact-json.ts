import { randomBytes } from 'node:crypto';
import type { JsonValue } from '../ground/json.ts';

/** A double keeps 15 digits of any decimal (IEEE 754); more may be lost. */
const SAFE_DIGITS = 15;
/** No double needs more characters; a longer number is kept as it was written without a closer look. */
const LONGEST_DOUBLE = 400;

/**
 * `JSON.parse`, but a number that a double would change (20-digit ids, 1e400) stays as it is written.
 * @throws SyntaxError when `text` is not JSON, as `JSON.parse` does
 */
export function parseExact(text: string): JsonValue {
  const plain: unknown = JSON.parse(text);
  return exactFrom(plain, text);
}

/** As `parseExact`, for a text that was parsed already. The value must not be nested deeper than the stack allows. */
export function exactFrom(plain: unknown, text: string): JsonValue {
  const marked = markInexactNumbers(text);
  // The obvious way, a reviver, takes a hundred times as long as the parse: seconds for the largest bodies.
  return marked === null ? (plain as JsonValue) : withMarkedNumbers(JSON.parse(marked));
}

/** Begins the strings that stand for numbers. It is random, so that no body can contain it. */
const MARK = randomBytes(12).toString('base64url');

/** The text with each number that a double would change as a string after the mark; null when there is none. */
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

/** Calls `onNumber` with the place of each number that might not be exact. Takes linear time. */
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

/** Replaces the strings that stand for numbers by these numbers, in place. */
function withMarkedNumbers(value: unknown): JsonValue {
  if (typeof value === 'string' && value.startsWith(MARK)) return JSON.rawJSON(value.slice(MARK.length));
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = withMarkedNumbers(value[index]);
  } else if (typeof value === 'object' && value !== null) {
    const members = value as Record<string, unknown>;
    for (const key of Object.keys(members)) {
      const child = members[key];
      const restored = withMarkedNumbers(child);
      // Assigning `__proto__` would set the prototype. For all other keys assigning is a hundred times as fast.
      if (key === '__proto__') Object.defineProperty(members, key, { value: restored });
      else if (restored !== child) members[key] = restored;
    }
  }
  return value as JsonValue;
}

/**
 * Whether a text has more values than this, counted by the `[`, `{` and `,` outside of strings. Takes linear time and
 * builds no value, because a body of empty lists would take a hundred times its size in memory.
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

/** Whether JSON text is nested deeper than `levels`. Takes linear time and does not recurse. */
export function isNestedDeeperThan(text: string, levels: number): boolean {
  return !hasAtMostOpening(text, levels) && isDeeper(text, levels);
}

/** Whether the text has at most this many `[` and `{`, strings included, which spares most bodies the closer look. */
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
    // Outside of strings only [ ] { } have these bits: 0x5b 0x5d 0x7b 0x7d.
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

/** The index after the closing quote of the string that opens at `quote`, or the end of the text if none closes it. */
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
 * Whether the double's shortest decimal is the number that was written, apart from zeros at its ends. A number that
 * JavaScript would write with an exponent although it came without one is not exact either, since ids are shown as
 * text.
 */
function isExact(value: number, source: string): boolean {
  if (source.length > LONGEST_DOUBLE || !Number.isFinite(value)) return false;
  const shortest = String(value);
  if (shortest === source) return true;
  // A short cut for Apono's times, whose nine decimals end in zeros.
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
 * One spelling for each decimal: sign, significant digits without zeros at either end, power of ten. Equal numbers have
 * the same spelling, however their zeros and exponents were written; `-0` is `0`.
 */
export function normalDecimal(source: string): string {
  const [mantissa = '', exponent = '0'] = source.toLowerCase().split('e');
  // No real number has such an exponent, and turning megabytes of digits into a bigint takes seconds.
  if (exponent.length > LONGEST_DOUBLE) return source;
  const negative = mantissa.startsWith('-');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = trimZeros(whole + fraction);
  if (digits.text === '') return '0';
  const shift = digits.trailing - fraction.length;
  const power = exponent.length <= SAFE_DIGITS ? Number(exponent) + shift : BigInt(exponent) + BigInt(shift);
  return `${negative ? '-' : ''}${digits.text}e${power}`;
}

/** Not by a pattern: `/0+$/` takes quadratic time on long runs of zeros that do not end the text. */
function trimZeros(digits: string): { text: string; trailing: number } {
  let start = 0;
  while (digits.charCodeAt(start) === 0x30) start++;
  let end = digits.length;
  while (end > start && digits.charCodeAt(end - 1) === 0x30) end--;
  return { text: digits.slice(start, end), trailing: digits.length - end };
}
