import schema from '../../schemas/apono/integration-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoIntegrationStatus_CL.json' with { type: 'json' };
import { isJsonArray, isJsonObject, type JsonObject } from '../ground/json.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { EventField, objectAt, parseEmbedded, scalarText } from './field.ts';
import { type EventColumns, type EventToMap, type Sign, TEST_ID_PREFIX, type WebhookKind } from './kind.ts';
import { MAX_ROWS_PER_EVENT } from './rows.ts';

/** States of an integration in Apono's public API. */
const STATES = ['initializing', 'refreshing', 'active', 'error', 'warning', 'disabled'];

const OWN_FIELDS = ['id', 'name', 'type', 'status'];

/** Fields of requests, audit events and anomalies. */
const FOREIGN_FIELDS = [
  ...['requester', 'access_groups', 'access_flow', 'justification', 'friendly_id', 'request_id', 'request'],
  ...['action', 'actor_id', 'target_id', 'severity', 'anomaly', 'anomaly_type'],
];

/**
 * Its fields are words that any feed may use, so an event must have all of them, or the list of issues, which no other
 * feed has. It must not have a field of another feed either, unless its path names this kind.
 */
const withIssues: Sign = { evidence: 'fields', has: [['issues'], OWN_FIELDS] };
const withAll: Sign = { evidence: 'fields', has: OWN_FIELDS.map((name) => [name]) };
const signs: readonly Sign[] = [
  { ...withIssues, lacks: FOREIGN_FIELDS },
  { ...withAll, lacks: FOREIGN_FIELDS, says: { status: STATES } },
  { ...withIssues, onItsPath: true },
  { ...withAll, onItsPath: true },
];

/** The integration webhook: an integration fails or recovers. One row for each issue. */
export const integrationKind = {
  name: 'integration',
  description: 'integration status events',
  table: table as TableSchema,
  streamVariable: 'LOGS_INGESTION_STREAM_INTEGRATION',
  defaultStream: `Custom-${table.name}`,
  schema,
  dataFields: Object.keys(schema.properties.data.properties),
  signs,
  whatIsMissing(value, onItsPath) {
    const data = objectAt(value['data']);
    const foreign = onItsPath ? undefined : FOREIGN_FIELDS.find((name) => Object.hasOwn(data, name));
    if (foreign !== undefined) return `it has data.${foreign}, which no integration has`;
    const lacks = OWN_FIELDS.filter((name) => !Object.hasOwn(data, name));
    return lacks.length > 0 ? `it has no data.${lacks.join(', data.')}` : 'it has no data.issues';
  },
  columns,
  bodyTemplate: {
    webhook: 'Integration webhook',
    path: '/apono/webhook/integration',
    notes: [
      'This template carries 5 issues; of an integration with more the rows say issue_count in ' +
        'truncated_fields. (Apono’s own template asks for {{data.issues.status}}, which is empty, since issues is a list.)',
      'Do not filter by status: that an integration is Active again ends the alarm.',
    ],
    eachNotes: ['This template carries all issues.'],
  },
} satisfies WebhookKind;

function columns(event: EventToMap): EventColumns {
  const data = new EventField(objectAt(event.data), event);
  const text = (name: string) => data.at(name).text();
  const id = text('id');
  const field = data.at('issues');
  // A single issue, or the text that a template made of several, counts as one issue.
  const issues = field.elements() ?? ((field.value ?? '') === '' ? [] : [field]);
  const isMore = (text('issues_beyond') ?? '') !== '' || issues.length > MAX_ROWS_PER_EVENT;
  const isKnown = isCountKnown(objectAt(event.value['data']), issues.length);
  return {
    shared: {
      integration_id: id,
      integration_name: text('name'),
      integration_type: text('type'),
      integration_status: text('status'),
      issue_count: isKnown ? issues.length : null,
      is_test: id?.startsWith(TEST_ID_PREFIX) ?? false,
    },
    rows:
      issues.length > 0
        ? issues.map((issue, index) => (invalid) => ({ issue_index: index, ...issueColumns(issue.within(invalid)) }))
        : [() => ({ issue_index: 0 })],
    incomplete: isMore ? ['issue_count'] : [],
  };
}

/** ADR 10. Apono's own template asks the list for its status, so that its single issue is always blank. */
function isCountKnown(given: JsonObject, issueCount: number): boolean {
  const sent = given['issues'];
  if (typeof sent === 'string') return parseEmbedded(sent) !== null || !/^\s*(\[|$)/.test(sent);
  if (issueCount > 0) return true;
  return isJsonArray(sent) && (sent.length === 0 || Object.hasOwn(given, 'issues_beyond'));
}

/** An issue in a form that Apono does not document becomes text. */
function issueColumns(place: EventField) {
  const issue = place.parsed;
  const { value = null } = place;
  if (!isJsonObject(issue)) {
    if (typeof value !== 'string') place.refuse();
    return { issue_status: null, issue_message: scalarText(value) ?? JSON.stringify(value) };
  }
  const status = place.at('status').text();
  const message = place.at('message').text();
  const saysMore = Object.keys(issue).some((name) => name !== 'status' && issue[name] !== null);
  return { issue_status: status, issue_message: message ?? (saysMore ? JSON.stringify(issue) : null) };
}
