import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../src/ground/json.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { kindNamed } from '../../src/kinds/registry.ts';
import { requestKind } from '../../src/kinds/request.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { anyCharacter } from '../support/any-character.ts';
import { anomalyBodies } from './anomaly-bodies.ts';
import { auditBodies } from './audit-bodies.ts';
import { integrationBodies } from './integration-bodies.ts';
import { requestBodies } from './request-bodies.ts';
import { pick, rowsOf } from './support.ts';

const unit = (id: string) => ({
  resource: { id, name: `name of ${id}`, path: `path/${id}`, type: { id: 'table', name: 'Table' } },
  permission: { id: 'READ', name: 'Read' },
});
const groups = [
  { integration: { id: 'int-1', type: 'pg', name: 'orders' }, access_units: [unit('r-1'), unit('r-2')] },
  { integration: { id: 'int-2', type: 'k8s', name: 'eks' }, access_units: [unit('r-3')] },
];
const approvals = [
  { name: 'Ana', type: 'user', status: 'Approved', approver: { id: 'u-3', email: 'ana@example.com' } },
];

function granted(data: object, isTemplate = false): string {
  const event_time = isTemplate ? '1763719200.000001' : 1763719200.000001;
  return JSON.stringify({ event_type: 'RequestGranted', event_time, data: { id: 'r-1', ...data } });
}

const rowsWith = (data: object, isTemplate = false): Row[] => rowsOf(requestKind, granted(data, isTemplate));
const firstWith = (data: object, isTemplate = false): Row => rowsWith(data, isTemplate)[0] ?? {};

describe('a time that cannot be read', () => {
  for (const value of [
    ...[0, -1, '-1', 'Never', 'null', ' ', '0', '2025-11-21', true, [], {}, [1763719200]],
    ...['1969-12-31T23:59:59Z', '1970-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z'],
    ...[253402300799, '31556889864403199.999999999', '9223372036854775807'],
  ]) {
    for (const isTemplate of [false, true]) {
      const form = isTemplate ? 'a template-made body' : 'straight JSON';
      it(`is null and keeps its text: ${JSON.stringify(value)} in ${form}`, () => {
        const row = firstWith({ revocation_date: value, creation_date: 1763719100 }, isTemplate);
        const text = typeof value === 'string' ? value : JSON.stringify(value);
        assert.deepEqual(pick(row, ['revocation_at', 'request_created_at', 'invalid_fields']), {
          revocation_at: null,
          request_created_at: '2025-11-21T09:58:20.000000Z',
          // An object without members is what a template renders of nothing.
          invalid_fields: isTemplate && text === '{}' ? null : { revocation_date: text },
        });
      });
    }
  }

  it('keeps every digit of a number', () => {
    const body = granted({ revocation_date: 1 }).replace(
      '"revocation_date":1',
      '"revocation_date":31556889864403199.999999999',
    );
    assert.deepEqual(rowsOf(requestKind, body)[0]?.['invalid_fields'], {
      revocation_date: '31556889864403199.999999999',
    });
  });
});

describe('fields that are absent are not invalid', () => {
  const names = [
    'revocation_date',
    'access_duration_in_seconds',
    'grantee',
    'access_groups',
    'approvals',
    'friendly_id',
  ];
  for (const [what, value, isTemplate] of [
    ['null', null, false],
    ['missing', undefined, false],
    ['null in a template-made body', null, true],
    ['an empty text in a template-made body', '', true],
  ] as const) {
    it(what, () => {
      const row = firstWith(Object.fromEntries(names.map((name) => [name, value])), isTemplate);
      assert.equal(row['invalid_fields'], null);
    });
  }
});

test('epoch milliseconds, microseconds and nanoseconds are read, of the event as well', () => {
  const data = { creation_date: 1763719100123, revocation_date: '1763722800123456' };
  const [row] = rowsOf(requestKind, JSON.stringify({ event_type: 'Granted', event_time: 1763719200456, data }));
  assert.deepEqual(pick(row, ['event_time', 'request_created_at', 'revocation_at', 'invalid_fields']), {
    event_time: '2025-11-21T10:00:00.456000Z',
    request_created_at: '2025-11-21T09:58:20.123000Z',
    revocation_at: '2025-11-21T11:00:00.123456Z',
    invalid_fields: null,
  });
});

