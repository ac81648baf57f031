/** Bodies whose rows are held by files in test/golden/: one a case, as text, exactly as it would come over the port. */

const resourceType = { id: 'postgresql-table', name: 'Table', display_path: 'PostgreSQL/Table' };

/** Of Apono's page on Microsoft Sentinel. */
export const documentedRecipe = `[
  {
    "TimeGenerated": "{{event_time}}",
    "event_type": "{{event_type}}",
    "requester_id": "{{data.requester.id}}",
    "requester_name": "{{data.requester.name}}",
    "requester_email": "{{data.requester.email}}",
    "justification": "{{data.justification}}",
    "resource_id": "{{data.access_groups.[0].access_units.[0].resource.type.name}}",
    "resource_name": "{{data.access_groups.[0].access_units.[0].resource.name}}",
    "permission":  "{{data.access_groups.[0].access_units.[0].permission.name}}"
  }
]
`;

function unit(id: string, name: string, permission: string): object {
  return {
    resource: { id, name, path: `orders-prod/public/${name}`, type: resourceType },
    permission: { id: permission, name: permission },
  };
}

const group = (units: readonly object[]) => ({
  integration: { id: 'int-pg', type: 'postgresql', name: 'orders-prod' },
  resource_types: [resourceType],
  access_units: units,
});

function event(data: object, eventType = 'AccessRequestGranted'): string {
  return `{"event_type":"${eventType}","event_time":1763719200.000001000,"data":${JSON.stringify(data)}}`;
}

const request = {
  id: '0e4b6f0e-6a7e-4a53-9b62-6b3d5f6c0a11',
  friendly_id: 'AR-8841',
  requester: { id: '5f1c', name: "Zoë Müller-O'Neil", email: 'zoe@example.com' },
  justification: 'INC-4411: lag > 300 s on "orders" & "billing"\nneed SELECT',
};

/** The event of Apono's documentation, with the numbers as they are printed there. */
const documented = `{
  "event_type": "AccessRequestCreated",
  "event_time": 1696263265.851898000,
  "data": {
    "id": "123", "friendly_id": "AR-123",
    "requester": { "id": "user-1", "name": "User", "email": "user@example.com" },
    "justification": "I need access to this",
    "creation_date": 1696263265.852378000, "revocation_date": 1696266865.852380000,
    "access_flow": { "id": "flow-1", "name": "Flow 1" },
    "access_bundle": { "id": "bundle-1", "name": "Bundle 1" },
    "access_groups": [ {
      "integration": { "id": "integration-1", "type": "Postgresql", "name": "prod db" },
      "resource_types": [ { "id": "postgresql-database", "name": "Database", "display_path": "Postgresql/Database" } ],
      "access_units": [ {
        "resource": { "id": "res-1", "name": "DB 1", "path": "prod db/res-1",
          "type": { "id": "postgresql-database", "name": "Database", "display_path": "Postgresql/Database" } },
        "permission": { "id": "READ_ONLY", "name": "READ_ONLY" } } ] } ],
    "approvals_logical_relation": "AnyOf",
    "approvals": [ { "name": "User 2", "type": "user", "status": "Approved",
      "approver": { "id": "user-2", "name": "User 2", "email": "user2@example.com" } } ]
  }
}`;

const everyField = event({
  ...request,
  grantee: { id: '9a7d', source_id: 'kenji@example.com', name: '田中 健二', type: 'user' },
  creation_date: 1763718900.5,
  revocation_date: null,
  access_flow: { id: 'flow-77', name: 'DBA on-call (break glass)' },
  access_bundle: null,
  access_duration_in_seconds: 14400,
  access_groups: [
    group([unit('t-1', 'stats', 'SELECT'), unit('t-1', 'stats', 'INSERT'), unit('t-2', 'orders', 'SELECT')]),
    {
      integration: { id: 'int-k8s', type: 'kubernetes', name: 'eks-prod' },
      access_units: [unit('ns-1', 'billing', 'edit'), unit('ns-2', 'orders', 'view')],
    },
  ],
  approvals_logical_relation: 'AllOf',
  approvals: [
    {
      name: 'DBA leads',
      type: 'group',
      status: 'Approved',
      approver: { id: 'u-3', name: 'Ana', email: 'ana@example.com' },
    },
    { name: 'Owner', type: 'user', status: 'Pending', approver: null },
  ],
  custom_fields: { ticket: 'INC-4411', environment: 'production' },
});

const recipe = `[
  {
    "TimeGenerated": "1.696263265851898E9",
    "event_type": "AccessRequestCreated",
    "requester_id": "user-1",
    "requester_name": "O&#x27;Neil",
    "requester_email": "user@example.com",
    "justification": "Fix &quot;prod&quot; &amp; C:\\temp
second line",
    "resource_id": "Database",
    "resource_name": "DB 1",
    "permission":  "READ_ONLY"
  }
]`;

const blank = {
  resource: { id: '', name: '', path: '', type: { id: '', name: '' } },
  permission: { id: '', name: '' },
};

