import assert from 'node:assert/strict';
import { parseExact } from '../../src/apono/exact-json.ts';
import { type EventEntry, joinRow } from '../../src/ground/event.ts';
import type { DecodedEvent, WebhookKind } from '../../src/kinds/kind.ts';
import { mapRows } from '../../src/kinds/rows.ts';
import type { Row } from '../../src/sentinel/row.ts';

/** The JSON of the rows as they are sent. */
export function textsOf({ shared, own }: Pick<EventEntry, 'shared' | 'own'>): string[] {
  return own.split('\n').map((each) => joinRow(shared, each));
}

/** The rows that are sent for an event, decoded again; numbers keep their digits. */
export function mapToRows(kind: WebhookKind, event: DecodedEvent): Row[] {
  const mapped = mapRows(kind, event);
  assert.ok(mapped !== null);
  return textsOf(mapped).map((json) => parseExact(json) as Row);
}
