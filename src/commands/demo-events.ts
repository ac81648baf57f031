/** Bodies as Apono sends them, with the current time: four of access requests and one of each other webhook. */
export function demoEvents(nowMs: number) {
  const seconds = (nowMs / 1000).toFixed(6);
  return [
    { title: 'the event of Apono’s documentation, as JSON', body: documentedEvent(seconds), rows: 1 },
    { title: 'a grant of two resources in two integrations, as JSON', body: grantedEvent(seconds), rows: 3 },
    { title: 'a row of Apono’s own Sentinel recipe', body: recipeRow(seconds), rows: 1 },
    { title: 'a body template with a line break and a backslash in the text', body: templateBody(seconds), rows: 1 },
    { title: 'an event of the audit log: somebody changed an access flow', body: auditEvent(seconds), rows: 1 },
    { title: 'an anomaly with the request that it is about', body: anomalyEvent(seconds), rows: 1 },
    { title: 'an integration in trouble, with two issues', body: integrationEvent(seconds), rows: 2 },
  ];
}

function documentedEvent(seconds: string): string {
  const type = { id: 'postgresql-database', name: 'Database', display_path: 'Postgresql/Database' };
  const resource = { id: 'res-1', name: 'DB 1', path: 'prod db/res-1', type };
  const permission = { id: 'READ_ONLY', name: 'READ_ONLY' };
  const integration = { id: 'integration-1', type: 'Postgresql', name: 'prod db' };
  return json(seconds, 'AccessRequestCreated', {
    id: '123',
    friendly_id: 'AR-123',
    requester: { id: 'user-1', name: 'User', email: 'user@example.com' },
    justification: 'I need access to this',
    access_flow: { id: 'flow-1', name: 'Flow 1' },
    access_bundle: { id: 'bundle-1', name: 'Bundle 1' },
    access_groups: [{ integration, resource_types: [type], access_units: [{ resource, permission }] }],
    approvals_logical_relation: 'AnyOf',
    approvals: [],
  });
}

function grantedEvent(seconds: string): string {
  const unit = (id: string, name: string, permission: string) => ({
    resource: { id, name, path: `prod/${name}`, type: { id: 'table', name: 'Table', display_path: 'Table' } },
    permission: { id: permission, name: permission },
  });
  const postgres = { id: 'int-pg', type: 'postgresql', name: 'orders-prod' };
  const kubernetes = { id: 'int-k8s', type: 'kubernetes', name: 'eks-prod' };
  const approver = { id: 'u-3', name: 'Ana Pires', email: 'ana@example.com' };
  return json(seconds, 'AccessRequestGranted', {
    id: '0e4b6f0e-6a7e-4a53-9b62-6b3d5f6c0a11',
    friendly_id: 'AR-8841',
    requester: { id: '5f1c', name: 'Zoë Müller', email: 'zoe@example.com' },
    grantee: { id: '9a7d', source_id: 'kenji@example.com', name: '田中 健二', type: 'user' },
    justification: 'INC-4411: replica lag > 300 s on "orders" & "billing"',
    revocation_date: null,
    access_flow: { id: 'flow-77', name: 'DBA on-call (break glass)' },
    access_bundle: null,
    access_duration_in_seconds: 14400,
    access_groups: [
      { integration: postgres, access_units: [unit('t-1', 'orders', 'SELECT'), unit('t-1', 'orders', 'INSERT')] },
      { integration: kubernetes, access_units: [unit('ns-1', 'billing', 'edit')] },
    ],
    approvals_logical_relation: 'AllOf',
    approvals: [{ name: 'DBA leads', type: 'group', status: 'Approved', approver }],
    custom_fields: { ticket: 'INC-4411' },
  });
}

function recipeRow(seconds: string): string {
  return `[
  {
    "TimeGenerated": "${seconds}",
    "event_type": "RequestApproved",
    "requester_id": "user-2",
    "requester_name": "Sean O&#x27;Neil",
    "requester_email": "sean@example.com",
    "justification": "Fix &quot;prod&quot; &amp; close INC-7",
    "resource_id": "Database",
    "resource_name": "DB 1",
    "permission":  "READ_ONLY"
  }
]`;
}

function templateBody(seconds: string): string {
  return `{
  "event_type": "RequestRejected",
  "event_time": "${seconds}",
  "data": {
    "id": "7c9d",
    "friendly_id": "AR-8842",
    "requester": { "id": "b0b", "name": "Bob", "email": "bob@example.com" },
    "justification": "first line
second line, as CORP\\bob",
    "access_groups": [ { "integration": { "id": "int-win", "type": "windows", "name": "dc-1" }, "access_units": [
      { "resource": { "id": "srv-1", "name": "srv-1" }, "permission": { "id": "rdp", "name": "RDP" } },
      { "resource": { "id": "", "name": "" }, "permission": { "id": "", "name": "" } }
    ] } ]
  }
}`;
}

function auditEvent(seconds: string): string {
  const flow = { id: 'flow-77', name: 'DBA on-call (break glass)', active: true, revoke_after_in_sec: 14400 };
  return json(seconds, 'AccessFlowUpdated', {
    timestamp: Number(seconds),
    action: 'edit',
    actor_id: 'ana@example.com',
    actor_name: 'Ana Pires',
    actor_type: 'user',
    source: 'Terraform',
    target_id: flow.id,
    target_type: 'access flow',
    target_name: flow.name,
    metadata: {},
    current_target_object: { ...flow, approver_policy: null },
    // Some templates send an object as JSON text.
    previous_target_object: JSON.stringify({ ...flow, approver_policy: { condition_groups: ['manager'] } }),
  });
}

function anomalyEvent(seconds: string): string {
  return json(seconds, 'RequestAnomalyDetected', {
    id: 'an-12',
    type: 'ApprovedAfterRejection',
    severity: 'High',
    title: 'Approved after it was rejected',
    request: {
      id: '7c9d',
      friendly_id: 'AR-8842',
      requester: { id: 'b0b', name: 'Bob', email: 'bob@example.com' },
      access_flow: { id: 'flow-77', name: 'DBA on-call (break glass)' },
    },
  });
}

function integrationEvent(seconds: string): string {
  return json(seconds, 'IntegrationStatusChanged', {
    id: 'int-pg',
    name: 'orders-prod',
    type: 'postgresql',
    status: 'Error',
    issues: [
      { status: 'Error', message: 'Password of "apono" expired' },
      { status: 'Warning', message: 'Schema billing was not found' },
    ],
  });
}

/** Apono writes event_time as a number: seconds with nine decimals. */
function json(seconds: string, eventType: string, data: object): string {
  return `{"event_type":"${eventType}","event_time":${seconds}000,"data":${JSON.stringify(data)}}`;
}