test('a duration that is no number of seconds is null and keeps its text', () => {
  for (const value of ['PT1H', '1 hour', -3600, ' ', [3600], 1e300]) {
    const row = firstWith({ access_duration_in_seconds: value });
    assert.equal(row['access_duration_seconds'], null);
    assert.deepEqual(row['invalid_fields'], {
      access_duration_in_seconds: typeof value === 'string' ? value : JSON.stringify(value),
    });
  }
  assert.deepEqual(
    pick(firstWith({ access_duration_in_seconds: '3600.5' }), ['access_duration_seconds', 'invalid_fields']),
    {
      access_duration_seconds: 3600,
      invalid_fields: null,
    },
  );
});

describe('lists of a request', () => {
  const html = (value: unknown) => JSON.stringify(value).replaceAll('"', '&quot;');
  const withoutIds = (rows: readonly Row[]) =>
    rows.map(({ event_id: _, row_id: __, body_form: ___, ...columns }) => columns);
  const expected = withoutIds(rowsWith({ access_groups: groups, approvals }));

  for (const [how, print] of Object.entries({
    'JSON text': JSON.stringify,
    'JSON text that was escaped for HTML': html,
  })) {
    for (const isTemplate of [false, true]) {
      it(`arrive as they are when they were sent as ${how} in ${isTemplate ? 'a template-made body' : 'straight JSON'}`, () => {
        const inside = groups.map((group) => ({ ...group, access_units: print(group.access_units) }));
        for (const access_groups of [print(groups), inside]) {
          const rows = rowsWith({ access_groups, approvals: print(approvals) }, isTemplate);
          assert.deepEqual(withoutIds(rows), expected);
        }
      });
    }
  }

  it('may be one element by itself', () => {
    const [group] = groups;
    const one = { ...group, access_units: group?.access_units[0] };
    const rows = rowsWith({ access_groups: one, approvals: approvals[0] });
    assert.deepEqual(
      rows.map((row) =>
        pick(row, ['resource_id', 'integration_id', 'access_unit_count', 'approvals', 'invalid_fields']),
      ),
      [{ resource_id: 'r-1', integration_id: 'int-1', access_unit_count: 1, approvals, invalid_fields: null }],
    );
  });

  it('that are anything else are null and keep their text, and the event is one row', () => {
    for (const value of ['null', ' ', 'orders', '[object Object]', '[{id=1}]', 7, true, { surprise: 1 }]) {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      const rows = rowsWith({ access_groups: value, approvals: value });
      assert.deepEqual(
        rows.map((row) => pick(row, ['access_unit_count', 'approvals', 'approver_emails', 'invalid_fields'])),
        [
          {
            access_unit_count: 0,
            approvals: null,
            approver_emails: null,
            invalid_fields: { access_groups: text, approvals: text },
          },
        ],
      );
    }
  });

  it('name each element that is no object: a unit is still a row, and a group is named in every row', () => {
    const access_groups = [
      { ...groups[0], access_units: [unit('r-1'), 'r-2', null, 7] },
      'orders',
      { ...groups[1], integration: ['eks'] },
    ];
    const rows = rowsWith({ access_groups });
    assert.deepEqual(
      rows.map((row) =>
        pick(row, ['resource_id', 'integration_id', 'access_unit_index', 'access_unit_count', 'invalid_fields']),
      ),
      [
        ['r-1', 'int-1', {}],
        [null, 'int-1', { 'access_groups[0].access_units[1]': 'r-2' }],
        [null, 'int-1', { 'access_groups[0].access_units[3]': '7' }],
        ['r-3', null, { 'access_groups[2].integration': '["eks"]' }],
      ].map(([resource_id, integration_id, own], access_unit_index) => ({
        resource_id,
        integration_id,
        access_unit_index,
        access_unit_count: 4,
        invalid_fields: { ...(own as object), 'access_groups[1]': 'orders' },
      })),
    );
  });

  it('take an address in place of an approver for what it is', () => {
    const given = [...approvals, { name: 'Bob', approver: 'bob@example.com' }, { name: 'Eve', approver: 'Eve' }];
    assert.deepEqual(pick(firstWith({ approvals: given }), ['approvals', 'approver_emails', 'invalid_fields']), {
      approvals: given,
      approver_emails: ['ana@example.com', 'bob@example.com'],
      invalid_fields: { 'approvals[1].approver': 'bob@example.com', 'approvals[2].approver': 'Eve' },
    });
  });
});

