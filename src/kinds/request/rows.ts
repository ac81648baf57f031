import { eventAction, isRecipeRow } from '../../apono/event.ts';
import { isJsonArray, isJsonObject, type JsonValue } from '../../ground/json.ts';
import type { Row } from '../../sentinel/row.ts';
import { eventColumns, isTemplate as isTemplateMade } from '../event-columns.ts';
import { EventField, InvalidFields } from '../event-field.ts';
import { objectAt, parseEmbedded, withoutBlanks } from '../fields.ts';
import type { DecodedEvent } from '../kind.ts';
import { MAX_ROWS_PER_EVENT, type MappedRows } from '../rows.ts';
import { mapRecipeRow } from './recipe.ts';
import { isTestRequest, requestEventKey, writeRequestRows } from './table.ts';

/** The rows of a request event: one for each access unit in every group, one if there is none. */
export function mapRequest(event: DecodedEvent): MappedRows | null {
  return isRecipeRow(event.value) ? mapRecipeRow(event) : mapEvent(event);
}

function mapEvent(event: DecodedEvent): MappedRows | null {
  const isTemplate = isTemplateMade(event.meta);
  const invalid = new InvalidFields();
  // A template renders what is missing as "", and all of its slots; with the blanks gone it is like straight JSON.
  const given = isTemplate ? withoutBlanks(event.value['data']) : event.value['data'];
  const data = EventField.root(objectAt(given), { isTemplate, invalid });
  const { units, unitCount, onlyGroup } = accessGroups(data, invalid);
  const shared = sharedColumns(event, data);
  return writeRequestRows({
    eventId: event.eventId,
    shared: {
      ...shared,
      access_unit_count: unitCount,
      units_truncated: shared.units_truncated || unitCount > units.length,
    },
    units: units.length > 0 ? units : [null],
    unitColumns: (unit, index, ofUnit) => ({
      ...(unit === null ? withoutUnit(onlyGroup) : unitColumns(unit, ofUnit)),
      access_unit_index: index,
    }),
    invalid,
    incomplete: (data.at('approvals_beyond').text() ?? '') === '' ? [] : ['approvals'],
  });
}

/** What the units of one group have in common. */
interface Group {
  readonly integration: Row;
  /** Null: it names none or several. */
  readonly onlyType: Row | null;
  /** What could not be read of the group, its units left out. */
  readonly invalid: InvalidFields;
}

interface AccessUnit {
  readonly group: Group;
  readonly place: EventField;
}

/** The units that become rows, how many there are, and the group if there is one alone. */
function accessGroups(data: EventField, invalid: InvalidFields) {
  const units: AccessUnit[] = [];
  let unitCount = 0;
  let groupCount = 0;
  let lastGroup: Group | null = null;
  for (const element of data.at('access_groups').list(['integration', 'resource_types', 'access_units']) ?? []) {
    const place = element.within(new InvalidFields());
    lastGroup = readGroup(place);
    groupCount++;
    const countBefore = unitCount;
    for (const unit of place.at('access_units').list(['resource', 'permission']) ?? []) {
      unitCount++;
      if (units.length < MAX_ROWS_PER_EVENT) units.push({ group: lastGroup, place: unit });
    }
    if (unitCount === countBefore) invalid.addAll(lastGroup.invalid);
  }
  return { units, unitCount, onlyGroup: groupCount === 1 ? lastGroup : null };
}

function readGroup(place: EventField): Group {
  const integration = place.at('integration');
  let typeCount = 0;
  let type: Row | null = null;
  for (const element of place.at('resource_types').list(['id', 'name', 'display_path']) ?? []) {
    type = typeColumns(element);
    typeCount++;
  }
  return {
    integration: {
      integration_id: integration.at('id').text(),
      integration_type: integration.at('type').text(),
      integration_name: integration.at('name').text(),
    },
    onlyType: typeCount === 1 ? type : null,
    invalid: place.invalid,
  };
}

function unitColumns({ group, place }: AccessUnit, invalid: InvalidFields): Row {
  const unit = place.within(invalid);
  const resource = unit.at('resource');
  const permission = unit.at('permission');
  const columns = {
    ...group.integration,
    resource_id: resource.at('id').text(),
    resource_name: resource.at('name').text(),
    permission: permission.at('name').text(),
    resource_path: resource.at('path').text(),
    ...typeColumns(resource.at('type')),
    permission_id: permission.at('id').text(),
  };
  invalid.addAll(group.invalid);
  return columns;
}

function typeColumns(type: EventField): Row {
  // No column holds the path, but a wrong one is reported like any other field.
  type.at('display_path').text();
  return { resource_type_id: type.at('id').text(), resource_type_name: type.at('name').text() };
}

const NO_TYPE: Row = { resource_type_id: null, resource_type_name: null };

/** What an event without any unit still says of where access was asked for, if it names one group only. */
function withoutUnit(only: Group | null): Row {
  return {
    integration_id: null,
    integration_type: null,
    integration_name: null,
    ...only?.integration,
    resource_id: null,
    resource_name: null,
    permission: null,
    resource_path: null,
    ...(only?.onlyType ?? NO_TYPE),
    permission_id: null,
  };
}

function sharedColumns(event: DecodedEvent, data: EventField) {
  const requester = data.at('requester');
  const grantee = data.at('grantee');
  const flow = data.at('access_flow');
  const bundle = data.at('access_bundle');
  const columns = eventColumns(event);
  const { event_type: eventType, event_time: eventTime } = columns;
  const action = eventAction(eventType);
  const requestId = data.at('id').text();
  const friendlyId = data.at('friendly_id').text();
  const requesterId = requester.at('id').text();
  const requesterEmail = requester.at('email').text();
  return {
    ...columns,
    requester_id: requesterId,
    requester_name: requester.at('name').text(),
    requester_email: requesterEmail,
    justification: data.at('justification').text(),
    event_key: requestEventKey({ requestId, eventType, action, eventTime, eventId: event.eventId }),
    event_action: action,
    request_id: requestId,
    request_friendly_id: friendlyId,
    grantee_id: grantee.at('id').text(),
    grantee_source_id: grantee.at('source_id').text(),
    grantee_name: grantee.at('name').text(),
    grantee_type: grantee.at('type').text(),
    request_created_at: data.at('creation_date').time(),
    revocation_at: data.at('revocation_date').time(),
    access_duration_seconds: data.at('access_duration_in_seconds').seconds(),
    access_flow_id: flow.at('id').text(),
    access_flow_name: flow.at('name').text(),
    access_bundle_id: bundle.at('id').text(),
    access_bundle_name: bundle.at('name').text(),
    units_truncated: (data.at('units_beyond').text() ?? '') !== '',
    approvals_logical_relation: data.at('approvals_logical_relation').text(),
    ...approvalColumns(data.at('approvals')),
    custom_fields: customFields(data.at('custom_fields').value),
    is_test: isTestRequest({ requestId, friendlyId, requesterId, requesterEmail }),
  };
}

/** The approvals are kept as they were sent, so that nothing of one in another form is lost. */
function approvalColumns(field: EventField) {
  const list = field.list(['name', 'type', 'status', 'approver']);
  if (list === null) return { approvals: null, approver_emails: null };
  const emails = new Set<string>();
  for (const approval of list) {
    const email = approverEmail(approval);
    if (email !== null) emails.add(email);
  }
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
function customFields(value: JsonValue | undefined): JsonValue {
  if (value === undefined || value === '') return null;
  if (typeof value !== 'string') return value;
  const parsed = parseEmbedded(value);
  return parsed !== null && isJsonObject(parsed) ? parsed : value;
}
