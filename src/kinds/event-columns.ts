import { formatMs, instantText } from '../apono/time.ts';
import type { JsonValue } from '../ground/json.ts';
import { textAt } from './fields.ts';
import type { DecodedEvent } from './kind.ts';

/** Ids of what `send-test` invents begin with this; Apono's own are UUIDs. */
export const TEST_ID_PREFIX = 'apono-sentinel-test-';

/** The columns that every table of Apono's events has, of an event with event_type, event_time and data. */
export function eventColumns({ eventId, value, meta }: DecodedEvent) {
  const eventTime = instantText(value['event_time']);
  const receivedAt = formatMs(meta.receivedAt);
  return {
    TimeGenerated: eventTime ?? receivedAt,
    event_type: textAt(value['event_type'], isTemplate(meta)) ?? '',
    event_time: eventTime,
    event_id: eventId,
    body_form: meta.bodyForm,
    feed: meta.feed,
    received_at: receivedAt,
  };
}

/** In what a template made, the empty string is a missing value. */
export function isTemplate(meta: DecodedEvent['meta']): boolean {
  return meta.bodyForm !== 'json';
}

/** What speaks against an event of any kind but a recipe row; null: nothing does. */
export function missingMembers(value: { readonly [key: string]: JsonValue | undefined }): string | null {
  const missing = ['event_type', 'event_time', 'data'].filter((name) => !Object.hasOwn(value, name));
  return missing.length > 0 ? `it has no ${missing.join(', ')}` : null;
}
