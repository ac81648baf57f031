import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FUNCTION_COLUMNS } from './function-columns.ts';
import { createKql, describeDiagnostic } from './kql.ts';
import { type Parser, parameterList } from './parsers.ts';
import { ownTables, workspaceTables } from './workspace-tables.ts';

const kql = createKql();

/** The function as it would be written in a query, so that its parameters have their types. */
function asQuery(parser: Parser): string {
  return `let Checked = (${parameterList(parser)}) {\n${parser.FunctionQuery}\n};\nChecked()`;
}

test('there is a function for each documented name, and no other', () => {
  assert.deepEqual(kql.parsers.map((parser) => parser.FunctionAlias).sort(), Object.keys(FUNCTION_COLUMNS).sort());
});

for (const parser of kql.parsers) {
  const name = parser.FunctionAlias;

  test(`${name}: Microsoft's language service finds nothing wrong`, () => {
    assert.deepEqual(kql.diagnose(asQuery(parser)).map(describeDiagnostic), []);
  });

  test(`${name}: returns the documented columns (project of its YAML, function-columns.ts)`, () => {
    const { columns, isOpen } = kql.result(asQuery(parser));
    assert.equal(isOpen, false, 'columns that cannot be known cannot be checked');
    assert.deepEqual(
      columns.map((column) => `${column.name}:${column.type}`),
      FUNCTION_COLUMNS[name],
    );
  });

  test(`${name}: the file is in the solution's form, and the function says what it is`, () => {
    assert.equal(parser.file, `${name}.yaml`);
    assert.equal(parser.FunctionName, name);
    assert.equal(parser.Category, 'Microsoft Sentinel Parser');
    assert.match(parser.id, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.match(parser.Function.Version, /^\d+\.\d+\.\d+$/);
    assert.ok(parser.FunctionQuery.startsWith(`// ${name}(`), 'begins with a comment that names it');
  });
}

test('no two functions have one id', () => {
  assert.equal(new Set(kql.parsers.map((parser) => parser.id)).size, kql.parsers.length);
});

test('a column that a function reads and the table has not is found', () => {
  const renamed: string[] = [];
  for (const table of ownTables()) {
    const { event_time: _time, version: _version, ...others } = workspaceTables()[table.name] ?? {};
    const readers = kql.parsers.filter((parser) => parser.FunctionQuery.includes(table.name));
    for (const parser of readers) {
      if (parser.FunctionAlias.includes('ASim') || parser.FunctionAlias.startsWith('vim')) continue;
      const found = kql.diagnose(asQuery(parser), { tables: { [table.name]: others } });
      assert.ok(
        found.some(({ code, text }) => code === 'KS142' && (text === 'event_time' || text === 'version')),
        `${parser.FunctionAlias} without event_time or version in ${table.name}`,
      );
      renamed.push(parser.FunctionAlias);
    }
  }
  assert.ok(renamed.length >= 5);
});

test('a misspelt column, a wrong type and an unknown function are found, with their place', () => {
  const [column] = kql.diagnose('AponoAccessEvents()\n| where event_acton == "Granted"');
  assert.deepEqual(
    [column?.severity, column?.code, column?.line, column?.column, column?.text],
    ['error', 'KS142', 2, 9, 'event_acton'],
  );
  assert.equal(kql.diagnose('AponoAccessEvents() | where UnitCount > "3"').length, 1);
  assert.equal(kql.diagnose('AponoAccessEvent() | where true').length, 1);
  assert.equal(kql.diagnose('Missing_CL | take 1').length, 1);
});
