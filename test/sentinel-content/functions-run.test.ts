import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { ALIASES, ALLOWED, CONDITIONAL, MANDATORY, PARAMETERS } from './asim-audit-event.ts';
import { createKql, describeDiagnostic } from './kql.ts';
import type { Parser } from './parsers.ts';
import { runQuery } from './run/run.ts';
import type { Row } from './run/table.ts';
import { datetimeOf, textOf } from './run/values.ts';
import { requests, type Step, seconds, shown } from './samples/hunting.ts';
import { runOnRows } from './samples/run-on-rows.ts';
import { definitions, sampleScript } from './samples/script.ts';

/* The functions run on sample rows: the same text that a reader pastes into a workspace. */

const SAMPLES_URL = new URL('../../deploy/sentinel/Sample%20Data/', import.meta.url);
const kql = createKql();

function parserNamed(name: string): Parser {
  const parser = kql.parsers.find((one) => one.FunctionAlias === name);
  assert.ok(parser !== undefined, `there is no function ${name}`);
  return parser;
}

for (const parser of kql.parsers) {
  const name = parser.FunctionAlias;
  const script = sampleScript(parser, kql.parsers);

  test(`${name}: the sample in deploy/ is this function and these rows`, () => {
    const file = new URL(`${name}.kql`, SAMPLES_URL);
    if (process.env['UPDATE_SAMPLES'] !== undefined) writeFileSync(file, script);
    assert.ok(existsSync(file), 'no sample: run with UPDATE_SAMPLES=1 and read it');
    assert.equal(readFileSync(file, 'utf8'), script, 'run with UPDATE_SAMPLES=1 and read what changed');
    assert.deepEqual(kql.diagnose(script).map(describeDiagnostic), []);
  });

  test(`${name}: returns what was worked out by hand, in whatever order the rows lie`, () => {
    const backwards = (rows: readonly Row[]) => rows.toReversed();
    for (const result of [runQuery(script), runQuery(script, backwards)]) assert.deepEqual(linesOf(result.rows), []);
  });
}

test('the shipped value of each setting is in the expected result, those aside that ship an empty list', () => {
  const expected = readFileSync(new URL('samples/expected/AponoSettings.kql', import.meta.url), 'utf8');
  const [settings = {}] = runQuery(
    `${definitions(parserNamed('AponoSettings'), kql.parsers, {})}\nAponoSettings()`,
  ).rows;
  const untested = Object.entries(settings)
    .filter(([name, value]) => !new RegExp(`\\b${name}\\b`).test(expected) && textOf(value) !== '[]')
    .map(([name]) => name);
  assert.ok(Object.keys(settings).length > 10, 'the settings are read');
  assert.deepEqual(untested, []);
});

test('there is no sample without its function', () => {
  const expected = kql.parsers.map((parser) => `${parser.FunctionAlias}.kql`).sort();
  assert.deepEqual(
    readdirSync(SAMPLES_URL)
      .filter((file) => file.endsWith('.kql'))
      .sort(),
    expected,
  );
});

function linesOf(rows: readonly Row[]): string[] {
  return rows.map(
    (row) =>
      `found ${textOf(row['Found'] ?? null)}, wanted ${textOf(row['Wanted'] ?? null)}: ${textOf(row['Line'] ?? null)}`,
  );
}

test('copies that arrive later and the order of rows change nothing', () => {
  const names = ['AponoAccessRequests', 'AponoAccessEvents', 'AponoRequestLifecycle'];
  const scripts = names.map((name) => sampleScript(parserNamed(name), kql.parsers));
  const dice = fc.array(fc.nat({ max: 999 }), { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom(...scripts), dice, (script, numbers) => {
      const arrange = (rows: readonly Row[]) => shuffled(withCopies(rows, numbers), numbers);
      assert.deepEqual(linesOf(runQuery(script, arrange).rows), []);
    }),
    { numRuns: 4 },
  );
});

/** Some of the rows of a table once more, as a repeated delivery brings them; the expected rows are left alone. */
function withCopies(rows: readonly Row[], numbers: readonly number[]): readonly Row[] {
  const later = datetimeOf('2026-11-05T12:00:00Z');
  const copied = rows.filter((row, index) => isDelivered(row) && (numbers[index % numbers.length] ?? 0) % 3 === 0);
  return [...rows, ...copied.map((row) => ({ ...row, SampleArrived: later }))];
}

