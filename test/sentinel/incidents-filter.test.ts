import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseFilter } from '../../src/emulator/odata.ts';
import type { JsonObject } from '../../src/json.ts';
import { allOf, filterProblem, incidentFilter, odataString } from '../../src/sentinel/incidents/filter.ts';
import { parseMoment } from '../../src/sentinel/incidents/period.ts';

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

  test('finds what has the title, the label and the status, and nothing else, however they are spelt', () => {
    const some = fc.record({ title: quoteful, label: quoteful, other: quoteful });
    fc.assert(
      fc.property(some, ({ title, label, other }) => {
        const filter = incidentFilter({ titles: [title], labels: [label], statuses: ['New', 'Active'] }) ?? '';
        const incident = (labelName: string, status: string): JsonObject => ({
          properties: { title: `before ${title} after`, labels: [{ labelName }], status },
        });
        const test = parseFilter(filter);
        assert.equal(test(incident(label, 'Active')), true, filter);
        assert.equal(test(incident(label, 'Closed')), false);
        assert.equal(test(incident(other, 'New')), other === label);
      }),
    );
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
      'properties/createdTimeUtc ge 2026-11-01T00:00:00.000Z and properties/createdTimeUtc lt 2026-12-01T00:00:00.000Z and ' +
        "(properties/severity eq 'High' or properties/severity eq 'Low') and contains(properties/title,'O''Brien') and " +
        "(properties/owner/email eq 'a' or properties/owner/email eq 'b')",
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
