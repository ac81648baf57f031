import type { JsonObject } from '../../src/ground/json.ts';

const person = { id: '5f1c', name: "Zoë Müller-O'Neil", email: 'zoe@example.com' };
const flow = { id: 'flow-77', name: 'DBA on-call (break glass)' };

export const requestInside = {
  id: '0e4b6f0e',
  friendly_id: 'AR-8841',
  requester: person,
  justification: 'INC-4411: "orders"\nneed SELECT',
  access_flow: flow,
  access_groups: [{ integration: { id: 'int-pg' }, access_units: [{ resource: { id: 'r-1' } }] }],
};

export function anomalyEvent(data: unknown, eventType = 'RequestAnomalyDetected'): JsonObject {
  return { event_type: eventType, event_time: 1763719200.000001, data: data as JsonObject };
}

export const anomalyBodies: Readonly<Record<string, string>> = {
  'whole-request': JSON.stringify(
    anomalyEvent({ ...requestInside, severity: 'High', type: 'SuddenRequest', status: 'Open', title: 'Odd' }),
  ),
  'nested-request': JSON.stringify(
    anomalyEvent({
      id: 'an-1',
      anomaly: { type: 'Repetitive', severity: 'Low', status: 'Open', message: 'again and again' },
      request: requestInside,
    }),
  ),
  'flat-ids': JSON.stringify(
    anomalyEvent({
      anomaly_id: 'an-2',
      anomaly_type: 'ApprovedAfterRejection',
      request_id: 98765,
      request_friendly_id: 'AR-1',
      requester_email: 'zoe@example.com',
      access_flow_name: 'On call',
      description: 'x',
    }),
  ),
  template:
    '{"event_type":"AnomalyDetected","event_time":"1763719200.5","data":{"id":"an-3","title":"","message":"Fix &quot;it&quot;\nnow","requester":{"email":""}}}',
  'data-is-a-list': '{"event_type":"anomaly","event_time":1,"data":[12345678901234567890,null,{"__proto__":1}]}',
  'data-is-text': '{"event_type":"ANOMALY","event_time":"soon","data":"anything"}',
  huge: JSON.stringify(
    anomalyEvent({
      id: 'an-4',
      log: 'x'.repeat(70_000),
      severity: 'High',
      list: Array.from({ length: 20_000 }, () => 'y'),
    }),
  ),
  'odd-fields': JSON.stringify(
    anomalyEvent({ id: 'an-5', severity: { level: 'High' }, type: { name: 'Sudden' }, request: 'AR-8841', title: [] }),
  ),
};
