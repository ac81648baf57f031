import { type ArrivedRow, arrival, at, type Fields, rowsOf } from './events.ts';

/** Rows of the other tables; each feed has one that was delivered twice. All on 2 November 2026 (UTC). */

const edited = {
  event_type: 'AuditLog',
  event_time: at('09:00:00'),
  data: {
    timestamp: at('09:00:00'),
    action: 'Edited',
    actor_id: 'Ana@Example.com',
    actor_name: 'Ana',
    actor_type: 'user',
    source: 'web application',
    target_id: 'flow-dba',
    target_type: 'access flow',
    target_name: 'DBA access',
    current_target_object: { approvers: [] },
    previous_target_object: { approvers: ['Bo'] },
  },
};

const deletedBySystem = {
  event_type: 'AuditLog',
  event_time: at('09:30:00'),
  data: {
    timestamp: at('09:30:00'),
    action: 'Deleted',
    actor_name: 'System (Apono)',
    source: 'integration',
    target_id: 'hook-1',
    target_type: 'webhook',
    target_name: 'to Microsoft Sentinel',
  },
};

export const auditRows: readonly ArrivedRow[] = [
  ...rowsOf('audit', edited, arrival('09:00:10')),
  ...rowsOf('audit', edited, arrival('09:10:00')),
  ...rowsOf('audit', deletedBySystem, arrival('09:30:10')),
];

function integration(status: string, time: string, issues: readonly Fields[]): Fields {
  const data = { id: 'int-1', name: 'orders-prod', type: 'postgresql', status, issues };
  return { event_type: 'IntegrationStatus', event_time: at(time), data };
}

const failing = integration('Error', '10:00:00', [
  { status: 'Error', message: 'cannot connect' },
  { status: 'Warning', message: 'certificate expires' },
]);

export const integrationRows: readonly ArrivedRow[] = [
  ...rowsOf('integration', failing, arrival('10:00:10')),
  ...rowsOf('integration', failing, arrival('10:05:00')),
  ...rowsOf('integration', integration('Active', '11:00:00', []), arrival('11:00:10')),
];

const anomaly = {
  event_type: 'RequestAnomaly',
  event_time: at('12:00:00'),
  data: {
    type: 'unusual time',
    severity: 'High',
    request_id: 'r-1',
    requester: { id: 'u-Ana', name: 'Ana', email: 'Ana@Example.com' },
  },
};

export const anomalyRows: readonly ArrivedRow[] = [
  ...rowsOf('anomaly', anomaly, arrival('12:00:10')),
  ...rowsOf('anomaly', anomaly, arrival('12:30:00')),
];

function beat(instance: string, time: string, arrivedAt: string, accepted: number): ArrivedRow {
  const counts = { accepted, duplicate: 0, quarantined: 0, dead: 0, unauthorized: 0, delivered: accepted, waiting: 0 };
  const row = { TimeGenerated: arrival(time), instance, version: '1.0.0', started_at: arrival('08:00:00'), ...counts };
  return { arrivedAt: arrival(arrivedAt), row: { ...row, oldest_waiting_seconds: 0, credential_expires_at: null } };
}

export const heartbeatRows: readonly ArrivedRow[] = [
  beat('a', '09:00:00', '09:00:05', 1),
  beat('a', '09:00:00', '09:00:20', 1),
  beat('b', '09:00:00', '09:00:06', 7),
  beat('a', '09:15:00', '09:15:05', 2),
];
