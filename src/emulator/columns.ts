import { isRawNumber, type JsonValue } from '../ground/json.ts';
import type { Row } from '../sentinel/row.ts';
import type { ColumnType } from '../sentinel/table.ts';
import type { DeclaredColumn } from './state.ts';

const dayMs = 86_400_000;

/** "Fields longer than 64 KB are truncated": Azure Monitor service limits, Logs Ingestion API. */
const maxFieldBytes = 65_536;

/**
 * A row as the table shows it: all declared columns and no others. A value that is missing or of another type is null:
 * Microsoft does not document what Azure does with the latter, but null has been seen, and it is the strictest.
 * `receivedAt` is in milliseconds since the epoch.
 */
export function storedRow(sent: Row, columns: readonly DeclaredColumn[], receivedAt: number): Row {
  const stored: Record<string, JsonValue> = { TimeGenerated: timeGenerated(sent['TimeGenerated'], receivedAt) };
  for (const { name, type } of columns) {
    if (name !== 'TimeGenerated') stored[name] = Object.hasOwn(sent, name) ? coerce(sent[name], type) : null;
  }
  return stored;
}

/** Azure puts the time of arrival in place of one more than two days old or one day ahead (log-standard-columns). */
function timeGenerated(sent: JsonValue | undefined, receivedAt: number): JsonValue {
  const text = coerce(sent, 'datetime');
  const time = typeof text === 'string' ? instant(text) : Number.NaN;
  const kept = time >= receivedAt - 2 * dayMs && time <= receivedAt + dayMs;
  return kept ? text : new Date(receivedAt).toISOString();
}

function coerce(value: JsonValue | undefined, type: ColumnType): JsonValue {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'string' ? cut(value) : null;
    case 'int':
      return isWhole(value, 31n) ? value : null;
    case 'long':
      return isWhole(value, 63n) ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'datetime':
      return typeof value === 'string' && !Number.isNaN(instant(value)) ? value : null;
    case 'dynamic':
      return dynamic(value);
  }
}

/** A dynamic value that has been cut is no longer JSON, so that it becomes text. */
function dynamic(value: JsonValue): JsonValue {
  const text = JSON.stringify(value);
  return Buffer.byteLength(text) <= maxFieldBytes ? value : cut(text);
}

function isWhole(value: JsonValue, bits: bigint): boolean {
  let whole: bigint;
  if (typeof value === 'number' && Number.isInteger(value)) whole = BigInt(value);
  else if (isRawNumber(value) && /^-?\d{1,40}$/.test(value.rawJSON)) whole = BigInt(value.rawJSON);
  else return false;
  return whole >= -(2n ** bits) && whole < 2n ** bits;
}

/** Milliseconds since the epoch, NaN for a text that is not an ISO 8601 time. A time without an offset is UTC. */
function instant(text: string): number {
  const parts = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  if (parts === null) return Number.NaN;
  const [, date, time = '00:00', offset = 'Z'] = parts;
  return Date.parse(`${date}T${time}${offset}`);
}

/** Cuts to at most `maxFieldBytes` of UTF-8, between two characters. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxFieldBytes) return text;
  let end = maxFieldBytes;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
