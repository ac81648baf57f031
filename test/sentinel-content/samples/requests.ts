import { type ArrivedRow, arrival, at, type Fields, rowsOf } from './events.ts';

/*
 * What the samples hold, and what each is there for. All on 2 November 2026 (UTC).
 *
 * AR-1  Ana: two tables with the same resource id in two integrations. Created (its rows delivered twice), Approved and
 *       Granted in the same microsecond, Granted reported by two webhooks: a poorer template body comes first, with one
 *       unit that the other body has, one that has only its name, and one that the other body lacks; it knows nothing of
 *       flow and grantee. Ana's access is for Zoe. Expired before its planned end, which
 *       that event does not say.
 * AR-2  Ana for Carl: four units without ids: two named, two told by their index alone. Arrives three days late, so Azure
 *       rewrote TimeGenerated. Approvals: none. No expiry arrives.
 * AR-3  Dan: rejected; the rejection arrives before the creation and has no units.
 * AR-4  Dan: granted, expired, granted again. Approvals were not sent.
 * AR-5  Eve: fails twice.
 * AR-7  Eve: the expiry of the first grant never arrived; a second grant expires much later.
 * AR-8  Fay: a template body, which has no room for the sixth approval; one approver is a bare address. At the planned end
 *       Apono fails to take the access away.
 * A row of Apono's recipe through the service, one sent straight by the recipe (no row_id), a test event.
 */

interface SampleUnit {
  readonly integration: Fields;
  readonly unit: Fields;
}

function table(integration: string, name: string, id = 'res-1'): SampleUnit {
  const type = { id: 'postgresql-table', name: 'Table', display_path: 'PostgreSQL/Table' };
  return {
    integration: { id: `int-${integration}`, type: 'postgresql', name: integration },
    unit: {
      resource: { id, name, path: `${integration}/public/${name}`, type },
      permission: { id: 'SELECT', name: 'SELECT' },
    },
  };
}

const zoe = { id: 'u-Zoe', source_id: 'zoe@example.com', name: 'Zoe', type: 'user' };
const orders = table('orders-prod', 'orders');
const invoices = table('billing-prod', 'invoices');

const groups = (units: readonly SampleUnit[]): Fields => ({
  access_groups: units.map(({ integration, unit }) => ({ integration, access_units: [unit] })),
});

function request(number: number, who: string, email: string, more: Fields = {}): Fields {
  const requester = { id: `u-${who}`, name: who, email };
  const flow = { id: 'flow-dba', name: 'DBA access' };
  return {
    id: `r-${number}`,
    friendly_id: `AR-${number}`,
    requester,
    justification: `INC-${number}`,
    access_flow: flow,
    ...more,
  };
}

const ana = { ...request(1, 'Ana', 'Ana@Example.com'), grantee: zoe };
const decided = (status: string): Fields => ({
  approvals_logical_relation: 'AnyOf',
  approvals: [{ name: 'Bo', type: 'user', status, approver: { id: 'u-Bo', name: 'Bo', email: 'Bo@Example.com' } }],
});

function event(action: string, time: number, data: Fields): Fields {
  return { event_type: `AccessRequest${action}`, event_time: time, data };
}

/** What a body template without the resource's id and permission's id would send: every value is text. */
const templateOfGranted = {
  event_type: 'RequestGranted',
  event_time: `${at('09:05:00')}.000001`,
  data: {
    id: 'r-1',
    friendly_id: 'AR-1',
    requester: { id: 'u-Ana', name: 'Ana', email: 'Ana@Example.com' },
    approvals_beyond: 'Approved',
    access_groups: [
      { integration: orders.integration, access_units: [orders.unit, table('orders-prod', 'ledger', 'res-7').unit] },
      {
        integration: { name: 'billing-prod' },
        access_units: [{ resource: { name: 'invoices' }, permission: { name: 'SELECT' } }],
      },
    ],
  },
};

const unnamed: Fields = {
  access_groups: [
    {
      integration: { type: 'share', name: 'files' },
      access_units: [
        { resource: { name: 'alpha' }, permission: { name: 'READ' } },
        { resource: { name: 'beta' }, permission: { name: 'READ' } },
        { permission: { name: 'ADMIN' } },
        { permission: { name: 'ADMIN' } },
      ],
    },
  ],
};

const dan = (number: number): Fields => request(number, 'Dan', 'dan@example.com');

function recipeRow(eventType: string, time: number | string): Fields {
  return {
    TimeGenerated: time,
    event_type: eventType,
    requester_id: 'u-Ana',
    requester_name: 'Ana',
    requester_email: 'Ana@Example.com',
    justification: 'INC-9',
    resource_id: 'Table',
    resource_name: 'orders',
    permission: 'SELECT',
  };
}

