import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../src/ground/json.ts';
import { columnsWith, createFormat, type FormatOptions, guardCell } from '../../src/sentinel/incidents/formats.ts';
import { type DetailedIncident, detailNames, readIncident } from '../../src/sentinel/incidents/incident.ts';
import { anyCharacter } from '../support/any-character.ts';
import { sampleDetails, sampleIncidents } from '../support/azure/sample-incidents.ts';
import { readCsv } from './csv-reader.ts';

function incident(properties: JsonObject, more: JsonObject = {}): DetailedIncident {
  const read = readIncident({ name: '73e01a99-5cd7-4139-a149-9f2736ff2ab5', properties, ...more });
  assert.ok(read !== null);
  return { ...read, details: {} };
}

function write(options: FormatOptions, ...pages: readonly (readonly DetailedIncident[])[]): string {
  const format = createFormat(options);
  return `${format.head}${pages.map((page) => format.part(page)).join('')}${format.tail}`;
}

const csv = (...incidents: readonly DetailedIncident[]): string[][] =>
  readCsv(write({ format: 'csv', details: [] }, incidents));

/** By the name of the column. */
function cellsOf(one: DetailedIncident): Record<string, string> {
  const [head = [], row = []] = csv(one);
  return Object.fromEntries(head.map((name, index) => [name, row[index] ?? '']));
}

