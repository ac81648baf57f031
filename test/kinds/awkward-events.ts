import type { JsonObject } from '../../src/ground/json.ts';
import { requestInside } from './anomaly-bodies.ts';
import { auditEvent } from './audit-bodies.ts';
import { integrationEvent } from './integration-bodies.ts';

/** What people type, and what breaks JSON that is put together from text. */
export const awkward = [
  'plain',
  '"quoted", \'single\' & `back` = <b>tags</b>',
  'first line\nsecond line\r\n\ttabbed',
  'C:\\new\\table \\"',
  '{"looks":"like JSON"} {{event_type}}',
  'Zoë 健二 👩‍💻 \u202e',
  '&quot; typed &amp;amp; so',
] as const;

export function awkwardRequest(text: string): JsonObject {
  const unit = (id: string) => ({ resource: { id, name: text, path: text }, permission: { id: 'READ', name: text } });
  return {
    event_type: 'RequestGranted',
    event_time: 1763719200.000001,
    data: {
      ...requestInside,
      justification: text,
      access_bundle: null,
      access_groups: [
        { integration: { id: 'int-1', type: 't', name: text }, access_units: [unit('r-1'), unit('r-2')] },
        { integration: { id: 'int-2', type: 't', name: text }, access_units: [unit('r-3')] },
      ],
      approvals: [
        { name: text, type: 'user', status: 'Approved', approver: { id: 'a', name: text, email: 'a@example.com' } },
      ],
      custom_fields: { ticket: text },
    },
  };
}

export function awkwardAudit(text: string): JsonObject {
  return auditEvent({
    actor_name: text,
    target_name: text,
    metadata: { note: text, empty: null, nested: { note: text } },
    current_target_object: { id: 'f', name: text, active: true },
    previous_target_object: { id: 'f', name: `${text} before`, active: true },
  });
}

export function awkwardAnomaly(text: string): JsonObject {
  return {
    event_type: 'RequestAnomalyDetected',
    event_time: 1763719200.000001,
    data: {
      id: 'an-1',
      type: 'Sudden',
      severity: 'High',
      title: text,
      request: requestInside,
      requester: requestInside.requester,
    },
  };
}

export function awkwardIntegration(text: string, count: number): JsonObject {
  return integrationEvent({
    name: text,
    issues: Array.from({ length: count }, (_, index) => ({ status: 'Error', message: `${index} ${text}` })),
  });
}
