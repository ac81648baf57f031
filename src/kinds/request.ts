import { hash } from 'node:crypto';
import rowSchema from '../../schemas/apono/recipe-row.schema.json' with { type: 'json' };
import schema from '../../schemas/apono/request-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import { canonicalJson, eventAction } from '../apono/event.ts';
import { isJsonArray, isJsonObject, type JsonValue } from '../ground/json.ts';
import type { Row } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { EventField, InvalidFields, objectAt } from './field.ts';
import { type EventColumns, type EventToMap, type Sign, TEST_ID_PREFIX, type WebhookKind } from './kind.ts';
import { MAX_ROWS_PER_EVENT } from './rows.ts';

/** Fields of `data` that only a request has (facts: payload references). */
const REQUEST_FIELDS = [
  ...['friendly_id', 'requester', 'grantee', 'justification', 'creation_date', 'revocation_date', 'access_flow'],
  ...['access_bundle', 'access_duration_in_seconds', 'access_groups', 'approvals_logical_relation', 'approvals'],
];

/** Fields of other feeds. In an event that has none of the fields above they weaken what its event_type says. */
const FOREIGN_FIELDS = [
  ...['name', 'type', 'status', 'issues', 'severity', 'anomaly', 'anomaly_type', 'request', 'request_id'],
  ...['action', 'actor_id', 'actor_name', 'actor_type', 'target_id', 'target_type', 'target_name'],
];

const signs: readonly Sign[] = [
  // An anomaly may carry a whole request, but not the event_type of one.
  { evidence: 'own_fields', hasAction: true, has: [['requester', 'access_groups']] },
  { evidence: 'own_type', hasAction: true, type: /request/i, has: [REQUEST_FIELDS] },
  { evidence: 'own_type', hasAction: true, type: /request/i, lacks: FOREIGN_FIELDS },
  { evidence: 'fields', hasAction: true, type: /request/i },
  { evidence: 'fields', has: [REQUEST_FIELDS] },
  { evidence: 'possible_type', hasAction: true, lacks: FOREIGN_FIELDS },
  { evidence: 'possible_type', type: /request/i, lacks: FOREIGN_FIELDS },
  // A request needs only the three members of an event, so one of an unknown type with nothing else is accepted too.
  { evidence: 'possible_type', only: ['id'] },
];

/** The request webhook: steps of access requests, and the rows of Apono's own Sentinel recipe. */
export const requestKind = {
  name: 'request',
  description: 'request events',
  table: table as TableSchema,
  streamVariable: 'LOGS_INGESTION_STREAM',
  defaultStream: `Custom-${table.name}`,
  schema,
  recipeRowSchema: rowSchema,
  dataFields: Object.keys(schema.properties.data.properties),
  signs,
  whatIsMissing({ event_type: type }) {
    const isOther = typeof type !== 'string' || eventAction(type) === 'Other';
    const unknown = isOther ? 'its event_type is none of a request, and ' : '';
    return `${unknown}it has no data.requester, data.access_groups or the like`;
  },
  columns,
  actionOf: eventAction,
  bodyTemplate: {
    webhook: 'Request webhook',
    path: '/apono/webhook',
    triggers: ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed'].map((step) => `Request${step}`),
    // It carries one more element of each list as a probe: units_beyond and approvals_beyond show whether there are others.
    notes: [
      'This template carries 2 access groups with 5 access units each and 5 approvals. Rows say of more units ' +
        'units_truncated = true, of more approvals truncated_fields = ["approvals"].',
      'It leaves data.custom_fields out, which `template --each` carries.',
    ],
    eachNotes: ['This template carries everything.'],
  },
} satisfies WebhookKind;

/** One row for each access unit in every group, one if there is none. */
function columns(event: EventToMap): EventColumns {
  if (event.meta.bodyForm === 'recipe') return recipeColumns(event);
  const data = new EventField(objectAt(event.data), event);
  const elements = data.at('access_groups').list(['integration', 'resource_types', 'access_units']) ?? [];
  const groups = elements.map(readGroup);
  for (const { units, invalid } of groups) if (units.length === 0) event.invalid.addAll(invalid);
  const units = groups.flatMap((group) => group.units.map((unit) => ({ group, unit })));
  const unitRows = units.map(({ group, unit }, index) => (invalid: InvalidFields) => ({
    ...unitColumns(group, unit, invalid),
    access_unit_index: index,
  }));
  const noUnit = { ...(groups.length === 1 ? groups[0]?.columns : null), access_unit_index: 0 };
  return {
    shared: sharedColumns(event, data, units.length),
    rows: units.length === 0 ? [() => noUnit] : unitRows,
    incomplete: (data.at('approvals_beyond').text() ?? '') === '' ? [] : ['approvals'],
  };
}

/** `columns`: what a group says of where access is asked for; `invalid`: what could not be read of it, its units left out. */
function readGroup(element: EventField) {
  const invalid = new InvalidFields();
  const place = element.within(invalid);
  const types = (place.at('resource_types').list(['id', 'name', 'display_path']) ?? []).map(typeColumns);
  const integration = memberTexts('integration', place.at('integration'), ['id', 'type', 'name']);
  const columns = { ...integration, ...(types.length === 1 ? types[0] : null) };
  return { columns, units: place.at('access_units').list(['resource', 'permission']) ?? [], invalid };
}

