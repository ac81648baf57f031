import eventSchema from '../../schemas/apono/integration-event.schema.json' with { type: 'json' };
import requestSchema from '../../schemas/apono/request-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoIntegrationStatus_CL.json' with { type: 'json' };
import { isJsonArray, isJsonObject, type JsonObject } from '../ground/json.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { type BodyTemplate, EACH_NOTE, each, fields, indices, render, type Tree } from './body-template.ts';
import { eventColumns, isTemplate, missingMembers, TEST_ID_PREFIX } from './event-columns.ts';
import { EventField, InvalidFields } from './event-field.ts';
import { objectAt, parseEmbedded, textAt, withoutBlanks } from './fields.ts';
import type { DecodedEvent, Recognition, WebhookKind } from './kind.ts';
import { MAX_ROWS_PER_EVENT, type MappedRows, rowMapper } from './rows.ts';
import { compileSchema } from './validator.ts';

const integrationTable = table as TableSchema;
const writeRows = rowMapper(integrationTable);

/** States of an integration in Apono's public API. */
const STATES = ['initializing', 'refreshing', 'active', 'error', 'warning', 'disabled'];

/** Fields of requests, audit events and anomalies. */
const FOREIGN_FIELDS = [
  ...['requester', 'access_groups', 'access_flow', 'justification', 'friendly_id', 'request_id', 'request'],
  ...['action', 'actor_id', 'target_id', 'severity', 'anomaly', 'anomaly_type'],
];

/** How many issues the template without helpers carries. */
const CARRIED_ISSUES = 5;

/** The integration webhook: an integration fails or recovers. One row for each issue. */
export const integrationKind = {
  name: 'integration',
  description: 'integration status events',
  table: integrationTable,
  streamVariable: 'LOGS_INGESTION_STREAM_INTEGRATION',
  defaultStream: `Custom-${integrationTable.name}`,
  dataFields: ['id', 'name', 'type', 'status', 'issues', 'issues_beyond'],
  recognize,
  validate: compileSchema(eventSchema, [requestSchema]),
  mapRows,
  bodyTemplate: bodyTemplate(),
  createTestEvent,
} satisfies WebhookKind;

/**
 * Its fields are words that any feed may use, so an event must have all of them, or the list of issues, which no other
 * feed has. It must not have a field of another feed either, unless its path names this kind.
 */
function recognize(value: JsonObject, onItsPath: boolean): Recognition {
  const members = missingMembers(value);
  if (members !== null) return { missing: members };
  const data = objectAt(value['data']);
  const foreign = onItsPath ? undefined : FOREIGN_FIELDS.find((name) => Object.hasOwn(data, name));
  if (foreign !== undefined) return { missing: `it has data.${foreign}, which no integration has` };
  const lacks = ['id', 'name', 'type', 'status'].filter((name) => !Object.hasOwn(data, name));
  if (Object.hasOwn(data, 'issues') && lacks.length < 4) return { evidence: 'fields' };
  const status = textAt(data['status'], true)?.toLowerCase() ?? '';
  if (lacks.length === 0 && (onItsPath || STATES.includes(status))) return { evidence: 'fields' };
  return { missing: lacks.length > 0 ? `it has no data.${lacks.join(', data.')}` : 'it has no data.issues' };
}

function mapRows(event: DecodedEvent): MappedRows | null {
  const template = isTemplate(event.meta);
  const given = objectAt(event.value['data']);
  const invalid = new InvalidFields();
  const data = EventField.root(template ? objectAt(withoutBlanks(given)) : given, { isTemplate: template, invalid });
  const text = (name: string) => data.at(name).text();
  const id = text('id');
  const { issues, issueCount } = issuesOf(data.at('issues'));
  const isMore = (text('issues_beyond') ?? '') !== '' || issueCount > issues.length;
  return writeRows({
    eventId: event.eventId,
    shared: {
      ...eventColumns(event),
      integration_id: id,
      integration_name: text('name'),
      integration_type: text('type'),
      integration_status: text('status'),
      issue_count: isCountKnown(given, issueCount) ? issueCount : null,
      is_test: id?.startsWith(TEST_ID_PREFIX) ?? false,
    },
    units: issues.length > 0 ? issues : [null],
    unitColumns: (issue, index, ofIssue) => ({ issue_index: index, ...issueColumns(issue?.within(ofIssue) ?? null) }),
    invalid,
    incomplete: isMore ? ['issue_count'] : [],
  });
}