test('a recipe row keeps its odd fields by name', () => {
  const body = '[{"TimeGenerated":"1763719200","event_type":"Granted","permission":["READ"],"revocation_at":"Never"}]';
  assert.deepEqual(pick(rowsOf(requestKind, body)[0], ['permission', 'revocation_at', 'invalid_fields']), {
    permission: null,
    revocation_at: null,
    invalid_fields: { permission: '["READ"]', revocation_at: 'Never' },
  });
});

test('at most 20 fields with 1,024 characters each are kept, and truncated_fields says so', () => {
  const long = firstWith({ friendly_id: ['é'.repeat(5_000)], grantee: 'é'.repeat(1_024) });
  assert.deepEqual(long['invalid_fields'], { friendly_id: `["${'é'.repeat(1_022)}`, grantee: 'é'.repeat(1_024) });
  assert.deepEqual(long['truncated_fields'], ['invalid_fields']);
  const many = firstWith({ access_groups: Array.from({ length: 30 }, (_, index) => `group ${index}`) });
  assert.equal(Object.keys(many['invalid_fields'] as JsonObject).length, 20);
  assert.deepEqual(many['truncated_fields'], ['invalid_fields']);
  const few = firstWith({ access_groups: Array.from({ length: 20 }, (_, index) => `group ${index}`) });
  assert.deepEqual([Object.keys(few['invalid_fields'] as JsonObject).length, few['truncated_fields']], [20, null]);
});

test('a text that is too long is cut on a character, not between the two halves of one', () => {
  const text = `${'a'.repeat(1_023)}😀 and more`;
  assert.deepEqual(firstWith({ revocation_date: text })['invalid_fields'], { revocation_date: 'a'.repeat(1_023) });
});

test('10,001 units are the first 10,000 rows, which say how many there are', () => {
  const units = (count: number) => Array.from({ length: count }, (_, index) => ({ resource: { id: `r-${index}` } }));
  const rows = rowsWith({ access_groups: [{ access_units: units(6_000) }, { access_units: units(4_001) }] });
  assert.equal(rows.length, 10_000);
  for (const [index, row] of rows.entries()) {
    assert.deepEqual(pick(row, ['access_unit_index', 'access_unit_count', 'units_truncated', 'row_id']), {
      access_unit_index: index,
      access_unit_count: 10_001,
      units_truncated: true,
      row_id: `${row['event_id']}-${index}`,
    });
  }
  assert.equal(rowsWith({ access_groups: [{ access_units: units(10_000) }] }).at(-1)?.['units_truncated'], false);
});

test('10,001 issues of an integration are the first 10,000 rows, and truncated_fields names their count', () => {
  const kind = kindNamed('integration');
  assert.ok(kind !== undefined);
  const issues = Array.from({ length: 10_001 }, (_, index) => ({ status: 'Error', message: `${index}` }));
  const event = { event_type: 'x', event_time: 1, data: { id: 'i', name: 'n', type: 't', status: 'Error', issues } };
  const rows = rowsOf(kind, JSON.stringify(event));
  assert.deepEqual([rows.length, rows.at(-1)?.['issue_message']], [10_000, '9999']);
  for (const row of rows) {
    assert.deepEqual(pick(row, ['issue_count', 'truncated_fields']), {
      issue_count: 10_001,
      truncated_fields: ['issue_count'],
    });
  }
});

type Path = readonly (string | number)[];

