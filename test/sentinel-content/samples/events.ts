import assert from 'node:assert/strict';
import { eventId, isRecipeRow } from '../../../src/apono/event.ts';
import { readBody } from '../../../src/apono/read.ts';
import type { EventMeta } from '../../../src/ground/event.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../../src/ground/json.ts';
import { kindNamed } from '../../../src/kinds/registry.ts';
import { mapToRows } from '../../support/mapped-rows.ts';

/** A row as it lies in a table: the columns that have a value, and when it arrived (what ingestion_time() would say). */
export interface ArrivedRow {
  readonly arrivedAt: string;
  readonly row: JsonObject;
}

const TWO_DAYS_MS = 2 * 86_400_000;

/** The rows that the service makes of a webhook's body, as they lie in the table when they arrived at `arrivedAt`. */
export function rowsOf(kindName: string, body: unknown, arrivedAt: string, feed: string | null = null): ArrivedRow[] {
  const kind = kindNamed(kindName);
  assert.ok(kind !== undefined);
  const read = readBody(Buffer.from(JSON.stringify(body)), 'auto');
  assert.equal(read.outcome, 'read');
  const value = Array.isArray(read.value) ? read.value[0] : read.value;
  assert.ok(isJsonObject(value));
  const bodyForm: EventMeta['bodyForm'] = isRecipeRow(value) ? 'recipe' : read.form;
  const meta: EventMeta = { receivedAt: Date.parse(arrivedAt), bodyForm, feed };
  const rows = mapToRows(kind, { eventId: eventId(kind.name, value), value, meta });
  return rows.map((row) => ({ arrivedAt, row: stored(row, arrivedAt) }));
}

/** Columns that are null are left out. Azure replaces a TimeGenerated that is more than two days old by the time of arrival. */
export function stored(row: JsonObject, arrivedAt: string): JsonObject {
  const present = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== undefined));
  const generatedMs = Date.parse(String(present['TimeGenerated']));
  if (Date.parse(arrivedAt) - generatedMs <= TWO_DAYS_MS) return present;
  return { ...present, TimeGenerated: arrivedAt };
}

/** 2 November 2026, a Monday. `micros` is added. */
export function at(time: string, micros = 0): number {
  return Date.parse(`2026-11-02T${time}Z`) / 1000 + micros / 1e6;
}

export function arrival(time: string): string {
  return `2026-11-02T${time}.000000Z`;
}

export type Fields = Readonly<Record<string, JsonValue>>;
