import type { JsonValue, RawJsonNumber } from '../json.ts';

/** More digits than this may not survive a double: IEEE 754 keeps 15 of any decimal. */
const SAFE_DIGITS = 15;
/** No double needs more characters to be written; a longer number is kept as it is, unlooked at. */
const LONGEST_DOUBLE = 400;
const NUMBER = /-?\d[\d.eE+-]*/g;

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
  // The reviver costs several times the parse, and numbers that need it are rare: look first.
  if (!hasInexactNumber(text)) return plain as JsonValue;
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? exactNumber(value, source) : value,
  ) as JsonValue;
}

function exactNumber(value: number, source: string): number | RawJsonNumber {
  return isExact(value, source) ? value : JSON.rawJSON(source);
}

/** Whether any number outside of strings would be changed by a double. Linear: it jumps from quote to quote. */
function hasInexactNumber(text: string): boolean {
  let from = 0;
  while (from < text.length) {
    const quote = text.indexOf('"', from);
    const gapEnd = quote === -1 ? text.length : quote;
    // `:1,` and the like are most gaps; only one with more than 15 characters, or with an exponent, can hold such a number.
    if (gapEnd - from > 2 && gapHasInexactNumber(text.slice(from, gapEnd))) return true;
    if (quote === -1) return false;
    from = endOfString(text, quote);
  }
  return false;
}

function gapHasInexactNumber(gap: string): boolean {
  for (const [source] of gap.matchAll(NUMBER)) {
    if (source.length <= SAFE_DIGITS && !/[eE]/.test(source)) continue;
    if (!isExact(Number(source), source)) return true;
  }
  return false;
}

/** The index behind the closing quote of the string that opens at `quote`, in text that is known to be JSON. */
function endOfString(text: string, quote: number): number {
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
  if (shortest.includes('e') && !/e/i.test(source)) return false;
  return normalDecimal(shortest) === normalDecimal(source);
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
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.trailing);
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
