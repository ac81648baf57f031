import table from '../../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import { EventField } from '../field.ts';
import type { EventColumns, EventToMap } from '../kind.ts';
import { stepColumns } from './rows.ts';

/** Columns that only this service can fill, whatever an extended recipe puts under their names. */
const OURS = ['event_type', 'event_time', 'event_id', 'row_id', 'event_key', 'event_action', 'body_form', 'feed'];
const TEXT_COLUMNS = table.columns.filter(({ name, type }) => type === 'string' && !OURS.includes(name));

/**
 * A row of Apono's own recipe passes through with its time corrected, and keeps the table's text columns that an admin
 * added to the recipe. Its resource_id contains the name of the resource type, so it fills resource_type_name too.
 */
export function recipeColumns(event: EventToMap): EventColumns {
  const row = new EventField(event.value, event);
  const texts = Object.fromEntries(TEXT_COLUMNS.map(({ name }) => [name, row.at(name).text()]));
  const text = (name: string) => texts[name] ?? null;
  const ids = {
    request_id: text('request_id'),
    request_friendly_id: text('request_friendly_id'),
    requester_id: text('requester_id'),
    requester_email: text('requester_email'),
  };
  const namesUnit = [text('resource_id'), text('resource_name'), text('permission')].some((value) => value !== null);
  return {
    shared: {
      ...texts,
      ...stepColumns(event, ids),
      resource_type_name: text('resource_type_name') ?? text('resource_id'),
      request_created_at: row.at('request_created_at').time(),
      revocation_at: row.at('revocation_at').time(),
      access_duration_seconds: null,
      units_truncated: false,
      approvals: null,
      approver_emails: null,
      custom_fields: null,
      access_unit_index: 0,
      access_unit_count: namesUnit ? 1 : 0,
    },
  };
}
