import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareRule, targetTable } from '../../src/azure/compare-columns.ts';
import {
  type DataCollectionRule,
  type DataFlow,
  type LogTable,
  type NamedType,
  readDataCollectionRule,
  readLogTable,
} from '../../src/azure/resource-manager.ts';
import type { TableSchema } from '../../src/sentinel/table.ts';

const stream = 'Custom-Things_CL';
const schema: TableSchema = {
  name: 'Things_CL',
  description: '',
  columns: [
    { name: 'TimeGenerated', type: 'datetime', description: '' },
    { name: 'title', type: 'string', description: '' },
    { name: 'count', type: 'long', description: '' },
    { name: 'details', type: 'dynamic', description: '' },
  ],
};
const tableColumns: readonly NamedType[] = [
  { name: 'TimeGenerated', type: 'dateTime' },
  { name: 'title', type: 'string' },
  { name: 'count', type: 'long' },
  { name: 'details', type: 'dynamic' },
];
const flow: DataFlow = { streams: [stream], destinations: ['sentinel'], transformKql: 'source', outputStream: stream };
const table: LogTable = { name: 'Things_CL', columns: tableColumns };
const workspace = '/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w';

function rule(
  flows: readonly DataFlow[] = [flow],
  declared: readonly NamedType[] = schema.columns,
): DataCollectionRule {
  return {
    immutableId: 'dcr-1',
    streamDeclarations: { [stream]: declared },
    dataFlows: [...flows],
    workspaces: { sentinel: workspace },
  };
}

function problemsOf(changed: DataCollectionRule, changedTable: LogTable | null = table): string[] {
  const problems = compareRule({ rule: changed, stream, schema, table: changedTable });
  return Array.from(problems, ({ level, message }) => `${level}: ${message}`);
}

function assertOne(problems: readonly string[], pattern: RegExp): void {
  assert.equal(problems.length, 1, problems.join('\n'));
  assert.match(problems[0] ?? '', pattern);
}

describe('comparing a rule with our columns', () => {
  test('a rule that fits has no problem, with or without its table', () => {
    assert.deepEqual(problemsOf(rule()), []);
    assert.deepEqual(problemsOf(rule(), null), []);
    for (const transformKql of [null, 'source', ' source '])
      assert.deepEqual(problemsOf(rule([{ ...flow, transformKql }])), []);
  });

  test('an undeclared stream names those that are declared', () => {
    const other = { ...rule(), streamDeclarations: { 'Custom-Other_CL': [] } };
    assertOne(problemsOf(other), /^error: The rule declares no stream Custom-Things_CL.*Custom-Other_CL/);
  });

  test('an undeclared column is an error, a column of another type too', () => {
    assertOne(
      problemsOf(rule([flow], schema.columns.slice(0, 3))),
      /^error: .* does not declare details: Azure drops undeclared columns/,
    );
    const declared = schema.columns.map(({ name, type }) => ({ name, type: name === 'details' ? 'string' : type }));
    const problems = problemsOf(rule([flow], declared));
    assert.match(problems[0] ?? '', /^error: .*declares details as string.*dynamic/);
    assert.match(problems[1] ?? '', /^error: Things_CL.details is dynamic.*string/);
  });

  test('a wider number is no problem, a narrower one is', () => {
    const column = (type: string) =>
      schema.columns.map((one) => (one.name === 'count' ? { name: 'count', type } : one));
    const wide: TableSchema = {
      ...schema,
      columns: schema.columns.map((one) => (one.name === 'count' ? { ...one, type: 'int' } : one)),
    };
    assert.deepEqual([...compareRule({ rule: rule(), stream, schema: wide, table })], []);
    assert.match(problemsOf(rule([flow], column('int')))[0] ?? '', /^error: .*declares count as int.*long/);
  });

  test('a column that the table lacks is an error, whatever the transformation', () => {
    const small = { ...table, columns: tableColumns.slice(0, 3) };
    assertOne(problemsOf(rule(), small), /^error: The table Things_CL has no column details/);
    const transformed = problemsOf(rule([{ ...flow, transformKql: 'source | project-away details' }]), small);
    assert.match(
      transformed.join('\n'),
      /^warning: .* is not checked here: .*details\nerror: The table Things_CL has no/,
    );
  });

  test('a stream that no flow takes arrives nowhere', () => {
    assertOne(
      problemsOf(rule([{ ...flow, streams: ['Custom-Other_CL'] }])),
      /^error: No data flow of the rule takes Custom-Things_CL/,
    );
  });

  test('another table than ours is a warning, and where it goes is told', () => {
    const other = rule([{ ...flow, outputStream: 'Custom-Elsewhere_CL' }]);
    assertOne(problemsOf(other), /^warning: .*flows into Elsewhere_CL.*Things_CL/);
    const elsewhere = { workspaceResourceId: workspace, table: 'Elsewhere_CL' };
    assert.deepEqual(targetTable(other, stream, schema.name), elsewhere);
    const both = rule([...other.dataFlows, { ...flow, destinations: ['gone'] }, flow]);
    assert.deepEqual(targetTable(both, stream, schema.name), { ...elsewhere, table: schema.name });
    assert.equal(targetTable(rule([{ ...flow, destinations: ['gone'] }]), stream, schema.name), undefined);
  });

  test('a transformation is not read: one warning has its beginning, and types of the table are not compared', () => {
    const transformKql = `source\n| extend title = ${'x'.repeat(300)}`;
    const expected = /^warning: The transformation of .* is not checked here: source \| extend title = x{100,}$/;
    assertOne(problemsOf(rule([{ ...flow, transformKql }])), expected);
    assert.ok((problemsOf(rule([{ ...flow, transformKql }]))[0]?.length ?? 0) < 300);
    const other = tableColumns.map((one) => (one.name === 'title' ? { name: 'title', type: 'dynamic' } : one));
    assertOne(problemsOf(rule(), { ...table, columns: other }), /^error: Things_CL.title is dynamic.*string/);
    assertOne(problemsOf(rule([{ ...flow, transformKql }]), { ...table, columns: other }), expected);
  });
});

test('what is no rule or table is not taken for one', () => {
  for (const value of [null, [], 'x', {}, { properties: null }, { properties: [] }]) {
    assert.equal(readDataCollectionRule(value), null);
    assert.equal(readLogTable(value), null);
  }
  const odd = readDataCollectionRule({
    properties: { streamDeclarations: { [stream]: { columns: [null, { name: 1 }] } }, dataFlows: 'x' },
  });
  assert.deepEqual(odd?.streamDeclarations, { [stream]: [] });
  assert.deepEqual(odd?.dataFlows, []);
});
