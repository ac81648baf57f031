import Handlebars from 'handlebars';
import type { JsonObject } from '../../src/ground/json.ts';

/** Of Apono's page on the integration webhook. */
export const documentedIntegrationTemplate = `{
  "event_type": "{{event_type}}",
  "event_time": "{{event_time}}",
  "data": {
    "id": "{{data.id}}",
    "name": "{{data.name}}",
    "type": "{{data.type}}",
    "status": "{{data.status}}",
    "issues": [
      { "status": "{{data.issues.status}}", "message": "{{data.issues.message}}" }
    ]
  }
}
`;

export const issues = [
  { status: 'Error', message: 'Password of "apono" & <connector> expired:\nline two, C:\\new' },
  { status: 'Warning', message: "O'Neil's schema was not found" },
];

export const integrationData = { id: 'int-pg', name: 'orders-prod', type: 'postgresql', status: 'Error', issues };

export function integrationEvent(data: object = {}): JsonObject {
  return {
    event_type: 'IntegrationStatusChanged',
    event_time: 1763719200.000001,
    data: { ...integrationData, ...data },
  };
}

const render = (event: JsonObject): string => Handlebars.compile(documentedIntegrationTemplate)(event);

export const integrationBodies: Readonly<Record<string, string>> = {
  json: JSON.stringify(integrationEvent()),
  'documented-template': render(integrationEvent()),
  'no-issue': JSON.stringify(integrationEvent({ status: 'Active', issues: [] })),
  'issues-not-sent': '{"event_type":"x","event_time":1,"data":{"id":1,"name":"n","type":"t","status":"Active"}}',
  'one-object': JSON.stringify(integrationEvent({ issues: issues[0] })),
  text: JSON.stringify(integrationEvent({ issues: 'Connection refused' })),
  'json-text': JSON.stringify(integrationEvent({ issues: JSON.stringify(issues) })),
  'other-forms': JSON.stringify(
    integrationEvent({ issues: ['as text', null, { level: 'high', text: 'of fields that nobody documents' }, {}] }),
  ),
  'long-message': JSON.stringify(integrationEvent({ issues: [{ status: 'Error', message: 'é'.repeat(40_000) }] })),
  'odd-fields': JSON.stringify(
    integrationEvent({ type: { name: 'postgresql' }, issues: [{ status: ['Error'], message: 'x' }, 7, issues[1]] }),
  ),
};
