import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRules } from './detections.ts';
import type { Row } from './run/table.ts';
import { textOf } from './run/values.ts';
import { type ArrivedRow, arrival, at, type Fields, rowsOf } from './samples/events.ts';
import { runOnRows } from './samples/run-on-rows.ts';

const type = { id: 'postgresql-table', name: 'Table', display_path: 'PostgreSQL/Table' };
const unit = (id: string): Fields => ({
  resource: { id, name: id, path: `orders-prod/${id}`, type },
  permission: { id: 'SELECT', name: 'SELECT' },
});

/** Ana asks for Carl by a break-glass flow and approves it herself two seconds later. */
const request: Fields = {
  id: 'r-1',
  friendly_id: 'AR-1',
  requester: { id: 'u-ana', name: 'Ana', email: 'Ana@Example.com' },
  grantee: { id: 'u-carl', source_id: 'carl@example.com', name: 'Carl', type: 'user' },
  justification: 'INC-1',
  creation_date: at('09:56:58'),
  revocation_date: at('13:00:00'),
  access_flow: { id: 'flow-1', name: 'Break glass' },
  access_groups: [
    {
      integration: { id: 'int-1', type: 'postgresql', name: 'orders-prod' },
      access_units: [unit('orders'), unit('invoices')],
    },
  ],
  approvals_logical_relation: 'AnyOf',
  approvals: [
    { name: 'Ana', type: 'user', status: 'Approved', approver: { id: 'u-ana', name: 'Ana', email: 'ana@example.com' } },
  ],
};

const event = (action: string, time: string, data: Fields): Fields => ({
  event_type: `AccessRequest${action}`,
  event_time: at(time),
  data,
});

/** The second row of an event arrives in the next run's window. */
const [firstUnit, ...otherUnits] = rowsOf('request', event('Granted', '09:57:10', request), arrival('09:59:50'));
const late = otherUnits.map((one) => ({ ...one, arrivedAt: arrival('10:01:00') }));

const rows: readonly ArrivedRow[] = [
  ...rowsOf('request', event('Created', '09:56:58', { ...request, approvals: [] }), arrival('09:57:00')),
  ...rowsOf('request', event('Approved', '09:57:00', request), arrival('09:57:05')),
  ...(firstUnit === undefined ? [] : [firstUnit]),
  ...late,
  // Delivered twice, the copy in the window of the next run.
  ...rowsOf('request', event('Approved', '09:57:00', request), arrival('10:02:00')),
  ...rowsOf('request', event('Granted', '09:57:20', { ...request, id: 'apono-sentinel-test-1' }), arrival('09:57:30')),
];

/** What a rule returns when its now() is this. */
function resultOf(file: string, now: string, arrived = rows): readonly Row[] {
  const rule = readRules().find((one) => one.file === file);
  assert.ok(rule !== undefined);
  return runOnRows(rule.query, { AponoAccessRequests_CL: arrived }, arrival(now));
}

const expected: Readonly<Record<string, readonly string[]>> = {
  'AponoAccessRequestCreated.yaml': ['Created'],
  'AponoApprovedWithinSeconds.yaml': ['Approved'],
  'AponoApproverIsGrantee.yaml': [],
  'AponoBreakGlassFlowUsed.yaml': ['Granted'],
  'AponoFirstAccessToResource.yaml': [],
  'AponoGranteeIsNotRequester.yaml': ['Granted'],
  'AponoGrantedWithoutApproval.yaml': [],
  'AponoManyRequests.yaml': [],
  'AponoRejectedThenGranted.yaml': [],
  'AponoSelfApproval.yaml': ['Approved', 'Granted'],
};

describe('rules on rows as the service sends them', () => {
  for (const [file, actions] of Object.entries(expected)) {
    it(`${file} finds ${actions.length === 0 ? 'nothing' : actions.join(' and ')}, once`, () => {
      const found = resultOf(file, '10:00:00').map((row) => textOf(row['event_action'] ?? null));
      assert.deepEqual(found.sort(), actions);
      assert.deepEqual(resultOf(file, '10:05:00'), []);
    });
  }

  it('does not take a list of approvals that was cut for no approval', () => {
    const pending = ['Bo', 'Eve'].map((name) => ({ name, type: 'user', status: 'Pending', approver: { name } }));
    const { query = '' } = readRules().find(({ file }) => file === 'AponoGrantedWithoutApproval.yaml') ?? {};
    const allFlows = query.replace(
      'AponoSettings() | project FlowsThatNeedApproval',
      'print FlowsThatNeedApproval = dynamic(["*"])',
    );
    const found = (more: Fields) => {
      const data = { ...request, approvals: pending, ...more };
      const granted = rowsOf('request', event('Granted', '09:57:10', data), arrival('09:57:15'));
      return runOnRows(allFlows, { AponoAccessRequests_CL: granted }, arrival('10:00:00')).length;
    };
    assert.equal(found({}), 1);
    assert.equal(found({ approvals_beyond: 'Approved' }), 0);
    assert.equal(found({ approvals_beyond: 'Approved', approvals_logical_relation: 'AllOf' }), 1);
  });

  it('finds an approver whose address came in place of the approver', () => {
    const approved = (more: Fields) =>
      rowsOf('request', event('Approved', '09:57:00', { ...request, ...more }), arrival('09:57:05'));
    const byAddress = (approver: string): Fields => ({ approvals: [{ type: 'user', status: 'Approved', approver }] });
    const itsRequester = approved(byAddress(' Ana@Example.com'));
    assert.equal(resultOf('AponoSelfApproval.yaml', '10:00:00', itsRequester).length, 1);
    const [fast] = resultOf('AponoApprovedWithinSeconds.yaml', '10:00:00', itsRequester);
    assert.equal(fast?.['Approvers'], 'ana@example.com');
    const itsGrantee = approved(byAddress('carl@example.com'));
    assert.equal(resultOf('AponoApproverIsGrantee.yaml', '10:00:00', itsGrantee).length, 1);
    assert.deepEqual(resultOf('AponoSelfApproval.yaml', '10:00:00', itsGrantee), []);
  });

  it('has all units of an event in the alert, also those that arrived after its first row', () => {
    const [granted] = resultOf('AponoBreakGlassFlowUsed.yaml', '10:00:00');
    assert.equal(granted?.['UnitCount'], 2);
    assert.equal(granted?.['ResourceList'], 'invoices, orders');
    assert.equal(granted?.['RequestKey'], 'r-1');
    assert.deepEqual([granted?.['RequesterName'], granted?.['GranteeName']], ['ana', 'carl']);
  });
});
