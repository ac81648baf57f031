import { parseExact } from '../apono/exact-json.ts';
import type { EventEntry } from '../ground/event.ts';
import { isJsonObject } from '../ground/json.ts';
import type { RowPlan, WebhookKind } from './kind.ts';

/** An event of the outbox, as far as its rows need it. */
export type StoredEvent = Pick<EventEntry, 'eventId' | 'kind' | 'body' | 'meta' | 'rowCount'>;

/** The rows of an event that the outbox kept. Throws where they are not those that were accepted. */
export function planStored(kind: WebhookKind, event: StoredEvent): RowPlan {
  const value = parseExact(event.body);
  if (!isJsonObject(value)) throw new TypeError('the stored event is no object');
  const plan = kind.plan({ eventId: event.eventId, value, meta: event.meta });
  // Row ranges that were recorded by another version's mapper would mean other rows.
  if (plan.rowCount !== event.rowCount)
    throw new RangeError(`${plan.rowCount} rows where ${event.rowCount} were accepted`);
  return plan;
}