/** Whether a sample row was delivered by the service: what the recipe sends straight to Azure comes once. */
function isDelivered(row: Row): boolean {
  return textOf(row['Row'] ?? null).includes('"row_id"');
}

function shuffled(rows: readonly Row[], numbers: readonly number[]): readonly Row[] {
  const keyed = rows.map((row, index) => ({
    row,
    key: ((numbers[index % numbers.length] ?? 0) * 7919 + index * 104_729) % 9973,
  }));
  return keyed.toSorted((left, right) => left.key - right.key).map(({ row }) => row);
}

/** Defects that the samples must notice: what a function would be without one of its precautions. */
const DEFECTS: readonly (readonly [name: string, from: string, to: string])[] = [
  ['AponoAccessRequests', 'coalesce(event_time, TimeGenerated)', 'event_time'],
  ['AponoAccessRequests', 'coalesce(is_test, false)', 'is_test'],
  ['AponoAccessRequests', 'where event_id == RichestEventId or isnotempty(resource_id)', 'where true'],
  [
    'AponoAccessRequests',
    'where event_id == RichestEventId or isnotempty(resource_id)',
    'where event_id == RichestEventId',
  ],
  ['AponoAccessRequests', 'by event_key, IntegrationKey, ResourceKey', 'by event_key, ResourceKey'],
  ['AponoAccessRequests', 'access_unit_index, int(null))', 'int(null), int(null))'],
  ['AponoAccessRequests', 'IngestedAt = min(Arrived)', 'IngestedAt = max(Arrived)'],
  ['AponoAccessRequests', 'FirstArrived = min(Arrived)', 'FirstArrived = max(Arrived)'],
  ['AponoAccessRequests', 'arg_max(Preference, *)', 'arg_min(Preference, *)'],
  ['AponoAccessRequests', 'body_form == "json", 30', 'body_form == "json", 3'],
  ['AponoAccessRequests', 'union Direct, Folded', 'union Folded'],
  ['AponoAccessRequests', 'SourceUpn matches regex', 'RequesterUpn matches regex'],
  ['AponoAccessRequests', 'resource_id =~ resource_type_name', 'false'],
  ['AponoAccessRequests', 'array_index_of(truncated_fields, "approvals") >= 0', 'false'],
  ['AponoAccessRequests', 'approvals, ApprovalsTruncated,', 'approvals,'],
  ['AponoAccessEvents', 'min(EventIngestedAt)', 'max(IngestedAt)'],
  ['AponoAccessEvents', 'isnotempty(integration_name), 250)', 'true, 250)'],
  ['AponoAccessEvents', 'make_list_if(Unit, HasUnit, 100)', 'make_list_if(Unit, true, 100)'],
  ['AponoRequestLifecycle', 'dynamic([{}])', 'approvals'],
  ['AponoRequestLifecycle', 'LastGrantedAt > LastExpiredAt', 'false'],
  ['AponoRequestLifecycle', 'datetime(1900-01-01)', 'Moment'],
  ['AponoRequestLifecycle', 'join kind=leftouter Decisions', 'join kind=inner Decisions'],
  ['AponoRequestLifecycle', 'gettype(approval.approver) == "string"', 'false'],
  ['AponoAccessAt', ' or RemovalFailed)', ')'],
  ['AponoAccessAt', 'GrantedAfter < NextExpired', 'true'],
  ['AponoAccessAt', 'GrantedAfter < NextExpired', 'false'],
  ['AponoAccessAt', 'event_time > ExpiredBefore', 'true'],
  ['AponoAccessAt', 'isnull(EndSaid) or EndSaid > Asked', 'true'],
  ['AponoAuditEvents', 'by row_id', 'by row_id, Arrived'],
  ['AponoHeartbeat', 'by instance, TimeGenerated', 'by TimeGenerated'],
  ['vimAuditEventApono', 'and not(is_test)', 'and true'],
];

