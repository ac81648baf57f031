import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../src/ground/json.ts';
import type { DecodedEvent } from '../../src/kinds/kind.ts';
import { requestKind } from '../../src/kinds/request.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { anyCharacter } from '../support/any-character.ts';
import { mapToRows } from '../support/mapped-rows.ts';
import { decode as decodeAs } from './support.ts';

function decode(text: string): DecodedEvent {
  return decodeAs(requestKind, text);
}

function rowsOf(event: DecodedEvent): Row[] {
  return mapToRows(requestKind, event);
}

test('a template and straight JSON that report the same step share event_key, not event_id', () => {
  const data = { id: 'r-1', justification: 'x' };
  const straight = decode(
    `{"event_type":"AccessRequestGranted","event_time":1763719200.000001000,"data":${JSON.stringify(data)}}`,
  );
  const template = decode(
    `{"event_type":"RequestGranted","event_time":"1.763719200000001E9","data":${JSON.stringify(data)}}`,
  );
  const recipe = decode('[{"TimeGenerated":"1763719200.000001","event_type":"Granted","request_id":"r-1"}]');
  const keys = [straight, template, recipe].map((event) => rowsOf(event)[0]?.['event_key']);
  assert.equal(new Set(keys).size, 1);
  assert.equal(new Set([straight, template, recipe].map((event) => event.eventId)).size, 3);
});

test('recipe rows of two requests in the same microsecond keep keys of their own', () => {
  const row = (name: string) =>
    decode(`[{"TimeGenerated":"1763719200","event_type":"Granted","requester_name":"${name}"}]`);
  const [a, b] = [row('Ana'), row('Bob')].map((event) => rowsOf(event)[0]?.['event_key']);
  assert.notEqual(a, b);
});

test('only events whose ids agree are tests', () => {
  const isTest = (data: object) =>
    rowsOf(decode(`{"event_type":"Created","event_time":1,"data":${JSON.stringify(data)}}`))[0]?.['is_test'];
  assert.equal(isTest({ id: '123', friendly_id: 'AR-123' }), true);
  assert.equal(isTest({ id: '0e4b', requester: { id: 'user-1', email: 'user@example.com' } }), true);
  assert.equal(isTest({ id: 'apono-sentinel-test-1' }), true);
  assert.equal(isTest({ id: '0e4b', friendly_id: 'AR-123' }), false);
  assert.equal(
    isTest({ id: '123', friendly_id: 'AR-124', requester: { id: 'user-1', email: 'user-1@corp.example' } }),
    false,
  );
});

test('every documented spelling of the event type has its action, an unknown one is Other', () => {
  const actionOf = (type: string) =>
    rowsOf(decode(`{"event_type":${JSON.stringify(type)},"event_time":1,"data":{}}`))[0];
  for (const action of ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed', 'Manual']) {
    for (const spelling of [
      action,
      `Request${action}`,
      `AccessRequest${action}`,
      `ACCESS_REQUEST_${action.toUpperCase()}`,
    ]) {
      const row = actionOf(spelling);
      assert.deepEqual([row?.['event_action'], row?.['event_type']], [action, spelling]);
    }
  }
  for (const type of ['RequestRevoked', 'created now', 'toString', '__proto__', 'AccessRequest'])
    assert.equal(actionOf(type)?.['event_action'], 'Other');
});

test('property: whatever the unknown fields, each unit is one row in its order, and row ids are unique', () => {
  const text = fc.oneof(fc.string({ unit: anyCharacter }), fc.constant(null), fc.integer());
  const unit = fc.record(
    {
      resource: fc.option(fc.record({ id: text, name: text, type: fc.option(fc.record({ id: text })) })),
      permission: fc.option(fc.record({ id: text, name: text })),
    },
    { requiredKeys: [] },
  );
  const groups = fc.array(
    fc.option(fc.record({ integration: fc.option(fc.record({ id: text })), access_units: fc.option(fc.array(unit)) })),
  );
  const unknown = fc.dictionary(
    fc.string().filter((key) => !(key in KNOWN_DATA)),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(groups, unknown, (accessGroups, more) => {
      const event = { event_type: 'Granted', event_time: 1, data: { ...more, access_groups: accessGroups } };
      const decoded = decode(JSON.stringify(event));
      const units = accessGroups.flatMap((group) => group?.access_units ?? []);
      const rows = rowsOf(decoded);
      assert.equal(rows.length, Math.max(1, units.length));
      assert.equal(new Set(rows.map((row) => row['row_id'])).size, rows.length);
      for (const [index, { resource }] of units.entries()) {
        const id = resource?.id;
        const expected = id === undefined || id === null ? null : String(id).toWellFormed();
        assert.equal(rows[index]?.['resource_id'], expected);
        assert.equal(rows[index]?.['access_unit_index'], index);
        assert.equal(rows[index]?.['access_unit_count'], units.length);
      }
    }),
  );
});

// Deeper ones overflowed the stack when their rows were written: such an event was quarantined as mapping_failed.
test('custom fields as text are an object, but a text that is nested too deep stays text', () => {
  const customFieldsOf = (text: string) => {
    const event = decode(`{"event_type":"Granted","event_time":1,"data":{"custom_fields":${JSON.stringify(text)}}}`);
    return rowsOf(event)[0]?.['custom_fields'];
  };
  const nested = (levels: number) => '{"a":'.repeat(levels) + 1 + '}'.repeat(levels);
  assert.deepEqual(customFieldsOf(nested(64)), JSON.parse(nested(64)));
  for (const levels of [65, 8_000]) assert.equal(customFieldsOf(nested(levels)), nested(levels));
  assert.equal(customFieldsOf(nested(50_000)), null, 'too long for its column');
});

const KNOWN_DATA: JsonObject = Object.fromEntries(
  [
    'id',
    'friendly_id',
    'requester',
    'grantee',
    'justification',
    'creation_date',
    'revocation_date',
    'access_flow',
    'access_bundle',
    'access_duration_in_seconds',
    'access_groups',
    'approvals_logical_relation',
    'approvals',
    'units_beyond',
    'approvals_beyond',
  ].map((key) => [key, null]),
);
