import { compare, datetimeOf, Ticks, textOf, type Value } from './values.ts';

type Scalar = (...args: readonly Value[]) => Value;

const text = (value: Value | undefined): string => textOf(value ?? null);
const list = (value: Value | undefined): readonly Value[] => (Array.isArray(value) ? value : []);

function ticksOf(value: Value | undefined): bigint {
  if (value instanceof Ticks) return value.ticks;
  throw new Error(`no time: ${text(value)}`);
}

const dateOf = (value: Value | undefined): Date => new Date(Number(ticksOf(value) / 10_000n));

/** Rounds half away from zero, as .NET's Math.Round does where Kusto asks it to. */
function round(value: Value | undefined, digits: Value | undefined): Value {
  if (typeof value !== 'number') return null;
  const scale = 10 ** Number(digits ?? 0);
  return (Math.sign(value) * Math.round(Math.abs(value) * scale)) / scale;
}

/** The time that clocks in the zone show, as a datetime. */
function toLocal(value: Value | undefined, zone: Value | undefined): Value {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: text(zone), dateStyle: 'short', timeStyle: 'medium' });
  return datetimeOf(`${format.format(dateOf(value)).replace(' ', 'T')}Z`);
}

function formatted(value: Value | undefined, format: Value | undefined): Value {
  if (text(format) !== 'yyyy-MM-dd HH:mm') throw new Error(`no such format here: ${text(format)}`);
  return dateOf(value).toISOString().slice(0, 16).replace('T', ' ');
}

/** Text that is no JSON stays text. */
function toDynamic(value: Value | undefined): Value {
  if (typeof value !== 'string') return value ?? null;
  try {
    return JSON.parse(value) as Value;
  } catch {
    return value;
  }
}

function arraysOf(values: readonly Value[]): readonly (readonly Value[])[] | null {
  return values.every((value) => Array.isArray(value)) ? values.map(list) : null;
}

/** Scalar functions that the analytics rules use beyond those of our functions. */
export const RULE_SCALARS: Readonly<Record<string, Scalar>> = {
  todynamic: toDynamic,
  gettype: (value) => (value === null || value === undefined ? 'null' : Array.isArray(value) ? 'array' : typeof value),
  array_concat: (...arrays) => arraysOf(arrays)?.flat() ?? null,
  array_index_of: (array, value) =>
    Array.isArray(array) ? array.findIndex((one: Value) => typeof one === typeof value && one === value) : null,
  strcat_array: (array, delimiter) => list(array).map(textOf).join(text(delimiter)),
  set_intersect: (left, right) => [...new Set(list(left))].filter((one) => list(right).includes(one)),
  set_union: (...sets) => [...new Set(sets.flatMap(list))],
  min_of: (...args) => args.reduce((best, value) => ((compare(value, best) ?? 0) < 0 ? value : best)),
  round,
  bin: (value, size) =>
    value instanceof Ticks ? new Ticks(value.type, value.ticks - (value.ticks % ticksOf(size))) : null,
  abs: (value) => (value instanceof Ticks && value.ticks < 0n ? new Ticks(value.type, -value.ticks) : (value ?? null)),
  startofday: (value) => new Ticks('datetime', ticksOf(value) - (ticksOf(value) % 864_000_000_000n)),
  strlen: (value) => [...text(value)].length,
  string_size: (value) => Buffer.byteLength(text(value)),
  replace_string: (value, from, to) => text(value).replaceAll(text(from), text(to)),
  hourofday: (value) => dateOf(value).getUTCHours(),
  dayofweek: (value) => new Ticks('timespan', BigInt(dateOf(value).getUTCDay()) * 864_000_000_000n),
  datetime_utc_to_local: toLocal,
  format_datetime: formatted,
};