test('the samples notice a function without one of its precautions', () => {
  for (const [name, from, to] of DEFECTS) {
    const parser = parserNamed(name);
    assert.ok(parser.FunctionQuery.includes(from), `${name} has no longer: ${from}`);
    const defective = { ...parser, FunctionQuery: parser.FunctionQuery.replaceAll(from, to) };
    const rows = runQuery(
      sampleScript(
        defective,
        kql.parsers.map((one) => (one === parser ? defective : one)),
      ),
    ).rows;
    assert.notEqual(rows.length, 0, `${name}: ${from} -> ${to}`);
  }
});

test('an event of very many units is one row whose arrays are capped and whose count is true', () => {
  const shared = {
    TimeGenerated: '2026-11-02T09:00:00.000000Z',
    event_id: 'e',
    event_key: 'k',
    event_action: 'Granted',
    body_form: 'json',
  };
  const rows = Array.from({ length: 300 }, (_, index) => ({
    arrivedAt: '2026-11-02T09:00:05.000000Z',
    row: {
      ...shared,
      row_id: `e-${index}`,
      resource_id: `res-${index}`,
      resource_name: `r${index}`,
      access_unit_index: index,
      access_unit_count: 300,
    },
  }));
  const script = definitions(parserNamed('AponoAccessEvents'), kql.parsers, {
    AponoAccessRequests_CL: [...rows, ...rows.slice(0, 50)],
  });
  const { rows: events } = runQuery(
    `${script}\nAponoAccessEvents() | project UnitCount, Units = array_length(Units), Resources = array_length(Resources)`,
  );
  assert.deepEqual(events, [{ UnitCount: 300, Units: 100, Resources: 250 }]);
});

test('access whose removal failed is not confirmed to have ended, until it expires', () => {
  const step = (id: string, action: string, time: string): Step => ({
    action,
    time: `02T${time}`,
    data: { id, ...(action === 'Granted' ? { revocation_date: seconds('02T10:00') } : {}) },
  });
  const rows = requests(
    step('failed', 'Granted', '09:00'),
    step('failed', 'Failed', '10:00'),
    step('failed, then expired', 'Granted', '09:00'),
    step('failed, then expired', 'Failed', '10:00'),
    step('failed, then expired', 'Expired', '10:30'),
    // That says nothing of the removal.
    step('failed in between', 'Granted', '09:00'),
    step('failed in between', 'Failed', '09:30'),
    step('failed before', 'Failed', '08:00'),
    step('failed before', 'Granted', '09:00'),
  );
  const held = (time: string) =>
    runOnRows(`AponoAccessAt(datetime(${shown(time)}))`, rows, shown('03T00:00'))
      .map((row) => `${row['request_id']} | ${textOf(row['EndsAt'] ?? null)} | ${row['EndIsUnconfirmed']}`)
      .toSorted();
  assert.deepEqual(held('02T10:15'), [
    `failed | ${shown('02T10:00')} | true`,
    `failed, then expired | ${shown('02T10:30')} | false`,
  ]);
  assert.deepEqual(held('02T11:00'), [`failed | ${shown('02T10:00')} | true`]);
  assert.ok(held('02T09:45').every((line) => line.endsWith(' | false')));
});

// ---- ASIM

test('vimAuditEventApono has the parameters of the schema, and every row is within it', () => {
  const parser = parserNamed('vimAuditEventApono');
  assert.deepEqual(Object.fromEntries((parser.FunctionParams ?? []).map(({ Name, Type }) => [Name, Type])), PARAMETERS);
  assert.ok((parser.FunctionParams ?? []).every(({ Default }) => Default !== undefined));
  const types = Object.fromEntries(
    kql.result('vimAuditEventApono()').columns.map((column) => [column.name, column.type]),
  );
  for (const [field, type] of Object.entries(MANDATORY)) assert.equal(types[field], type, field);

  const { rows } = runQuery(`${definitions(parser, kql.parsers)}\nvimAuditEventApono()`);
  assert.ok(rows.length > 20);
  for (const row of rows) {
    const value = (field: string) => textOf(row[field] ?? null);
    for (const field of Object.keys(MANDATORY)) assert.notEqual(value(field), '', field);
    for (const [field, allowed] of Object.entries(ALLOWED))
      assert.ok(allowed.includes(value(field)), `${field} = ${value(field)}`);
    for (const [subject, type] of CONDITIONAL)
      assert.equal(value(type) === '', value(subject) === '', `${subject} and ${type}`);
    for (const [alias, field] of ALIASES) assert.equal(value(alias), value(field), alias);
  }
});
