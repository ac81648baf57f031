import { parseIsoTime } from '../ground/clock.ts';
import { type JsonValue, numberText } from '../ground/json.ts';

/** Microseconds since 1970-01-01T00:00:00Z, the precision of our columns. A bigint, since doubles lose digits here. */
type Instant = bigint;

/**
 * 2200-01-01. No step of a request happens later: a later time means "never" (9999-12-31, 3000-01-01, Java's
 * Instant.MAX), or counts in a unit smaller than the second.
 */
const END_OF_TIME: Instant = 7_258_118_400_000_000n;
/** 2000-01-01. A smaller unit than the second is read only if that gives this time or a later one. */
const START_OF_SMALL_UNITS: Instant = 946_684_800_000_000n;
const SMALL_UNITS_PER_SECOND = [1_000n, 1_000_000n, 1_000_000_000n] as const;

const DECIMAL = /^\+?(\d{1,40})(?:\.(\d{0,40}))?(?:[eE]([+-]?\d{1,3}))?$/;
// Date, T or a blank, time with any number of decimals, and an offset Z, ±hh, ±hhmm or ±hh:mm, which may be missing.
const ISO_8601 =
  /^(\d{4}-\d{2}-\d{2}[Tt ](?:[01]\d|2[0-3]):[0-5]\d)(?::([0-5]\d|60)(?:[.,](\d{1,40}))?)?\s?(?:[Zz]|([+-](?:[01]\d|2[0-3])):?([0-5]\d)?)?$/;

/**
 * A time as Apono may send it (ADR 4): the time since 1970 as a number or as text, or ISO 8601. Digits beyond the
 * microsecond are cut off. Null when it is not a time after the first moment of 1970 and before 2200.
 */
export function parseInstant(value: JsonValue | undefined): Instant | null {
  const text = numberText(value) ?? (typeof value === 'string' ? value.trim() : '');
  const asSeconds = scaledDecimal(text, 6);
  const instant = asSeconds === null ? parseIso(text) : inItsUnit(asSeconds);
  return instant === null || instant <= 0n || instant >= END_OF_TIME ? null : instant;
}

/** Seconds, or the first smaller unit in which the number is a time from 2000 to 2200: these ranges do not overlap. */
function inItsUnit(asSeconds: Instant): Instant | null {
  if (asSeconds < END_OF_TIME) return asSeconds;
  const inUnits = SMALL_UNITS_PER_SECOND.map((perSecond) => asSeconds / perSecond);
  return inUnits.find((instant) => instant >= START_OF_SMALL_UNITS && instant < END_OF_TIME) ?? null;
}

/** `2023-10-02T16:14:25.851898Z`: always six decimals, so that the text sorts as the time does. */
export function formatInstant(instant: Instant): string {
  const toTheMs = new Date(Number(instant / 1000n)).toISOString().slice(0, -1);
  return `${toTheMs}${(instant % 1000n).toString().padStart(3, '0')}Z`;
}

/** A whole number of seconds, decimals cut off, from a number or its text; null for anything else, and over 2^53. */
export function parseSeconds(value: JsonValue | undefined): number | null {
  const seconds = scaledDecimal(numberText(value) ?? (typeof value === 'string' ? value.trim() : ''), 0);
  return seconds === null || seconds > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(seconds);
}

/** `text` × 10^scale as an integer, decimals cut off; null unless it is a non-negative decimal of a sane size. */
function scaledDecimal(text: string, scale: number): bigint | null {
  const match = DECIMAL.exec(text);
  if (match === null) return null;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  // The place of the decimal point after the exponent and the scale are applied.
  const point = whole.length + Number(exponent) + scale;
  if (point > 60) return /^0*$/.test(digits) ? 0n : null;
  if (point <= 0) return 0n;
  return BigInt(digits.slice(0, point).padEnd(point, '0'));
}

function parseIso(text: string): Instant | null {
  const [, minute, second = '0', fraction = '', offHours = '+00', offMinutes = '00'] = ISO_8601.exec(text) ?? [];
  // The second is added afterwards, since `parseIsoTime` knows neither leap seconds nor microseconds.
  const minuteMs = minute === undefined ? null : parseIsoTime(`${minute}${offHours}:${offMinutes}`);
  if (minuteMs === null) return null;
  return BigInt(minuteMs + Number(second) * 1000) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
}
