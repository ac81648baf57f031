import rowSchema from '../../../schemas/apono/recipe-row.schema.json' with { type: 'json' };
import eventSchema from '../../../schemas/apono/request-event.schema.json' with { type: 'json' };
import { eventAction } from '../../apono/event-action.ts';
import { isRecipeRow } from '../../apono/recipe-row.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { WebhookKind } from '../kind.ts';
import { compileSchema } from '../validator.ts';
import { planRequest } from './rows.ts';
import { requestTable } from './table.ts';

const validateEvent = compileSchema(eventSchema);
const validateRecipeRow = compileSchema(rowSchema, [eventSchema]);

/** Fields of `data` that only a request has, and those that only another of Apono's feeds has (facts: payload references). */
const REQUEST_FIELDS = [
  'friendly_id',
  'requester',
  'grantee',
  'justification',
  'creation_date',
  'access_flow',
  'access_groups',
  'approvals',
];
const OTHER_FEEDS_FIELDS = ['action', 'actor_id', 'target_type', 'issues', 'integration_status'];

/** The request webhook: steps of access requests, and the rows of Apono's own Sentinel recipe. */
export const requestKind: WebhookKind = {
  name: 'request',
  table: requestTable,
  streamVariable: 'LOGS_INGESTION_STREAM',
  defaultStream: `Custom-${requestTable.name}`,
  mismatch,
  validate: (plain) => (isPlainRecipeRow(plain) ? validateRecipeRow(plain) : validateEvent(plain)),
  plan: planRequest,
};

function mismatch(value: JsonObject): string | null {
  if (isRecipeRow(value)) return null;
  const missing = ['event_type', 'event_time', 'data'].filter((name) => !Object.hasOwn(value, name));
  if (missing.length > 0) return `it has no ${missing.join(', ')}`;
  const data = value['data'];
  const type = value['event_type'];
  if (typeof type === 'string' && eventAction(type) !== 'Other') return null;
  if (!isJsonObject(data) || REQUEST_FIELDS.some((name) => Object.hasOwn(data, name))) return null;
  const foreign = OTHER_FEEDS_FIELDS.filter((name) => Object.hasOwn(data, name));
  if (foreign.length > 0) return `data.${foreign.join(', data.')} belongs to another of Apono's webhooks`;
  return typeof type === 'string' && /anomaly/i.test(type) ? 'its event_type is that of an anomaly' : null;
}

function isPlainRecipeRow(plain: unknown): boolean {
  return isJsonObject(plain as JsonObject) && isRecipeRow(plain as JsonObject);
}