/** As our own template renders it: every value text, the slots that nothing fills blank, one more unit than it has room for. */
const template = JSON.stringify(
  {
    event_type: 'RequestApproved',
    event_time: '1763719200.000001',
    data: {
      ...request,
      justification: 'lag &gt; 300 s',
      grantee: { id: '', source_id: '', name: '', type: '' },
      access_bundle: { id: '', name: '' },
      access_duration_in_seconds: '14400',
      revocation_date: '',
      access_groups: [
        group([unit('t-1', 'orders', 'SELECT'), blank, blank]),
        { ...group([blank]), integration: { id: '' }, resource_types: '' },
      ],
      approvals: [
        {
          name: 'Ana',
          type: 'user',
          status: 'Approved',
          approver: { id: 'u-3', name: 'Ana', email: 'ana@example.com' },
        },
        { name: 'Owner', type: 'user', status: 'Pending', approver: { id: '', name: '', email: '' } },
        { name: '', type: '', status: '', approver: { id: '', name: '', email: '' } },
      ],
      units_beyond: 't-6',
      approvals_beyond: 'Somebody else',
    },
  },
  null,
  1,
);

/** Text that has every reason to be damaged on the way. */
export const everyScript =
  'English, Ελληνικά, Русский, العربية, עברית, हिन्दी, ไทย, 中文, 日本語, 한국어, ქართული, 🧑🏽‍💻👨‍👩‍👧, z̷̐a̴͝l̶̛g̵o̷, \u202eRTL\u202c, tab\t, nul\u0000, bell\u0007, quote " \\ /';

export const requestBodies: Readonly<Record<string, string>> = {
  documented,
  'every-field': everyField,
  recipe,
  'recipe-extended':
    '[{"TimeGenerated":"1763719200","event_type":"Granted","requester_id":"","request_id":"r-1","integration_name":"pg","justification":""}]',
  template,
  'no-access-group': event({ ...request, access_groups: [] }, 'RequestCreated'),
  'no-unit': event({ ...request, access_groups: [group([])] }, 'Expired'),
  'no-data': '{"event_type":"Something.New","event_time":"2025-11-21T10:00:00+02:00","data":{}}',
  'null-everything': event({
    id: null,
    requester: null,
    grantee: null,
    access_bundle: null,
    access_groups: null,
    approvals: null,
    custom_fields: null,
  }),
  'null-bundle-and-units': event({
    ...request,
    access_bundle: null,
    access_groups: [null, group([unit('a', 'b', 'c')]), { integration: null, access_units: null }],
  }),
  'pending-approver': event({ ...request, approvals: [{ name: 'Owner', type: 'user', status: 'Pending' }] }),
  'no-approvals': event({ ...request, approvals: [] }),
  'numbers-as-ids':
    '{"event_type":"RequestFailed","event_time":1763719200,"data":{"id":12345678901234567890,"friendly_id":42,"requester":{"id":1.50},"custom_fields":{"n":98765432109876543210}}}',
  'every-script': event({ ...request, justification: everyScript, requester: { name: everyScript } }),
  'lone-surrogate': event({ ...request }).replace('need SELECT', 'half \\ud83d a pair'),
  'justification-64-kb': event({ ...request, justification: '€'.repeat(30_000) }),
  'huge-approvals': event({
    ...request,
    approvals: Array.from({ length: 700 }, (_, i) => ({
      name: `Approver ${i}`,
      type: 'user',
      status: 'Approved',
      approver: { id: `u-${i}`, name: `Approver ${i}`, email: `approver-${i}@example.com` },
    })),
    custom_fields: { first: 'kept', second: 'x'.repeat(70_000), third: 'kept beside it' },
  }),
  'thousand-units': event({
    ...request,
    access_groups: Array.from({ length: 4 }, (_, g) =>
      group(Array.from({ length: 250 }, (_, u) => unit(`t-${g}-${u}`, `table ${g}/${u}`, 'SELECT'))),
    ),
  }),
  'odd-fields': event({
    ...request,
    friendly_id: ['AR-8841'],
    grantee: 'zoe@example.com',
    creation_date: 1763718900500,
    revocation_date: 'Never',
    access_duration_in_seconds: 'PT4H',
    access_flow: 7,
    access_groups: [
      { ...group([unit('t-1', 'stats', 'SELECT')]), integration: 'orders-prod', resource_types: 'Table' },
      'a group that is text',
      group([unit('t-2', 'orders', 'SELECT')].concat({ resource: 't-3', permission: { id: true, name: null } })),
    ],
    approvals: { name: 'Owner', type: 'user', status: 'Approved', approver: 'ana@example.com' },
  }),
  'odd-template': JSON.stringify({
    event_type: 'RequestGranted',
    event_time: '1763719200000',
    data: {
      ...request,
      justification: 'lag &gt; 300 s',
      requester: JSON.stringify(request.requester).replaceAll('"', '&quot;'),
      creation_date: ' ',
      revocation_date: '31556889864403199.999999999',
      access_groups: JSON.stringify([group([unit('t-1', 'stats', 'SELECT'), unit('t-2', 'orders', 'SELECT')])]),
      approvals: 'null',
    },
  }),
};