describe('CSV', () => {
  test('begins with the twenty columns of the former exporter, in its order', () => {
    assert.deepEqual(csv()[0]?.slice(0, 20), [
      'IncidentUniqueId',
      'IncidentTitle',
      'IncidentNumber',
      'Description',
      'Severity',
      'Status',
      'Label',
      'Classification',
      'ClassificationComment',
      'AssignedTo',
      'OwnerEmail',
      'CreatedTimeUTC',
      'FirstActivityTimeUTC',
      'LastActivityTimeUTC',
      'LastModifiedTimeUTC',
      'FirstActivityTimeGenerated',
      'LastActivityTimeGenerated',
      'AlertProductName',
      'CommentCount',
      'AlertCount',
    ]);
  });

  test("holds what Microsoft's own example holds", () => {
    const cells = cellsOf(
      incident(
        {
          lastModifiedTimeUtc: '2019-01-01T13:15:30Z',
          createdTimeUtc: '2019-01-01T13:15:30Z',
          lastActivityTimeUtc: '2019-01-01T13:05:30Z',
          firstActivityTimeUtc: '2019-01-01T13:00:30Z',
          description: 'This is a demo incident',
          title: 'My incident',
          owner: {
            objectId: '2046feea-040d-4a46-9e2b-91c2941bfa70',
            email: 'john.doe@contoso.com',
            userPrincipalName: 'john@contoso.com',
            assignedTo: 'john doe',
          },
          severity: 'High',
          classification: 'FalsePositive',
          classificationComment: 'Not a malicious activity',
          classificationReason: 'IncorrectAlertLogic',
          status: 'Closed',
          incidentUrl: 'https://portal.azure.com/#asset/x',
          incidentNumber: 3177,
          labels: [
            { labelName: 'a', labelType: 'User' },
            { labelName: 'Redirected', labelType: 'AutoAssigned' },
          ],
          providerName: 'Azure Sentinel',
          providerIncidentId: '3177',
          relatedAnalyticRuleIds: ['/x/alertRules/1', '/x/alertRules/2'],
          additionalData: {
            alertsCount: 0,
            bookmarksCount: 0,
            commentsCount: 3,
            alertProductNames: ['Azure Sentinel', 'Defender'],
            tactics: ['Persistence'],
            techniques: ['T1078'],
            providerIncidentUrl: 'https://security.microsoft.com/incidents/3177',
          },
        },
        { id: '/subscriptions/x/Incidents/73e01a99-5cd7-4139-a149-9f2736ff2ab5' },
      ),
    );
    assert.deepEqual(cells, {
      IncidentUniqueId: '73e01a99-5cd7-4139-a149-9f2736ff2ab5',
      IncidentTitle: 'My incident',
      IncidentNumber: '3177',
      Description: 'This is a demo incident',
      Severity: 'High',
      Status: 'Closed',
      Label: 'a; Redirected',
      Classification: 'FalsePositive',
      ClassificationComment: 'Not a malicious activity',
      AssignedTo: 'john doe',
      OwnerEmail: 'john.doe@contoso.com',
      CreatedTimeUTC: '2019-01-01T13:15:30Z',
      FirstActivityTimeUTC: '2019-01-01T13:00:30Z',
      LastActivityTimeUTC: '2019-01-01T13:05:30Z',
      LastModifiedTimeUTC: '2019-01-01T13:15:30Z',
      FirstActivityTimeGenerated: '',
      LastActivityTimeGenerated: '',
      AlertProductName: 'Azure Sentinel; Defender',
      CommentCount: '3',
      AlertCount: '0',
      ClassificationReason: 'IncorrectAlertLogic',
      OwnerUPN: 'john@contoso.com',
      OwnerObjectId: '2046feea-040d-4a46-9e2b-91c2941bfa70',
      OwnerType: '',
      IncidentUrl: 'https://portal.azure.com/#asset/x',
      ProviderName: 'Azure Sentinel',
      ProviderIncidentId: '3177',
      ProviderIncidentUrl: 'https://security.microsoft.com/incidents/3177',
      Tactics: 'Persistence',
      Techniques: 'T1078',
      RelatedAnalyticRuleIds: '/x/alertRules/1; /x/alertRules/2',
      BookmarksCount: '0',
      LabelTypes: 'User; AutoAssigned',
      ResourceId: '/subscriptions/x/Incidents/73e01a99-5cd7-4139-a149-9f2736ff2ab5',
    });
  });

  test('of an incident without anything has its name and empty cells', () => {
    const read = readIncident({ id: '/x/Incidents/abc', properties: { owner: null, labels: null, additionalData: 7 } });
    assert.ok(read !== null);
    const [head = [], row = []] = csv({ ...read, details: {} });
    assert.equal(row.length, head.length);
    assert.deepEqual(
      row.filter((cell) => cell !== ''),
      ['abc', '/x/Incidents/abc'],
    );
    assert.equal(readIncident({ properties: {} }), null);
  });

  test('gives back every text, whatever it holds, but for the apostrophe of the guard', () => {
    const text = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', ';', "'", '=', ' ', 'a', '\u2028', '\t') }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), (pairs) => {
        const rows = csv(...pairs.map(([title, description]) => incident({ title, description }))).slice(1);
        assert.deepEqual(
          rows.map((row) => [row[1], row[3]]),
          pairs.map(([title, description]) => [guardCell(title), guardCell(description)]),
        );
      }),
    );
  });

  test('quotes a line feed that stands alone, which csv-stringify does not do by itself', () => {
    const text = write({ format: 'csv', details: [] }, [incident({ title: 'a\nb', description: 'c\rd' })]);
    assert.match(text, /"a\nb",,"c\rd"/);
  });

  test('guards what a spreadsheet could run, and nothing else', () => {
    const guarded = ['=1+1', '+1', '-1', '@SUM(1)', '\t=1', '\r=1', '\n=1', '\tx', '\rx', '\nx', ' =1', '\u00a0=1'];
    const wide = [
      '\uFF1D1',
      '\uFF0B1',
      '\uFF0D1',
      '\uFF201',
      '\u200b=1',
      '\ufeff=1',
      '\u202e=1',
      '\u0000=1',
      '=',
      "-'",
    ];
    for (const text of [...guarded, ...wide]) {
      assert.equal(cellsOf(incident({ title: text }))['IncidentTitle'], `'${text}`, JSON.stringify(text));
    }
    for (const text of ['a=1', '1-1', ' x', "'=1", 'a\n=1', '!', 'zoë', '(1)', '–1', '−1']) {
      assert.equal(cellsOf(incident({ title: text }))['IncidentTitle'], text, JSON.stringify(text));
    }
    const numbers = cellsOf(
      incident({ incidentNumber: -5, additionalData: { alertsCount: 1e21, commentsCount: '=1' } }),
    );
    assert.equal(numbers['IncidentNumber'], '-5');
    assert.equal(numbers['AlertCount'], '1e+21');
    assert.equal(numbers['CommentCount'], '');
  });

  test('has no cell that begins like a formula, whatever an incident holds', () => {
    const value = fc.oneof(fc.string(), fc.constantFrom('=x', '@x', '-x', '\tx'), fc.integer(), fc.constant(null));
    const record = fc.record({ title: value, description: value, severity: value, status: value });
    fc.assert(
      fc.property(record, fc.array(value), (properties, labels) => {
        const one = incident({
          ...properties,
          labels: labels.map((labelName) => ({ labelName })),
          owner: { email: '=1' },
        });
        for (const cell of csv(one)[1] ?? []) assert.ok(!/^[=+@\t\r\n]|^-\D/.test(cell), cell);
      }),
    );
  });

  test('has columns for details, a line for each, and a byte order mark where one is asked for', () => {
    const source = sampleIncidents({ count: 4, workspaceId: '/w' });
    const read = readIncident(source.at(3));
    assert.ok(read !== null);
    const details = sampleDetails(source)(read.name);
    const text = write({ format: 'csv', details: detailNames, bom: true }, [{ ...read, details }]);
    assert.ok(text.startsWith('\uFEFFIncidentUniqueId,'));
    const [head = [], row = []] = readCsv(text.slice(1));
    assert.deepEqual(head.slice(-3), ['Comments', 'Alerts', 'Entities']);
    assert.deepEqual(row.slice(-3), [
      "2026-01-02T13:15:30Z Jo Doe: Asked the owner: it's <fine> second line\n" +
        '2026-01-02T13:15:30Z jo@example.com: Comment 1 of 3\n2026-01-02T13:15:30Z Jo Doe: Comment 2 of 3',
      '2026-01-02T12:00:00Z Informational First access of zoë@example.com to Müller’s server, データベース (Azure Sentinel)',
      'Account: zoe@example.com\nIp: 192.0.2.3',
    ]);
  });

  test('has a name for each column, each name once', () => {
    const columns = columnsWith(detailNames);
    assert.equal(new Set(columns.map(({ name }) => name)).size, columns.length);
    for (const { name } of columns) assert.match(name, /^[A-Za-z]+$/);
  });
});

