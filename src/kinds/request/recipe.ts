import { eventAction } from '../../apono/event.ts';
import { formatMs, instantText } from '../../apono/time.ts';
import type { JsonObject, JsonValue } from '../../ground/json.ts';
import { EventField, InvalidFields } from '../event-field.ts';
import { textAt } from '../fields.ts';
import type { DecodedEvent } from '../kind.ts';
import type { MappedRows } from '../rows.ts';
import { isTestRequest, requestEventKey, requestTable, writeRequestRows } from './table.ts';

/** Columns that only this service can fill, whatever an extended recipe puts under their names. */
const OURS = new Set(['event_time', 'event_id', 'row_id', 'event_key', 'event_action', 'body_form', 'feed']);
const TEXT_COLUMNS = requestTable.columns
  .filter((column) => column.type === 'string' && !OURS.has(column.name))
  .map((column) => column.name);

/**
 * A row of Apono's own recipe passes through with its time corrected, and keeps the table's text columns that an admin
 * added to the recipe. Its resource_id contains the name of the resource type, so it fills resource_type_name too.
 */
export function mapRecipeRow(event: DecodedEvent): MappedRows | null {
  const invalid = new InvalidFields();
  const row = EventField.root(event.value, { isTemplate: true, invalid });
  const texts = Object.fromEntries(TEXT_COLUMNS.map((name) => [name, row.at(name).text()]));
  const namesUnit = [texts['resource_id'], texts['resource_name'], texts['permission']].some((text) => text != null);
  return writeRequestRows({
    eventId: event.eventId,
    shared: {
      ...texts,
      ...ownColumns(event, row, texts['request_id'] ?? null),
      resource_type_name: texts['resource_type_name'] ?? texts['resource_id'] ?? null,
      access_unit_count: namesUnit ? 1 : 0,
    },
    units: [null],
    unitColumns: (_unit, index) => ({ access_unit_index: index }),
    invalid,
    incomplete: [],
  });
}

function ownColumns(event: DecodedEvent, row: EventField, requestId: string | null): Record<string, JsonValue> {
  const value: JsonObject = event.value;
  const eventType = textAt(value['event_type'], true) ?? '';
  const action = eventAction(eventType);
  const eventTime = instantText(value['TimeGenerated']);
  return {
    TimeGenerated: eventTime ?? formatMs(event.meta.receivedAt),
    event_type: eventType,
    event_time: eventTime,
    event_id: event.eventId,
    event_key: requestEventKey({ requestId, eventType, action, eventTime, eventId: event.eventId }),
    event_action: action,
    request_created_at: row.at('request_created_at').time(),
    revocation_at: row.at('revocation_at').time(),
    access_duration_seconds: null,
    units_truncated: false,
    approvals: null,
    approver_emails: null,
    custom_fields: null,
    body_form: event.meta.bodyForm,
    feed: event.meta.feed,
    is_test: isTestRequest({
      requestId,
      friendlyId: textAt(value['request_friendly_id'], true),
      requesterId: textAt(value['requester_id'], true),
      requesterEmail: textAt(value['requester_email'], true),
    }),
    received_at: formatMs(event.meta.receivedAt),
  };
}
