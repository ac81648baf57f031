import assert from 'node:assert/strict';
import Handlebars from 'handlebars';
import { eventId, isRecipeRow } from '../../src/apono/event.ts';
import { readBody } from '../../src/apono/read.ts';
import { isJsonObject, type JsonObject } from '../../src/ground/json.ts';
import type { DecodedEvent, WebhookKind } from '../../src/kinds/kind.ts';
import { recognize } from '../../src/kinds/recognize.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { validate } from '../../src/kinds/validator.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { mapToRows } from '../support/mapped-rows.ts';

export const RECEIVED_AT = Date.UTC(2025, 10, 21, 10, 0, 1, 234);

/** The first event of a body, which must be a valid one of the kind; `onItsPath`: where its path must say so. */
export function decode(kind: WebhookKind, text: string, feed: string | null = null, onItsPath = false): DecodedEvent {
  const body = readBody(Buffer.from(text), 'auto');
  assert.equal(body.outcome, 'read');
  const value = Array.isArray(body.value) ? body.value[0] : body.value;
  assert.ok(isJsonObject(value));
  const recognized = recognize(value, kinds, onItsPath ? kind.name : null);
  assert.ok('kind' in recognized, JSON.stringify(recognized));
  assert.equal(recognized.kind.name, kind.name);
  assert.deepEqual(validate(kind, value), []);
  const bodyForm = isRecipeRow(value) ? 'recipe' : body.form;
  return { eventId: eventId(kind.name, value), value, meta: { receivedAt: RECEIVED_AT, bodyForm, feed } };
}

export function rowsOf(kind: WebhookKind, text: string, feed: string | null = null, onItsPath = false): Row[] {
  return mapToRows(kind, decode(kind, text, feed, onItsPath));
}

export function onlyRowOf(kind: WebhookKind, text: string, onItsPath = false): Row {
  const rows = rowsOf(kind, text, null, onItsPath);
  assert.equal(rows.length, 1);
  return rows[0] ?? {};
}

/** Some columns of a row. */
export function pick(row: Row | undefined, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, row?.[name]]));
}

/** As a template engine makes a body of an event. */
export function render(template: string, event: JsonObject, options: CompileOptions = {}): string {
  return Handlebars.compile(template, options)(event);
}
