/** 100 ns since the year 1 (a datetime) or as a length of time (a timespan), as Kusto counts. */
export class Ticks {
  readonly type: 'datetime' | 'timespan';
  readonly ticks: bigint;

  constructor(type: 'datetime' | 'timespan', ticks: bigint) {
    this.type = type;
    this.ticks = ticks;
  }
}

/** Strings are never null in Kusto; a null here counts as the empty string wherever text is wanted. */
export type Value = null | string | number | boolean | Ticks | readonly Value[] | { readonly [key: string]: Value };

export function isBag(value: Value): value is { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Ticks);
}

const TICKS_PER_UNIT: Readonly<Record<string, bigint>> = {
  tick: 1n,
  ms: 10_000n,
  s: 10_000_000n,
  m: 600_000_000n,
  h: 36_000_000_000n,
  d: 864_000_000_000n,
};

/** A time with up to seven digits of a second, as in `2026-11-02T09:05:00.000001Z`; null for what is none. */
export function datetimeOf(text: string): Ticks | null {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z)?$/.exec(text.trim());
  if (match === null) return null;
  const ms = Date.parse(`${match[1]}T${match[2] ?? '00:00:00'}Z`);
  return new Ticks('datetime', BigInt(ms) * 10_000n + BigInt((match[3] ?? '').padEnd(7, '0')));
}

/** `1h`, `1tick`, `03:54:59.999999`. */
export function timespanOf(text: string): Ticks | null {
  const clock = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?$/.exec(text);
  if (clock !== null) {
    const seconds = (Number(clock[1]) * 60 + Number(clock[2])) * 60 + Number(clock[3]);
    return new Ticks('timespan', BigInt(seconds) * 10_000_000n + BigInt((clock[4] ?? '').padEnd(7, '0')));
  }
  const unit = /^(\d+)([a-z]+)$/.exec(text);
  const size = TICKS_PER_UNIT[unit?.[2] ?? ''];
  return unit === null || size === undefined ? null : new Ticks('timespan', BigInt(unit[1] ?? '') * size);
}

export function textOf(value: Value): string {
  if (value === null) return '';
  if (value instanceof Ticks) return value.type === 'timespan' ? spanText(value.ticks) : instantText(value.ticks);
  return typeof value === 'object'
    ? JSON.stringify(value, (_key, inner) => (inner instanceof Ticks ? textOf(inner) : inner))
    : String(value);
}

function instantText(ticks: bigint): string {
  const seconds = new Date(Number(ticks / 10_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(ticks % 10_000_000n).padStart(7, '0')}Z`;
}

function spanText(ticks: bigint): string {
  return `${ticks / 10_000_000n}.${String(ticks % 10_000_000n).padStart(7, '0')} s`;
}

export function isEmpty(value: Value): boolean {
  return value === null || value === '';
}

/** Below 0, 0 or above 0; null where a null takes part. */
export function compare(left: Value, right: Value): number | null {
  if (left === null || right === null) return null;
  if (left instanceof Ticks && right instanceof Ticks)
    return left.ticks < right.ticks ? -1 : Number(left.ticks > right.ticks);
  if (typeof left === 'object' || typeof right === 'object')
    throw new Error(`cannot compare ${textOf(left)} and ${textOf(right)}`);
  if (typeof left !== typeof right) throw new Error(`cannot compare ${typeof left} and ${typeof right}`);
  return left < right ? -1 : Number(left > right);
}

/** The same text for values that `summarize ... by` takes for one. */
export function groupKey(value: Value): string {
  if (isEmpty(value)) return '';
  return `${value instanceof Ticks ? value.type : typeof value} ${textOf(value)}`;
}
