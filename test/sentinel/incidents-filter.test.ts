import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../src/ground/json.ts';
import {
  allOf,
  filterProblem,
  hasLabel,
  incidentFilter,
  odataString,
  parseMoment,
} from '../../src/sentinel/incidents/filter.ts';
import type { Incident } from '../../src/sentinel/incidents/incident.ts';
import { parseFilter } from '../support/azure/odata.ts';

/** What a reader of OData's grammar makes of a literal; null when it is none. */
function literal(text: string): string | null {
  const match = /^'((?:[^']|'')*)'$/s.exec(text);
  return match?.[1]?.replaceAll("''", "'") ?? null;
}

const quoteful = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("'", 'a', ' ', ')', '(', '%', '"', 'é') }));

describe('the filter of incidents', () => {
  test('takes any text for a text, quotes or not', () => {
    fc.assert(fc.property(quoteful, (text) => assert.equal(literal(odataString(text)), text)));
  });

  test('finds what has the title and the status, and nothing else, however they are spelt', () => {
    const some = fc.record({ title: quoteful, other: quoteful });
    fc.assert(
      fc.property(some, ({ title, other }) => {
        const filter = incidentFilter({ titles: [title], statuses: ['New', 'Active'] }) ?? '';
        const incident = (text: string, status: string): JsonObject => ({
          properties: { title: `before ${text} after`, status },
        });
        const test = parseFilter(filter);
        assert.equal(test(incident(title, 'Active')), true, filter);
        assert.equal(test(incident(title, 'Closed')), false);
        assert.equal(test(incident(other, 'New')), `before ${other} after`.includes(title));
      }),
    );
  });

  test('that reaches Azure has its any() first and only, whatever else is asked for', () => {
    const own = fc.constantFrom(
      "properties/labels/any(i: i/labelName eq 'it''s any(')",
      "properties/labels/any(i: i/labelName eq 'a' or i/labelName eq 'b')",
      "(properties/labels/any(i: i/labelName eq 'a') or properties/severity eq 'High')",
      "  properties/labels/any(i: i/labelName eq 'a') and properties/status ne 'New'",
    );
    const more = fc.record(
      { since: fc.constant(new Date(0)), titles: fc.array(quoteful), statuses: fc.constant(['New', 'Active']) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(own, more, (filter, selection) => {
        assert.equal(filterProblem(filter), null);
        assert.doesNotThrow(() => parseFilter(incidentFilter({ ...selection, filter }) ?? ''));
      }),
    );
  });

  test('of the caller is refused where Azure answers with nothing though incidents match', () => {
    const any = "properties/labels/any(i: i/labelName eq 'a')";
    for (const bad of [`properties/severity eq 'High' and ${any}`, `${any} or ${any}`, `not ${any}`]) {
      assert.match(filterProblem(bad) ?? '', /use --label/, bad);
    }
    for (const bad of [
      "properties/classification eq 'Undetermined'",
      "'Undetermined' eq properties/classification",
      "properties/status eq 'Closed' and (properties/classification  eq 'Undetermined')",
      "properties/classification in ('TruePositive', 'Undetermined')",
    ]) {
      assert.match(filterProblem(bad) ?? '', /use --classification Undetermined/, bad);
    }
    for (const good of [
      any,
      "properties/classification eq 'TruePositive'",
      "contains(properties/title,'classification eq ''Undetermined''')",
      "contains(properties/title,'/any(') and properties/status eq 'New'",
    ]) {
      assert.equal(filterProblem(good), null, good);
    }
  });

  test('of labels compares their names as they are spelt, and of several one is enough', () => {
    const incident = (...names: readonly string[]): Incident => ({
      name: 'x',
      resource: { properties: { labels: names.map((labelName) => ({ labelName })) } },
    });
    fc.assert(
      fc.property(fc.array(quoteful), quoteful, quoteful, (names, wanted, other) => {
        assert.equal(hasLabel(incident(...names), [wanted]), names.includes(wanted));
        assert.equal(hasLabel(incident(...names, `${wanted}x`), [`${wanted}x`, other]), true);
      }),
    );
    assert.equal(hasLabel(incident('Prod'), ['prod']), false);
    assert.equal(hasLabel({ name: 'x', resource: { properties: { labels: null } } }, ['prod']), false);
  });

  test('joins what is given by and, and several of one kind by or', () => {
    assert.equal(incidentFilter({}), null);
    assert.equal(allOf([null, '', 'a']), 'a');
    assert.equal(
      incidentFilter({
        since: new Date('2026-11-01T00:00:00Z'),
        until: new Date('2026-12-01T00:00:00Z'),
        severities: ['High', 'Low'],
        titles: ["O'Brien"],
        filter: "properties/owner/email eq 'a' or properties/owner/email eq 'b'",
      }),
      "(properties/owner/email eq 'a' or properties/owner/email eq 'b') and " +
        'properties/createdTimeUtc ge 2026-11-01T00:00:00.000Z and properties/createdTimeUtc lt 2026-12-01T00:00:00.000Z and ' +
        "(properties/severity eq 'High' or properties/severity eq 'Low') and contains(properties/title,'O''Brien')",
    );
  });

  test('refuses a filter of the caller that is not closed in itself', () => {
    for (const bad of ['', '  ', "a eq 'b", 'a) or (b', '(a', "a eq 'b'')"])
      assert.notEqual(filterProblem(bad), null, bad);
    for (const good of ["a eq 'b'", "a eq ')'", "(a eq 'it''s') or (b)", "contains(a,'(')"])
      assert.equal(filterProblem(good), null);
  });
});

describe('times of --since and --until', () => {
  const now = Date.parse('2026-11-22T12:00:00Z');
  const cases: [string, string | null][] = [
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11-01T08:30', '2026-11-01T08:30:00.000Z'],
    ['2026-11-01 08:30:15.123', '2026-11-01T08:30:15.123Z'],
    ['2026-11-01T08:30:15Z', '2026-11-01T08:30:15.000Z'],
    ['2026-11-01T08:30:15+02:00', '2026-11-01T06:30:15.000Z'],
    ['7d', '2026-11-15T12:00:00.000Z'],
    ['90m', '2026-11-22T10:30:00.000Z'],
    ['24h', '2026-11-21T12:00:00.000Z'],
    ['2w', '2026-11-08T12:00:00.000Z'],
    ['2026-02-30', null],
    ['2026-13-01', null],
    ['01.11.2026', null],
    ['yesterday', null],
    ['-7d', null],
    ['999999w', null],
    ['2026-11-01T25:00', null],
    ['', null],
  ];
  for (const [text, expected] of cases) {
    test(`${JSON.stringify(text)} is ${expected}`, () => {
      assert.equal(parseMoment(text, now)?.toISOString() ?? null, expected);
    });
  }
});
