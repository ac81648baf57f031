import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Handlebars from 'handlebars';
import { readBody } from '../../src/apono/read.ts';
import { isJsonObject } from '../../src/ground/json.ts';
import { templateText } from '../../src/kinds/body-template.ts';
import { requestKind } from '../../src/kinds/request.ts';
import { validate } from '../../src/kinds/validator.ts';
import { mapToRows } from '../support/mapped-rows.ts';

interface Unit {
  readonly resource: { readonly id: string; readonly name: string };
}

/** What a rendered template is. The values of the tests below need no repair, so `JSON.parse` alone must take it. */
interface Rendered {
  readonly event_type: string;
  readonly event_time: string;
  readonly data: {
    readonly id: string;
    readonly access_bundle: { readonly id: string; readonly name: string };
    readonly access_groups: readonly {
      readonly integration: { readonly id: string };
      readonly resource_types?: readonly { readonly id: string }[];
      readonly access_units: readonly Unit[];
    }[];
    readonly approvals: readonly { readonly name: string; readonly approver: { readonly email: string } }[];
    readonly custom_fields?: unknown;
    readonly units_beyond?: string;
    readonly approvals_beyond?: string;
  };
}

function eventWith(unitCounts: readonly number[], approvals: number) {
  return {
    event_type: 'RequestGranted',
    event_time: 1763719200.5,
    data: {
      id: 'req-7',
      friendly_id: 'AR-7',
      requester: { id: 'u-1', name: 'Zoë', email: 'zoe@example.com' },
      grantee: { id: 'u-2', source_id: 'kenji@example.com', name: '健二', type: 'user' },
      justification: 'INC-7',
      creation_date: 1763719100,
      revocation_date: null,
      access_flow: { id: 'f-1', name: 'On call' },
      access_bundle: null,
      access_duration_in_seconds: 3600,
      access_groups: unitCounts.map((count, group) => ({
        integration: { id: `int-${group}`, type: 'postgresql', name: `db ${group}` },
        resource_types: [{ id: 'table', name: 'Table', display_path: 'PostgreSQL/Table' }],
        access_units: Array.from({ length: count }, (_, unit) => ({
          resource: {
            id: `r-${group}-${unit}`,
            name: `table ${unit}`,
            path: `db/${unit}`,
            type: { id: 'table', name: 'Table', display_path: 'PostgreSQL/Table' },
          },
          permission: { id: 'SELECT', name: 'SELECT' },
        })),
      })),
      approvals_logical_relation: 'AnyOf',
      approvals: Array.from({ length: approvals }, (_, index) => ({
        name: `Lead ${index}`,
        type: 'user',
        status: 'Approved',
        approver: { id: `a-${index}`, name: `Lead ${index}`, email: `lead${index}@example.com` },
      })),
      custom_fields: { ticket: 'INC-7', environment: 'production' },
    },
  };
}

function render(template: string, event: object): string {
  return Handlebars.compile(template)(event);
}

function renderAndParse(template: string, event: object): Rendered {
  return JSON.parse(render(template, event)) as Rendered;
}

/** Rows that the service would make of a rendered body. */
function rowCountOf(body: string): number {
  const read = readBody(Buffer.from(body), 'auto');
  assert.ok(read.outcome === 'read' && read.form === 'template');
  const { value } = read;
  assert.ok(isJsonObject(value));
  assert.deepEqual(validate(requestKind, value), []);
  const meta = { receivedAt: 0, bodyForm: 'template', feed: null } as const;
  return mapToRows(requestKind, { eventId: 'v1-x', value, meta }).length;
}

describe('the default template', () => {
  it('uses no helper', () => {
    assert.doesNotMatch(templateText('request'), /\{\{\s*[#/^>!{]|@|\{\{\{/);
    for (const [, path] of templateText('request').matchAll(/\{\{(.*?)\}\}/g)) {
      assert.match(path ?? '', /^(event_type|event_time|data(\.[a-z_]+|\.\[\d\])+)$/);
    }
  });

  it('carries two groups of five units and five approvals, the rest blank', () => {
    const { data, event_time } = renderAndParse(templateText('request'), eventWith([5, 2], 1));
    assert.equal(event_time, '1763719200.5');
    assert.equal(data.access_groups.length, 2);
    assert.deepEqual(
      data.access_groups.map(({ access_units }) => access_units.map(({ resource }) => resource.id)),
      [
        ['r-0-0', 'r-0-1', 'r-0-2', 'r-0-3', 'r-0-4'],
        ['r-1-0', 'r-1-1', '', '', ''],
      ],
    );
    assert.deepEqual(
      data.approvals.map(({ approver }) => approver.email),
      ['lead0@example.com', '', '', '', ''],
    );
    assert.deepEqual(data.access_bundle, { id: '', name: '' });
    assert.equal(data.units_beyond, '');
    assert.equal(data.approvals_beyond, '');
  });

  for (const [what, units, approvals, unitsBeyond, approvalsBeyond] of [
    ['a sixth unit of the first group', [6], 0, true, false],
    ['a sixth unit of the second group', [1, 6], 0, true, false],
    ['a third group', [1, 1, 1], 0, true, false],
    ['all of them', [6, 7, 1], 0, true, false],
    ['a sixth approval', [5, 5], 6, false, true],
  ] as const) {
    it(`shows ${what} in its probes`, () => {
      const { data } = renderAndParse(templateText('request'), eventWith(units, approvals));
      assert.equal(data.units_beyond !== '', unitsBeyond);
      assert.equal(data.approvals_beyond !== '', approvalsBeyond);
    });
  }

  it('leaves out what cannot be carried without helpers', () => {
    const body = render(templateText('request'), eventWith([1], 1));
    assert.ok(!body.includes('[object Object]'));
    assert.ok(!('custom_fields' in renderAndParse(templateText('request'), eventWith([1], 1)).data));
  });

  it('is still JSON of an event that has next to nothing', () => {
    const { data } = renderAndParse(templateText('request'), {
      event_type: 'X',
      event_time: 1,
      data: {},
    });
    assert.equal(data.id, '');
  });

  it('is understood by the service, blanks dropped, awkward text and all', () => {
    const event = eventWith([2, 1], 1);
    assert.equal(rowCountOf(render(templateText('request'), event)), 3);
    event.data.justification = '"quoted" & <b>\nsecond line, C:\\temp\\new';
    assert.equal(rowCountOf(render(templateText('request'), event)), 3);
  });
});

describe('the template with {{#each}}', () => {
  it('carries every group, unit, approval and custom field', () => {
    const { data } = renderAndParse(templateText('request', true), eventWith([7, 1, 3], 6));
    assert.deepEqual(
      data.access_groups.map(({ access_units }) => access_units.length),
      [7, 1, 3],
    );
    assert.equal(data.access_groups[2]?.access_units[2]?.resource.id, 'r-2-2');
    assert.equal(data.access_groups[2]?.resource_types?.[0]?.id, 'table');
    assert.equal(data.approvals.length, 6);
    assert.deepEqual(data.custom_fields, { ticket: 'INC-7', environment: 'production' });
  });

  it('is still JSON where lists are empty, missing or null', () => {
    for (const data of [{}, { access_groups: [], approvals: null, custom_fields: {} }, eventWith([0], 0).data]) {
      const rendered = renderAndParse(templateText('request', true), { event_type: 'X', event_time: 1, data });
      assert.deepEqual(rendered.data.approvals, []);
    }
  });

  it('is understood by the service, with 1,000 units', () => {
    assert.equal(rowCountOf(render(templateText('request', true), eventWith([600, 400], 2))), 1000);
  });
});
