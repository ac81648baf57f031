import Handlebars from 'handlebars';
import type { JsonObject } from '../../src/ground/json.ts';

/** Of Apono's page on the audit log webhook. */
export const documentedAuditTemplate = `{
    "event_type": "{{event_type}}",
    "event_time": "{{event_time}}",
    "data": {
        "timestamp": "{{data.timestamp}}",
        "action": "{{data.action}}",
        "actor_id": "{{data.actor_id}}",
        "actor_name": "{{data.actor_name}}",
        "actor_type": "{{data.actor_type}}",
        "source": "{{data.source}}",
        "target_id": "{{data.target_id}}",
        "target_type": "{{data.target_type}}",
        "target_name": "{{data.target_name}}",
        "metadata": "{{data.metadata}}",
        "current_target_object": "{{data.current_target_object}}",
        "previous_target_object": "{{data.previous_target_object}}"
    }
}
`;

const flow = {
  id: 'flow-77',
  name: 'DBA on-call (break glass)',
  active: true,
  revoke_after_in_sec: 14400,
  grantees: [{ attribute_filters: [{ name: 'group', value: 'O\'Neil\'s "DBAs"' }] }],
  approver_policy: { condition_groups: [{ conditions: [{ attribute_condition: 'manager' }] }] },
};

export const auditData = {
  timestamp: 1763719199.75,
  action: 'edit',
  actor_id: 'zoe@example.com',
  actor_name: "Zoë Müller-O'Neil",
  actor_type: 'user',
  source: 'Terraform',
  target_id: 'flow-77',
  target_type: 'access flow',
  target_name: 'DBA "on-call" & <b>\nsecond line, C:\\new',
  metadata: { ip: '192.0.2.7', note: null, list: [1, 'two', { three: 3 }] },
  current_target_object: flow,
  previous_target_object: { ...flow, active: false, approver_policy: null, labels: [] },
};

export function auditEvent(data: object = {}): JsonObject {
  return { event_type: 'AccessFlowUpdated', event_time: 1763719200.000001, data: { ...auditData, ...data } };
}

/** With its target objects as the text that `print` makes of them. */
export function printed(print: (value: object | null) => string): JsonObject {
  const { metadata, current_target_object: current, previous_target_object: previous } = auditData;
  return auditEvent({
    metadata: print(metadata),
    current_target_object: print(current),
    previous_target_object: print(previous),
  });
}

/** As handlebars.java prints a map, by Java's AbstractMap.toString. */
export function javaText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(javaText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([key, child]) => `${key}=${javaText(child)}`)
    .join(', ')}}`;
}

const render = (event: JsonObject): string => Handlebars.compile(documentedAuditTemplate)(event);

export const auditBodies: Readonly<Record<string, string>> = {
  json: JSON.stringify(auditEvent()),
  'documented-template': render(auditEvent()),
  'template-json-text': render(printed((value) => JSON.stringify(value))),
  'template-java-text': render(printed(javaText)),
  'json-text': JSON.stringify(printed((value) => JSON.stringify(value))),
  'nulls-and-numbers': `{"event_type":"WebhookDeleted","event_time":"2025-11-21T10:00:00+01:00","data":{
    "timestamp":null,"action":"delete","actor_id":12345678901234567890,"actor_name":null,"target_id":98765432109876543210,
    "target_type":"webhook","target_name":false,"metadata":{"id":98765432109876543210,"ratio":0.1000},
    "current_target_object":null,"previous_target_object":{"id":98765432109876543210}}}`,
  created: JSON.stringify(auditEvent({ action: 'create', previous_target_object: null })),
  'huge-objects': JSON.stringify(
    auditEvent({
      metadata: { before: 1, text: 'é'.repeat(40_000), after: 2 },
      current_target_object: { id: 'x', list: Array.from({ length: 20_000 }, (_, index) => index), name: 'new' },
      previous_target_object: { id: 'x', list: [], name: 'old' },
    }),
  ),
  'long-text': render(auditEvent({ metadata: `not JSON: ${'x'.repeat(70_000)}` })),
  'odd-fields': JSON.stringify(auditEvent({ timestamp: -1, actor_name: { first: 'Zoë' }, source: ['API'] })),
};
