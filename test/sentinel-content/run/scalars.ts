import { createHash } from 'node:crypto';
import { RULE_SCALARS } from './rule-scalars.ts';
import { compare, datetimeOf, isBag, isEmpty, Ticks, textOf, type Value } from './values.ts';

type Scalar = (...args: readonly Value[]) => Value;

const number = (value: Value | undefined): number => {
  if (typeof value !== 'number') throw new Error(`not a number: ${textOf(value ?? null)}`);
  return value;
};
const list = (value: Value | undefined): readonly Value[] | null => (Array.isArray(value) ? value : null);
const text = (value: Value | undefined): string => textOf(value ?? null);
/** RE2's syntax is JavaScript's for what our functions use. */
function regex(value: Value | undefined, flags = ''): RegExp {
  const pattern = text(value);
  return pattern.startsWith('(?i)') ? new RegExp(pattern.slice(4), `${flags}i`) : new RegExp(pattern, flags);
}

function toNumber(value: Value | undefined): Value {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number') return Math.trunc(value);
  return isEmpty(value ?? null) || Number.isNaN(Number(value)) ? null : Math.trunc(Number(value));
}

function firstSet(args: readonly Value[]): Value {
  return args.find((value) => !isEmpty(value)) ?? args.at(-1) ?? null;
}

function bagOf(args: readonly Value[]): Value {
  const names = args.filter((_, index) => index % 2 === 0);
  // A string that is null in this run is an empty one in Kusto, hence never left out.
  return Object.fromEntries(names.map((name, index) => [text(name), args[index * 2 + 1] ?? '']));
}

function toDatetime(value: Value | undefined): Value {
  return value instanceof Ticks ? value : typeof value === 'string' ? datetimeOf(value) : null;
}

/** The scalar functions that our functions use, as https://learn.microsoft.com/kusto/query describes them. */
export const SCALARS: Readonly<Record<string, Scalar>> = {
  isnull: (value) => value === null || value === undefined,
  isnotnull: (value) => value !== null && value !== undefined,
  isempty: (value) => isEmpty(value ?? null),
  isnotempty: (value) => !isEmpty(value ?? null),
  not: (value) => (value === null ? null : value !== true),
  coalesce: (...args) => firstSet(args),
  tostring: (value) => text(value),
  toint: (value) => toNumber(value),
  tolong: (value) => toNumber(value),
  tobool: (value) => (typeof value === 'boolean' ? value : null),
  todatetime: (value) => toDatetime(value),
  tolower: (value) => text(value).toLowerCase(),
  toupper: (value) => text(value).toUpperCase(),
  strcat: (...args) => args.map(textOf).join(''),
  strcat_delim: (delimiter, ...args) => args.map(textOf).join(text(delimiter)),
  substring: (value, start, length) =>
    text(value).slice(number(start), length === undefined ? undefined : number(start) + number(length)),
  split: (value, delimiter) => text(value).split(text(delimiter)),
  trim: (pattern, value) =>
    text(value)
      .replace(regex(`^(?:${text(pattern)})`), '')
      .replace(regex(`(?:${text(pattern)})$`), ''),
  extract: (pattern, group, value) => regex(pattern).exec(text(value))?.[number(group)] ?? '',
  replace_regex: (value, pattern, by) => text(value).replace(regex(pattern, 'g'), text(by)),
  hash_sha256: (value) => createHash('sha256').update(text(value)).digest('hex'),
  max_of: (...args) => args.reduce((best, value) => ((compare(value, best) ?? 0) > 0 ? value : best)),
  array_length: (value) => list(value)?.length ?? null,
  array_sort_asc: (value) => list(value)?.toSorted((left, right) => compare(left, right) ?? 0) ?? null,
  ...RULE_SCALARS,
  pack_array: (...args) => args,
  bag_pack: (...args) => bagOf(args),
};

/** `bag.name` and `array[index]`; null where there is none. */
export function memberOf(value: Value, member: Value): Value {
  if (Array.isArray(value)) return value[number(member)] ?? null;
  return isBag(value) ? (value[text(member)] ?? null) : null;
}

const TERM = '[\\p{L}\\p{N}]';

function hasTerm(value: Value, term: Value): boolean {
  const escaped = text(term).replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`(?<!${TERM})${escaped}(?!${TERM})`, 'iu').test(text(value));
}

const sameText = (left: Value, right: Value): boolean => text(left).toLowerCase() === text(right).toLowerCase();

function equals(left: Value, right: Value): Value {
  if (left === null && right === null) return null;
  if (typeof left === 'string' || typeof right === 'string') return text(left) === text(right);
  return left !== null && right !== null && compare(left, right) === 0;
}

const ordered =
  (holds: (order: number) => boolean) =>
  (left: Value, right: Value): Value => {
    const order = compare(left, right);
    return order === null ? null : holds(order);
  };

function add(left: Value, right: Value, sign: 1 | -1): Value {
  if (left === null || right === null) return null;
  if (!(left instanceof Ticks) || !(right instanceof Ticks)) return number(left) + sign * number(right);
  const type = left.type === 'datetime' && right.type === 'timespan' ? 'datetime' : 'timespan';
  return new Ticks(type, left.ticks + BigInt(sign) * right.ticks);
}

function multiply(left: Value, right: Value): Value {
  if (left === null || right === null) return null;
  if (right instanceof Ticks) return multiply(right, left);
  if (left instanceof Ticks) return new Ticks('timespan', left.ticks * BigInt(number(right)));
  return number(left) * number(right);
}

/** A length of time divided by another one is a number. */
function divide(left: Value, right: Value): Value {
  if (left === null || right === null) return null;
  if (left instanceof Ticks && right instanceof Ticks) return Number(left.ticks) / Number(right.ticks);
  return number(left) / number(right);
}

/** Operators between two values; `and` and `or`, which look at the second only where they must, are elsewhere. */
export const OPERATORS: Readonly<Record<string, (left: Value, right: Value) => Value>> = {
  '==': equals,
  '!=': (left, right) => (left === null && right === null ? null : equals(left, right) !== true),
  '=~': sameText,
  '<': ordered((order) => order < 0),
  '<=': ordered((order) => order <= 0),
  '>': ordered((order) => order > 0),
  '>=': ordered((order) => order >= 0),
  '+': (left, right) => add(left, right, 1),
  '-': (left, right) => add(left, right, -1),
  '*': multiply,
  '/': divide,
  in: (left, right) => (list(right) ?? []).some((value) => equals(left, value) === true),
  '!in': (left, right) => !(list(right) ?? []).some((value) => equals(left, value) === true),
  'in~': (left, right) => (list(right) ?? []).some((value) => sameText(left, value)),
  '!in~': (left, right) => !(list(right) ?? []).some((value) => sameText(left, value)),
  has: hasTerm,
  has_any: (left, right) => (list(right) ?? []).some((term) => hasTerm(left, term)),
  contains: (left, right) => text(left).toLowerCase().includes(text(right).toLowerCase()),
  '!contains': (left, right) => !text(left).toLowerCase().includes(text(right).toLowerCase()),
  startswith: (left, right) => text(left).toLowerCase().startsWith(text(right).toLowerCase()),
  'matches regex': (left, right) => regex(right).test(text(left)),
};
