import rowSchema from '../../../schemas/apono/recipe-row.schema.json' with { type: 'json' };
import eventSchema from '../../../schemas/apono/request-event.schema.json' with { type: 'json' };
import { eventAction, isRecipeRow } from '../../apono/event.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../ground/json.ts';
import { missingMembers, TEST_ID_PREFIX } from '../event-columns.ts';
import { objectAt } from '../fields.ts';
import type { Recognition, WebhookKind } from '../kind.ts';
import { compileSchema } from '../validator.ts';
import { mapRequest } from './rows.ts';
import { requestTable } from './table.ts';
import { requestTemplate } from './template.ts';

const validateEvent = compileSchema(eventSchema);
const validateRecipeRow = compileSchema(rowSchema, [eventSchema]);

/** Fields of `data` that only a request has (facts: payload references). */
const REQUEST_FIELDS = [
  'friendly_id',
  'requester',
  'grantee',
  'justification',
  'creation_date',
  'revocation_date',
  'access_flow',
  'access_bundle',
  'access_duration_in_seconds',
  'access_groups',
  'approvals_logical_relation',
  'approvals',
];

/** Fields of other feeds. In an event that has none of the fields above they weaken what its event_type says. */
const FOREIGN_FIELDS = [
  ...['name', 'type', 'status', 'issues', 'severity', 'anomaly', 'anomaly_type', 'request', 'request_id'],
  ...['action', 'actor_id', 'actor_name', 'actor_type', 'target_id', 'target_type', 'target_name'],
];

/** The request webhook: steps of access requests, and the rows of Apono's own Sentinel recipe. */
export const requestKind = {
  name: 'request',
  description: 'request events',
  table: requestTable,
  streamVariable: 'LOGS_INGESTION_STREAM',
  defaultStream: `Custom-${requestTable.name}`,
  dataFields: ['id', ...REQUEST_FIELDS, 'custom_fields', 'units_beyond', 'approvals_beyond'],
  recognize,
  validate: (plain) => (isPlainRecipeRow(plain) ? validateRecipeRow(plain) : validateEvent(plain)),
  mapRows: mapRequest,
  actionOf: eventAction,
  bodyTemplate: requestTemplate,
  createTestEvent,
} satisfies WebhookKind;

function recognize(value: JsonObject): Recognition {
  if (isRecipeRow(value)) return { evidence: 'own_fields' };
  const members = missingMembers(value);
  if (members !== null) return { missing: members };
  const type = typeof value['event_type'] === 'string' ? value['event_type'] : '';
  const namesRequest = /request/i.test(type);
  const isKnown = eventAction(type) !== 'Other';
  const data = objectAt(value['data']);
  const has = (name: string) => Object.hasOwn(data, name);
  // An anomaly may carry a whole request, but not the event_type of one.
  if (isKnown && (has('requester') || has('access_groups'))) return { evidence: 'own_fields' };
  const hasFields = REQUEST_FIELDS.some(has);
  const isForeign = !hasFields && FOREIGN_FIELDS.some(has);
  if (isKnown && namesRequest && !isForeign) return { evidence: 'own_type' };
  if (hasFields || (isKnown && namesRequest)) return { evidence: 'fields' };
  if (((namesRequest || isKnown) && !isForeign) || hasNothingElse(value['data'])) return { evidence: 'possible_type' };
  return {
    missing: `${isKnown ? '' : 'its event_type is none of a request, and '}it has no data.requester, data.access_groups or the like`,
  };
}

/** A request needs only the three members of an event, so one of an unknown type with nothing else is accepted too. */
function hasNothingElse(data: JsonValue | undefined): boolean {
  return isJsonObject(data) && Object.keys(data).every((name) => name === 'id');
}

function isPlainRecipeRow(plain: unknown): boolean {
  return isJsonObject(plain as JsonObject) && isRecipeRow(plain as JsonObject);
}

/**
 * An event as Apono sends it, of a request that does not exist. The id starts with `apono-sentinel-test-`, which is how
 * its rows get `is_test`. `random`: letters and digits that tell this event from other tests.
 */
function createTestEvent(nowMs: number, random: string): JsonObject {
  const resourceType = { id: 'apono-sentinel-test', name: 'Test', display_path: 'Test' };
  const person = { id: 'apono-sentinel-test', name: 'Apono Sentinel test' };
  return {
    event_type: 'AccessRequestCreated',
    event_time: nowMs / 1000,
    data: {
      id: `${TEST_ID_PREFIX}${random}`,
      friendly_id: `TEST-${random.slice(0, 6).toUpperCase()}`,
      requester: { ...person, email: 'apono-sentinel-test@example.com' },
      grantee: { ...person, source_id: 'apono-sentinel-test@example.com', type: 'user' },
      justification: 'Sent by the send-test command of apono-sentinel to see whether events arrive.',
      creation_date: nowMs / 1000,
      revocation_date: null,
      access_flow: { id: 'apono-sentinel-test', name: 'Apono Sentinel test' },
      access_bundle: null,
      access_duration_in_seconds: 3600,
      access_groups: [
        {
          integration: { id: 'apono-sentinel-test', type: 'test', name: 'Apono Sentinel test' },
          resource_types: [resourceType],
          access_units: [
            {
              resource: { id: 'test-1', name: 'Test resource', path: 'test/test-1', type: resourceType },
              permission: { id: 'READ_ONLY', name: 'READ_ONLY' },
            },
          ],
        },
      ],
      approvals_logical_relation: 'AnyOf',
      approvals: [],
      custom_fields: {},
    },
  };
}