describe('JSON and NDJSON', () => {
  const value = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonObject[string]>;
  const resources = fc.array(fc.dictionary(fc.string(), value), { maxLength: 6 });
  const incidentsOf = (list: readonly JsonObject[]): DetailedIncident[] =>
    list.map((resource) => ({ name: 'x', resource, details: {} }));

  test('are what Resource Manager gave, over any number of pages', () => {
    fc.assert(
      fc.property(resources, resources, (one, other) => {
        const expected: unknown = JSON.parse(JSON.stringify([...one, ...other]));
        const json = write({ format: 'json', details: [] }, incidentsOf(one), [], incidentsOf(other));
        assert.deepEqual(JSON.parse(json), expected);
        const lines = write({ format: 'ndjson', details: [] }, incidentsOf(one), incidentsOf(other)).split('\n');
        assert.equal(lines.pop(), '');
        assert.deepEqual(
          lines.map((line) => JSON.parse(line) as unknown),
          expected,
        );
      }),
    );
  });

  test('carry details as members beside those of Resource Manager', () => {
    const one = { ...incident({ title: 'x' }, { etag: '"1"' }), details: { comments: [{ a: 1 }], alerts: null } };
    const parsed = JSON.parse(write({ format: 'ndjson', details: ['comments', 'alerts'] }, [one])) as JsonObject;
    assert.deepEqual(Object.keys(parsed), ['name', 'properties', 'etag', 'comments', 'alerts']);
    assert.deepEqual([parsed['comments'], parsed['alerts']], [[{ a: 1 }], null]);
  });

  test('hold no character that steers a terminal', () => {
    const text = write({ format: 'ndjson', details: [] }, [incident({ title: 'a\u001b[31m\u009b\u202e\u2028\u007f' })]);
    assert.match(text, /"a\\u001b\[31m\\u009b\\u202e\\u2028\\u007f"/);
  });
});