/** The elements of a list. A single issue, or the text that a template made of several, counts as one issue. */
function issuesOf(field: EventField) {
  const issues: EventField[] = [];
  let issueCount = 0;
  for (const issue of field.elements() ?? ((field.value ?? '') === '' ? [] : [field])) {
    issueCount++;
    if (issues.length < MAX_ROWS_PER_EVENT) issues.push(issue);
  }
  return { issues, issueCount };
}

/**
 * The count is unknown if the event has no issues member, if a template made text of the list, and for Apono's own
 * template, whose single issue is always blank because it asks the list for its status.
 */
function isCountKnown(given: JsonObject, issueCount: number): boolean {
  const sent = given['issues'];
  if (typeof sent === 'string') return parseEmbedded(sent) !== null || !/^\s*(\[|$)/.test(sent);
  if (issueCount > 0) return true;
  const isBlankOne = isJsonArray(sent) && sent.length > 0 && !Object.hasOwn(given, 'issues_beyond');
  return isJsonArray(sent) && !isBlankOne;
}

/** An issue in a form that Apono does not document becomes text. */
function issueColumns(place: EventField | null) {
  const issue = place?.parsed ?? null;
  if (place === null || issue === null) return { issue_status: null, issue_message: null };
  if (!isJsonObject(issue)) {
    const { value = null } = place;
    if (typeof value !== 'string') place.refuse();
    return { issue_status: null, issue_message: textAt(value, true) ?? JSON.stringify(value) };
  }
  const status = place.at('status').text();
  const message = place.at('message').text();
  const saysMore = Object.keys(issue).some((name) => name !== 'status' && issue[name] !== null);
  return { issue_status: status, issue_message: message ?? (saysMore ? JSON.stringify(issue) : null) };
}

function bodyTemplate(): BodyTemplate {
  const issue = (index: number): string => `data.issues.[${index}]`;
  const body = (issues: Tree, beyond: Record<string, string>): string => {
    const tree = {
      // The name, which somebody typed, stands first, for the reason that the template of requests gives.
      data: { ...fields('data', ['name', 'id', 'type', 'status']), issues, ...beyond },
      event_type: '{{event_type}}',
      event_time: '{{event_time}}',
    };
    return `${render(tree, '')}\n`;
  };
  const carried = indices(CARRIED_ISSUES).map((index) => fields(issue(index), ['status', 'message']));
  const probe = `{{${issue(CARRIED_ISSUES)}.status}}{{${issue(CARRIED_ISSUES)}.message}}`;
  return {
    webhook: 'Integration webhook, HTTP',
    path: '/apono/webhook/integration',
    triggers: [],
    plain: {
      text: () => body(carried, { issues_beyond: probe }),
      notes: [
        `This template needs no helpers. It carries ${CARRIED_ISSUES} issues; of an integration with more the rows say ` +
          'issue_count in truncated_fields. (Apono’s own template asks for {{data.issues.status}}, which is empty, since ' +
          'issues is a list.)',
        'Do not filter by status: that an integration is Active again ends the alarm.',
      ],
    },
    each: {
      text: () => body(each('data.issues', fields('this', ['status', 'message'])), {}),
      notes: ['This template carries all issues.', EACH_NOTE],
    },
  };
}

function createTestEvent(nowMs: number, random: string): JsonObject {
  return {
    event_type: 'IntegrationStatusChanged',
    event_time: nowMs / 1000,
    data: {
      id: `${TEST_ID_PREFIX}${random}`,
      name: 'Apono Sentinel test',
      type: 'test',
      status: 'Warning',
      issues: [{ status: 'Warning', message: 'Sent by the send-test command to see whether events arrive.' }],
    },
  };
}