const both = groups([orders, invoices]);
const created = event('Created', at('09:00:00'), { ...ana, ...both, ...decided('Pending') });
const granted = at('09:05:00', 1);
const end = (time: string): Fields => ({ revocation_date: at(time) });
const r4 = { ...dan(4), ...groups([orders]) };
const eve = { ...request(5, 'Eve', 'eve@example.com'), ...groups([invoices]), approvals: [] };
const r7 = { ...request(7, 'Eve', 'eve@example.com'), ...groups([invoices]) };
const fay = { ...request(8, 'Fay', 'fay@example.com'), ...groups([invoices]) };
const templateOfFay = {
  event_type: 'RequestGranted',
  event_time: `${at('18:30:00')}`,
  data: {
    ...fay,
    revocation_date: `${at('18:50:00')}`,
    approvals: [
      { name: 'Gil', type: 'user', status: 'Approved', approver: 'Gil@Example.com' },
      ...['Hal', 'Ida', 'Joe', 'Kim'].map((name) => ({ name, type: 'user', status: 'Pending', approver: { name } })),
    ],
    approvals_beyond: 'Pending',
  },
};
const test = { ...request(6, 'Ana', 'Ana@Example.com'), id: 'apono-sentinel-test-6', ...groups([orders]) };
const carl = { id: 'u-Carl', source_id: 'Carl@Example.com', name: 'Carl', type: 'user' };
const late = '2026-11-05T10:00:00.000000Z';

export const requestRows: readonly ArrivedRow[] = [
  ...rowsOf('request', created, arrival('09:00:05')),
  ...rowsOf('request', created, arrival('09:20:00')),
  ...rowsOf('request', event('Approved', granted, { ...ana, ...both, ...decided('Approved') }), arrival('09:05:10')),
  ...rowsOf('request', templateOfGranted, arrival('09:05:30'), 'template'),
  ...rowsOf(
    'request',
    event('Granted', granted, { ...ana, ...both, ...decided('Approved'), ...end('13:05:00') }),
    arrival('09:06:30'),
  ),
  ...rowsOf(
    'request',
    event('Expired', at('13:00:00'), { ...ana, ...both, ...decided('Approved') }),
    arrival('13:00:10'),
  ),
  ...rowsOf(
    'request',
    event('Granted', at('10:00:00'), {
      ...request(2, 'Ana', 'Ana@Example.com'),
      grantee: carl,
      ...unnamed,
      approvals: [],
      ...end('12:00:00'),
    }),
    late,
  ),
  ...rowsOf(
    'request',
    event('Rejected', at('11:02:00'), { ...dan(3), access_groups: [], ...decided('Rejected') }),
    arrival('11:05:00'),
  ),
  ...rowsOf(
    'request',
    event('Created', at('11:00:00'), { ...dan(3), ...groups([orders]), ...decided('Pending') }),
    arrival('11:10:00'),
  ),
  ...rowsOf('request', event('Granted', at('08:00:00'), { ...r4, ...end('09:45:00') }), arrival('08:00:10')),
  ...rowsOf('request', event('Expired', at('09:00:00'), r4), arrival('09:00:10')),
  ...rowsOf('request', event('Granted', at('10:00:00'), { ...r4, ...end('18:00:00') }), arrival('10:00:10')),
  ...rowsOf('request', event('Created', at('14:00:00'), eve), arrival('14:00:10')),
  ...rowsOf('request', event('Failed', at('14:01:00'), eve), arrival('14:01:10')),
  ...rowsOf('request', event('Failed', at('14:02:00'), eve), arrival('14:02:10')),
  ...rowsOf('request', event('Granted', at('06:00:00'), { ...r7, ...end('07:00:00') }), arrival('06:00:10')),
  ...rowsOf('request', event('Granted', at('17:00:00'), { ...r7, ...end('18:00:00') }), arrival('17:00:10')),
  ...rowsOf('request', event('Expired', at('17:30:00'), r7), arrival('17:30:10')),
  ...rowsOf('request', templateOfFay, arrival('18:30:10')),
  ...rowsOf('request', event('Failed', at('18:50:05'), fay), arrival('18:50:10')),
  ...rowsOf('request', [recipeRow('RequestGranted', `${at('15:00:00')}`)], arrival('15:00:10')),
  { arrivedAt: arrival('15:30:10'), row: recipeRow('RequestCreated', arrival('15:30:00')) },
  ...rowsOf('request', event('Created', at('16:00:00'), test), arrival('16:00:10')),
];
