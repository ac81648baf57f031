import type { JsonValue } from '../ground/json.ts';

/** A number that a double may not hold, or what looks like one inside a string: only then is the slow way taken. */
const longNumber = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;

/** Parses JSON so that numbers keep all their digits, as Azure's service does. Throws a SyntaxError. */
export function parseLossless(text: string): JsonValue {
  const value = longNumber.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
  return value as JsonValue;
}

function keepDigits(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== 'number' || context.source === undefined) return value;
  return sameNumber(String(value), context.source) ? value : JSON.rawJSON(context.source);
}

/** Whether two decimal texts mean the same number. */
function sameNumber(a: string, b: string): boolean {
  const left = significant(a);
  const right = significant(b);
  return left !== null && right !== null && left.digits === right.digits && left.exponent === right.exponent;
}

/** Sign and digits without zeros at either end, and the power of ten of the last of them. */
function significant(text: string): { digits: string; exponent: number } | null {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (parts === null) return null;
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts;
  const digits = (whole + fraction).replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  if (trimmed === '') return { digits: '0', exponent: 0 };
  return { digits: sign + trimmed, exponent: Number(power) - fraction.length + digits.length - trimmed.length };
}
