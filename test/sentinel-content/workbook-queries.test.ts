import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createKql, describeDiagnostic } from './kql.ts';
import { changed, parametersOf, queriesOf, readWorkbook, type Workbook } from './workbook.ts';
import { chosenHostile, opened } from './workbook-choices.ts';
import { columnReferences } from './workbook-columns.ts';
import { type Choices, withChoices } from './workbook-values.ts';

const kql = createKql();
const workbook = readWorkbook();
const parameters = parametersOf(workbook);
const queries = queriesOf(workbook);

function diagnostics(query: string, chosen: Choices): string[] {
  return kql.diagnose(withChoices(query, chosen, parameters)).map(describeDiagnostic);
}

const columnsOfQueries = new Map<string, readonly string[]>();

/** The columns that the query returns. An analysis takes some 70 ms. */
function columnsOf(name: string, query: string): readonly string[] {
  const cached = columnsOfQueries.get(query);
  if (cached !== undefined) return cached;
  const { columns, isOpen } = kql.result(withChoices(query, opened, parameters));
  assert.equal(isOpen, false, `${name}: its columns cannot be known`);
  assert.notEqual(columns.length, 0, `${name} returns no table`);
  const names = columns.map((column) => column.name);
  columnsOfQueries.set(query, names);
  return names;
}

/** The columns that an item refers to and its query does not return. */
function unknownColumns(candidate: Workbook): string[] {
  return queriesOf(candidate).flatMap(({ name, query, content }) => {
    if (content === null) return [];
    const known = columnsOf(name, query);
    return columnReferences(content)
      .filter(({ column }) => !known.includes(column))
      .map(({ place, column }) => `${name}: ${place} names ${column}`);
  });
}

describe('the queries of the workbook', () => {
  it('are right, whatever is typed and selected', () => {
    assert.notEqual(queries.length, 0);
    for (const { name, query } of queries) assert.deepEqual(diagnostics(query, chosenHostile), [], name);
  });

  it('would not be, with a column that there is not', () => {
    const broken = queriesOf(changed(workbook, 'resource_name', 'resource_nam')).filter(({ query }) =>
      query.includes('resource_nam,'),
    );
    assert.notEqual(broken.length, 0);
    for (const { name, query } of broken) assert.match(diagnostics(query, opened).join('\n'), /resource_nam\b/, name);
  });

  it('return the columns that the settings refer to', () => {
    assert.deepEqual(unknownColumns(workbook), []);
  });

  it('have no name that is a part of another where a column is formatted, since the settings match by pattern too', () => {
    for (const { name, query, content } of queries) {
      const formatted = (content?.gridSettings?.formatters ?? []).map(({ columnMatch }) => columnMatch);
      const clashes = formatted.flatMap((column) =>
        columnsOf(name, query).filter((other) => other !== column && other.includes(column)),
      );
      assert.deepEqual(clashes, [], name);
    }
  });

  it('would not, with a setting that names another', () => {
    assert.deepEqual(unknownColumns(changed(workbook, '"columnMatch":"Figure"', '"columnMatch":"Figures"')), [
      'overview - figures: tileSettings names Figures',
      'pipeline - throughput: tileSettings names Figures',
    ]);
    assert.notDeepEqual(unknownColumns(changed(workbook, '"xAxis":"event_time"', '"xAxis":"event_tim"')), []);
    assert.notDeepEqual(unknownColumns(changed(workbook, '"columnId":"Holder"', '"columnId":"Owner"')), []);
  });

  it('leave test events out unless they are asked for', () => {
    const functions =
      /\bApono(?:AccessRequests|AccessEvents|RequestLifecycle|AccessAt|AuditEvents|AnomalyEvents|IntegrationEvents)\(/g;
    for (const { name, query, content } of queries) {
      // A drop down offers what there is; the steps are those of one request that was chosen above.
      if (content === null || name === 'requests - steps') continue;
      const reads = query.match(functions)?.length ?? 0;
      const filters = query.match(/is_test != true/g)?.length ?? 0;
      assert.equal(filters, reads, name);
    }
  });

  it('names every column of a grid that is shown in words of its own', () => {
    for (const { name, query, content } of queries) {
      const { formatters = [], labelSettings = [] } = content?.gridSettings ?? {};
      if (labelSettings.length === 0) continue;
      const hidden = formatters.filter(({ formatter }) => formatter === 5).map(({ columnMatch }) => columnMatch);
      const shown = columnsOf(name, query);
      const labelled = labelSettings.map(({ columnId }) => columnId);
      assert.deepEqual(labelled.toSorted(), shown.filter((column) => !hidden.includes(column)).toSorted(), name);
    }
  });
});
