import { eventAction } from '../../apono/event-action.ts';
import { isRecipeRow } from '../../apono/recipe-row.ts';
import { instantText, parseSeconds } from '../../apono/time.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import { parseEmbedded } from '../embedded-json.ts';
import { eventColumns, isTemplate as isTemplateMade } from '../event-columns.ts';
import { listAt, objectAt, textAt, withoutBlanks } from '../fields.ts';
import type { DecodedEvent, RowPlan } from '../kind.ts';
import { requestEventKey } from './event-key.ts';
import { isTestRequest } from './is-test.ts';
import { planRecipeRow } from './recipe.ts';
import { planRequestRows } from './table.ts';

/** The rows of a request event: one for each access unit in every group, one if there is none. */
export function planRequest(event: DecodedEvent): RowPlan {
  return isRecipeRow(event.value) ? planRecipeRow(event) : planEvent(event);
}

function planEvent(event: DecodedEvent): RowPlan {
  const isTemplate = isTemplateMade(event.meta);
  // A template renders what is missing as "", and all of its slots; with the blanks gone it is like straight JSON.
  const data = objectAt(isTemplate ? withoutBlanks(event.value['data']) : event.value['data']);
  const units = accessUnits(data);
  const shared = sharedColumns(event, data, isTemplate);
  return planRequestRows({
    eventId: event.eventId,
    shared: { ...shared, access_unit_count: units.length },
    units: units.length > 0 ? units : [withoutUnit(data)],
    unitColumns: (unit, index) => ({ ...unitColumns(unit, isTemplate), access_unit_index: index }),
    incomplete: textAt(data['approvals_beyond'], true) === null ? [] : ['approvals'],
  });
}

interface AccessUnit {
  readonly integration: JsonObject;
  readonly resource: JsonObject;
  readonly resourceType: JsonObject;
  readonly permission: JsonObject;
}

function accessUnits(data: JsonObject): AccessUnit[] {
  return (listAt(data['access_groups']) ?? []).flatMap((element) => {
    const group = objectAt(element);
    const integration = objectAt(group['integration']);
    return (listAt(group['access_units']) ?? []).map((unit) => {
      const resource = objectAt(objectAt(unit)['resource']);
      const permission = objectAt(objectAt(unit)['permission']);
      return { integration, resource, resourceType: objectAt(resource['type']), permission };
    });
  });
}

/** What an event without any unit still says of where access was asked for, if it names one group only. */
function withoutUnit(data: JsonObject): AccessUnit {
  const groups = listAt(data['access_groups']) ?? [];
  const group = objectAt(groups.length === 1 ? groups[0] : null);
  const types = listAt(group['resource_types']) ?? [];
  return {
    integration: objectAt(group['integration']),
    resource: {},
    resourceType: objectAt(types.length === 1 ? types[0] : null),
    permission: {},
  };
}

function unitColumns(unit: AccessUnit, isTemplate: boolean) {
  const text = (value: JsonValue | undefined) => textAt(value, isTemplate);
  return {
    resource_id: text(unit.resource['id']),
    resource_name: text(unit.resource['name']),
    permission: text(unit.permission['name']),
    integration_id: text(unit.integration['id']),
    integration_type: text(unit.integration['type']),
    integration_name: text(unit.integration['name']),
    resource_path: text(unit.resource['path']),
    resource_type_id: text(unit.resourceType['id']),
    resource_type_name: text(unit.resourceType['name']),
    permission_id: text(unit.permission['id']),
  };
}

function sharedColumns(event: DecodedEvent, data: JsonObject, isTemplate: boolean) {
  const text = (value: JsonValue | undefined) => textAt(value, isTemplate);
  const requester = objectAt(data['requester']);
  const grantee = objectAt(data['grantee']);
  const flow = objectAt(data['access_flow']);
  const bundle = objectAt(data['access_bundle']);
  const columns = eventColumns(event);
  const { event_type: eventType, event_time: eventTime } = columns;
  const action = eventAction(eventType);
  const requestId = text(data['id']);
  return {
    ...columns,
    requester_id: text(requester['id']),
    requester_name: text(requester['name']),
    requester_email: text(requester['email']),
    justification: text(data['justification']),
    event_key: requestEventKey({ requestId, eventType, action, eventTime, eventId: event.eventId }),
    event_action: action,
    request_id: requestId,
    request_friendly_id: text(data['friendly_id']),
    grantee_id: text(grantee['id']),
    grantee_source_id: text(grantee['source_id']),
    grantee_name: text(grantee['name']),
    grantee_type: text(grantee['type']),
    request_created_at: instantText(data['creation_date']),
    revocation_at: instantText(data['revocation_date']),
    access_duration_seconds: parseSeconds(data['access_duration_in_seconds']),
    access_flow_id: text(flow['id']),
    access_flow_name: text(flow['name']),
    access_bundle_id: text(bundle['id']),
    access_bundle_name: text(bundle['name']),
    units_truncated: textAt(data['units_beyond'], true) !== null,
    approvals_logical_relation: text(data['approvals_logical_relation']),
    approvals: Array.isArray(data['approvals']) ? data['approvals'] : null,
    approver_emails: approverEmails(data, isTemplate),
    custom_fields: customFields(data['custom_fields']),
    is_test: isTestRequest({
      requestId,
      friendlyId: text(data['friendly_id']),
      requesterId: text(requester['id']),
      requesterEmail: text(requester['email']),
    }),
  };
}

function approverEmails(data: JsonObject, isTemplate: boolean): readonly string[] | null {
  const approvals = listAt(data['approvals']);
  if (approvals === null) return null;
  const emails = approvals.map((approval) => textAt(objectAt(objectAt(approval)['approver'])['email'], isTemplate));
  return [...new Set(emails.filter((email) => email !== null))];
}

/** An engine may print an object as JSON text; then it is an object again. Any other text stays text. */
function customFields(value: JsonValue | undefined): JsonValue {
  if (value === undefined || value === '') return null;
  if (typeof value !== 'string') return value;
  const parsed = parseEmbedded(value);
  return parsed !== null && isJsonObject(parsed) ? parsed : value;
}
