import { formatMs, instantText } from '../apono/time.ts';
import type { JsonValue } from '../ground/json.ts';
import { textAt } from './fields.ts';
import type { DecodedEvent } from './kind.ts';

/** The ids of `send-test` begin with this; Apono's own are UUIDs. */
export const TEST_ID_PREFIX = 'apono-sentinel-test-';

/** The columns that all tables of Apono's events share, for an event with event_type, event_time and data. */
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

/** Whether a template made the event, so that an empty string is a missing value. */
export function isTemplate(meta: DecodedEvent['meta']): boolean {
  return meta.bodyForm !== 'json';
}

/** The members that every event but a recipe row must have and this one lacks, in words; null if it has them. */
export function missingMembers(value: { readonly [key: string]: JsonValue | undefined }): string | null {
  const missing = ['event_type', 'event_time', 'data'].filter((name) => !Object.hasOwn(value, name));
  return missing.length > 0 ? `it has no ${missing.join(', ')}` : null;
}
