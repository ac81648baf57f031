import type { JsonValue } from '../ground/json.ts';

/** No double needs more characters; a longer number is kept as it was written without a closer look. */
const LONGEST_DOUBLE = 400;

/**
 * What a text holds if it is JSON: `values`, the number of its values, lists and objects among them; `depth`, its levels
 * of lists and objects; `isExact`, whether a double holds each of its numbers. Takes linear time, does not recurse and
 * builds no value, because a body of empty lists would take a hundred times its size in memory, and one that is nested
 * deeply enough would overflow the stack of anything that walks over it.
 */
export function measure(text: string) {
  // The text itself is one value. A list or object that is not empty has one after its bracket and one after each comma.
  let [values, depth, deepest, isExact] = [1, 0, 0, true];
  let isOpened = false;
  forEachToken(text, (char, start, end) => {
    if (isOpened && char !== ']' && char !== '}') values++;
    isOpened = char === '[' || char === '{';
    if (isOpened) {
      depth++;
      deepest = Math.max(deepest, depth);
    } else if (char === ']' || char === '}') depth--;
    else if (char === ',') values++;
    else if (isExact && isNumberStart(char)) isExact = isExactNumber(text.slice(start, end));
  });
  return { values, depth: deepest, isExact };
}

/**
 * `JSON.parse`, but a number that a double would change (20-digit ids, 1e400) stays as it is written. The text must not
 * be nested deeper than the stack allows.
 * @throws SyntaxError when `text` is not JSON, as `JSON.parse` does
 */
export function parseExact(text: string, { isExact }: { readonly isExact: boolean } = measure(text)): JsonValue {
  // A reviver takes ten times as long as the parse, and few bodies need one.
  if (isExact) return JSON.parse(text) as JsonValue;
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value !== 'number' || source === undefined || isExactNumber(source) ? value : JSON.rawJSON(source),
  ) as JsonValue;
}

/**
 * The JSON Pointer of the first member whose name its object already has, however either is escaped; null if there is
 * none. `JSON.parse` would silently keep the last one. `text` must be JSON. Takes linear time and does not recurse.
 */
export function duplicateKey(text: string): string | null {
  // The objects and lists around the place of the scan; `at`: the name of the member or the index of the element there.
  const inside: { readonly names: Set<string>; at: string | number }[] = [];
  let expectsName = false;
  let found: string | null = null;
  forEachToken(text, (char, start, end) => {
    const current = inside.at(-1);
    if (char === '{' || char === '[') {
      expectsName = char === '{';
      inside.push({ names: new Set(), at: expectsName ? '' : 0 });
    } else if (char === '}' || char === ']') {
      expectsName = false;
      inside.pop();
    } else if (char === ',') {
      expectsName = typeof current?.at === 'string';
      if (typeof current?.at === 'number') current.at++;
    } else if (char === '"' && expectsName && current !== undefined) {
      expectsName = false;
      const name = JSON.parse(text.slice(start, end)) as string;
      current.at = name;
      if (current.names.has(name)) found ??= pointer(inside.map(({ at }) => at));
      current.names.add(name);
    }
  });
  return found;
}

/** Ends at the first name that may not be the template's, because answers never quote what somebody typed. */
function pointer(names: readonly (string | number)[]): string {
  const typedAt = names.findIndex((name) => !/^\w{1,64}$/.test(String(name)));
  return ['', ...(typedAt === -1 ? names : names.slice(0, typedAt))].join('/');
}

const NUMBER = /[\d.eE+-]+/y;

/** Calls `visit` with the first character and the place of each string, each number, and each other character but blanks. */
function forEachToken(text: string, visit: (char: string, start: number, end: number) => void): void {
  for (let at = 0; at < text.length; ) {
    const start = at;
    const char = text.charAt(at);
    if (char <= ' ') {
      at++;
      continue;
    }
    if (char === '"') {
      at = endOfString(text, at) ?? text.length;
    } else if (isNumberStart(char)) {
      NUMBER.lastIndex = at;
      NUMBER.test(text);
      at = NUMBER.lastIndex;
    } else at++;
    visit(char, start, at);
  }
}

/** The index after the closing quote of the string that opens at `quote`; null if none closes it. */
export function endOfString(text: string, quote: number): number | null {
  let end = text.indexOf('"', quote + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return null;
}

function isNumberStart(char: string): boolean {
  return char === '-' || (char >= '0' && char <= '9');
}

/**
 * Whether a double's shortest decimal is the number that was written, apart from zeros at its ends. A number that
 * JavaScript would write with an exponent although it came without one is not exact either, since ids are shown as
 * text.
 */
function isExactNumber(source: string): boolean {
  const value = Number(source);
  if (source.length > LONGEST_DOUBLE || !Number.isFinite(value)) return false;
  const shortest = String(value);
  if (shortest === source) return true;
  if (shortest.includes('e') && !/e/i.test(source)) return false;
  return normalDecimal(shortest) === normalDecimal(source);
}

const NUMBER_PARTS = /^(-?)(\d+)(?:\.(\d+))?(?:[eE](.+))?$/;

/**
 * One spelling for each decimal: sign, significant digits without zeros at either end, power of ten. Equal numbers have
 * the same spelling, however their zeros and exponents were written; `-0` is `0`. `source` is a number as JSON or `String`
 * writes it.
 */
export function normalDecimal(source: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER_PARTS.exec(source) ?? [];
  // No real number has such an exponent, and turning megabytes of digits into a bigint takes seconds.
  if (exponent.length > LONGEST_DOUBLE) return source;
  const digits = whole + fraction;
  // Not by a pattern: `/0+$/` takes quadratic time on long runs of zeros that do not end the text.
  let start = 0;
  while (digits[start] === '0') start++;
  if (start === digits.length) return '0';
  let end = digits.length;
  while (digits[end - 1] === '0') end--;
  return `${sign}${digits.slice(start, end)}e${BigInt(exponent) + BigInt(whole.length - end)}`;
}
