import rowSchema from '../../../schemas/apono/recipe-row.schema.json' with { type: 'json' };
import schema from '../../../schemas/apono/request-event.schema.json' with { type: 'json' };
import table from '../../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import { eventAction } from '../../apono/event.ts';
import type { TableSchema } from '../../sentinel/table.ts';
import type { Sign, WebhookKind } from '../kind.ts';
import { requestColumns } from './rows.ts';

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
  columns: requestColumns,
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