/** The texts of some members of an object, as columns that are named after the object and the member. */
function memberTexts(object: string, field: EventField, members: readonly string[]) {
  const texts: Record<string, string | null> = {};
  for (const member of members) texts[`${object}_${member}`] = field.at(member).text();
  return texts;
}

function unitColumns(group: ReturnType<typeof readGroup>, place: EventField, invalid: InvalidFields): Row {
  const unit = place.within(invalid);
  const resource = unit.at('resource');
  const permission = unit.at('permission');
  const columns = {
    ...group.columns,
    ...memberTexts('resource', resource, ['id', 'name', 'path']),
    permission: permission.at('name').text(),
    ...typeColumns(resource.at('type')),
    permission_id: permission.at('id').text(),
  };
  invalid.addAll(group.invalid);
  return columns;
}

function typeColumns(type: EventField): Row {
  // No column holds the path, but a wrong one is reported like any other field.
  type.at('display_path').text();
  return memberTexts('resource_type', type, ['id', 'name']);
}

function sharedColumns(event: EventToMap, data: EventField, unitCount: number): Row {
  const request = { request_id: data.at('id').text(), request_friendly_id: data.at('friendly_id').text() };
  const requester = memberTexts('requester', data.at('requester'), ['id', 'name', 'email']);
  return {
    ...request,
    ...requester,
    ...stepColumns(event, { ...request, ...requester }),
    justification: data.at('justification').text(),
    ...memberTexts('grantee', data.at('grantee'), ['id', 'source_id', 'name', 'type']),
    request_created_at: data.at('creation_date').time(),
    revocation_at: data.at('revocation_date').time(),
    access_duration_seconds: data.at('access_duration_in_seconds').seconds(),
    ...memberTexts('access_flow', data.at('access_flow'), ['id', 'name']),
    ...memberTexts('access_bundle', data.at('access_bundle'), ['id', 'name']),
    access_unit_count: unitCount,
    units_truncated: (data.at('units_beyond').text() ?? '') !== '' || unitCount > MAX_ROWS_PER_EVENT,
    approvals_logical_relation: data.at('approvals_logical_relation').text(),
    ...approvalColumns(data.at('approvals')),
    custom_fields: customFields(data.at('custom_fields')),
  };
}

/** ADR 5 says what event_key is, ADR 10 what is_test is. As far as is known Apono's Test button sends the sample. */
function stepColumns({ eventType, eventTime, eventId }: EventToMap, ids: Readonly<Record<string, string | null>>) {
  const action = eventAction(eventType);
  const step = action === 'Other' ? `Other ${eventType}` : action;
  const key = canonicalJson(['request', ids.request_id ?? `event ${eventId}`, step, eventTime]);
  const isSample =
    (ids.request_id === '123' && ids.request_friendly_id === 'AR-123') ||
    (ids.requester_id === 'user-1' && ids.requester_email === 'user@example.com');
  return {
    event_key: `v1${hash('sha256', key)}`,
    event_action: action,
    is_test: isSample || (ids.request_id?.startsWith(TEST_ID_PREFIX) ?? false),
  };
}

/** The approvals are kept as they were sent, so that nothing of one in another form is lost. */
function approvalColumns(field: EventField) {
  const list = field.list(['name', 'type', 'status', 'approver']);
  if (list === null) return { approvals: null, approver_emails: null };
  const emails = new Set(list.map(approverEmail).filter((email) => email !== null));
  const { parsed } = field;
  return { approvals: isJsonArray(parsed) ? parsed : [parsed], approver_emails: [...emails] };
}

function approverEmail(approval: EventField): string | null {
  for (const name of ['name', 'type', 'status']) approval.at(name).text();
  const approver = approval.at('approver');
  for (const name of ['id', 'name']) approver.at(name).text();
  const email = approver.at('email').text();
  // An address in place of the whole approver is still the address of the approver.
  const isAddress = typeof approver.value === 'string' && /^[^\s@]+@[^\s@]+$/.test(approver.value.trim());
  return email ?? (isAddress ? String(approver.value).trim() : null);
}

/** An engine may print an object as JSON text; then it is an object again. Any other text stays text. */
function customFields({ value = null, parsed }: EventField): JsonValue {
  if (isJsonObject(parsed)) return parsed;
  return value === '' ? null : value;
}

/** Columns that only this service can fill, whatever an extended recipe puts under their names. */
const OURS = ['event_type', 'event_time', 'event_id', 'row_id', 'event_key', 'event_action', 'body_form', 'feed'];
const TEXT_COLUMNS = table.columns.filter(({ name, type }) => type === 'string' && !OURS.includes(name));

/**
 * A row of Apono's own recipe passes through with its time corrected, and keeps the table's text columns that an admin
 * added to the recipe. Its resource_id contains the name of the resource type, so it fills resource_type_name too.
 */
function recipeColumns(event: EventToMap): EventColumns {
  const row = new EventField(event.value, event);
  const texts = Object.fromEntries(TEXT_COLUMNS.map(({ name }) => [name, row.at(name).text()]));
  const text = (name: string) => texts[name] ?? null;
  const namesUnit = [text('resource_id'), text('resource_name'), text('permission')].some((value) => value !== null);
  return {
    shared: {
      ...texts,
      ...stepColumns(event, texts),
      resource_type_name: text('resource_type_name') ?? text('resource_id'),
      request_created_at: row.at('request_created_at').time(),
      revocation_at: row.at('revocation_at').time(),
      units_truncated: false,
      access_unit_index: 0,
      access_unit_count: namesUnit ? 1 : 0,
    },
  };
}