/** Every place in a value. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  const below = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [
    path,
    ...below.flatMap(([key, child]) => pathsOf(child, [...path, Array.isArray(value) ? Number(key) : key])),
  ];
}

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

const nameOf = (path: Path) =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '');

/** Columns that hold whatever was sent, and those that are made of the whole event. */
const KEPT_AS_SENT = [
  'raw_event',
  'approvals',
  'custom_fields',
  'metadata',
  'current_target_object',
  'previous_target_object',
];
const OF_THE_WHOLE = ['event_id', 'row_id', 'event_key', 'invalid_fields', 'truncated_fields', ...KEPT_AS_SENT];

describe('property: any value in place of any optional field', () => {
  const events: Readonly<Record<string, readonly (string | undefined)[]>> = {
    request: [requestBodies['every-field'], requestBodies['documented'], requestBodies['no-unit']],
    audit: [auditBodies['json']],
    anomaly: [anomalyBodies['nested-request'], anomalyBodies['flat-ids'], anomalyBodies['whole-request']],
    integration: [integrationBodies['json']],
  };
  const odd = fc.oneof(
    fc.constantFrom('', ' ', 'null', 'Never', 'PT1H', '[]', '{}', '[{"id":1}]', '{"id":"x"}', 'bob@example.com'),
    fc.constantFrom<unknown>(0, -1, true, 1e300, 1763719200123, [], {}, [null], [[]], { id: {} }, [{ name: [] }]),
    fc.jsonValue(),
    fc.string({ unit: anyCharacter }),
  );

  for (const [name, texts] of Object.entries(events)) {
    const kind = kindNamed(name) as WebhookKind;
    const places = texts.flatMap((text) => {
      const event = JSON.parse(text ?? '') as { readonly data: unknown };
      return pathsOf(event.data)
        .filter((path) => path.length > 0 && !isNotRead(path, name))
        .map((path) => ({ event, path }));
    });

    it(`${name}: makes rows; one that cannot be read is like null, and is named`, () => {
      let unread = 0;
      const rows = (event: object) => rowsOf(kind, JSON.stringify(event), null, true);
      fc.assert(
        fc.property(fc.constantFrom(...places), odd, ({ event, path }, value) => {
          const given = rows(replaced(event, ['data', ...path], value) as object);
          const without = rows(replaced(event, ['data', ...path], null) as object);
          assert.ok(given.length >= 1);
          const place = nameOf(path);
          const named = given.map((row) => (row['invalid_fields'] as JsonObject | null)?.[place] ?? null);
          const text = named.find((one) => one !== null);
          if (text === undefined) return;
          unread++;
          const sent = typeof value === 'string' ? value : JSON.stringify(value);
          assert.equal(text, JSON.parse(JSON.stringify(sent)).slice(0, 1_024).toWellFormed());
          // An element of a list has a row of its own, whatever it is; an issue is text, whatever it is.
          if (typeof path.at(-1) === 'number' || name === 'integration') return;
          const others = (row: Row) => Object.entries(row).filter(([column]) => !OF_THE_WHOLE.includes(column));
          const address = path.at(-1) === 'approver' && typeof value === 'string' && value.includes('@');
          const known = (all: readonly Row[]) =>
            all.map((row) => others(row).filter(([column]) => !(address && column === 'approver_emails')));
          assert.deepEqual(known(given), known(without));
        }),
        { numRuns: 400 },
      );
      assert.ok(unread > 0, 'none could not be read');
    });

    it(`${name}: a list or an object in place of text is always named`, () => {
      for (const { event, path } of places) {
        const was = path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], event.data);
        if (typeof was !== 'string') continue;
        for (const value of [['x'], { x: 1 }]) {
          const given = rowsOf(kind, JSON.stringify(replaced(event, ['data', ...path], value)), null, true);
          const isNamed = given.some((row) => Object.hasOwn((row['invalid_fields'] ?? {}) as object, nameOf(path)));
          assert.ok(isNamed, nameOf(path));
        }
      }
    });
  }
});

/** What columns hold as it was sent, whatever it is: custom fields, target objects, and most of an anomaly. */
function isNotRead(path: Path, kind: string): boolean {
  const names = ['custom_fields', 'metadata', 'current_target_object', 'previous_target_object'];
  if (kind === 'anomaly') names.push('justification', 'access_groups');
  return names.some((name) => path.includes(name));
}
