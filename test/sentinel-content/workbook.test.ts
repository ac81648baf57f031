import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { anyCharacter } from '../support/any-character.ts';
import { createKql, describeDiagnostic } from './kql.ts';
import { changed, itemsOf, parametersOf, queriesOf, readWorkbook, referencesIn } from './workbook.ts';
import { base64, opened } from './workbook-choices.ts';
import { workbookSchema } from './workbook-schema.ts';
import { type Choices, withChoices } from './workbook-values.ts';

const kql = createKql();
const workbook = readWorkbook();
const parameters = parametersOf(workbook);
const queries = queriesOf(workbook);
const ajv = new Ajv2020({ strict: true, strictTypes: false, allowUnionTypes: true, allErrors: true });
ajv.addFormat('regex', { type: 'string', validate: isRegex });
const fitsSchema = ajv.compile(workbookSchema);

function isRegex(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}

function schemaProblems(candidate: unknown): string[] {
  fitsSchema(candidate);
  return (fitsSchema.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
}

function diagnostics(query: string, chosen: Choices): string[] {
  return kql.diagnose(withChoices(query, chosen, parameters)).map(describeDiagnostic);
}

describe('the form of the workbook', () => {
  it('is what workbooks take', () => {
    assert.deepEqual(schemaProblems(workbook), []);
  });

  for (const [what, from, to] of [
    ['a misspelt setting', '"labelSettings"', '"labelSetings"'],
    ['a visualization that there is not', '"barchart"', '"bar"'],
    ['a formatter that there is not', '"formatter":18', '"formatter":180'],
    ['a threshold without an operator', '"operator":"Default",', ''],
    ['a query without a word for an empty result', '"noDataMessage":', '"noMessage":'],
    ['a query of another workspace', '["{Workspace}"]', '["{Subscription}"]'],
    ['another version', 'Notebook/1.0', 'Notebook/2.0'],
  ] as const) {
    it(`would not be, with ${what}`, () => {
      assert.notDeepEqual(schemaProblems(changed(workbook, from, to)), []);
    });
  }

  it('gives each item, parameter and tab a name and an id of its own', () => {
    const items = itemsOf(workbook);
    const ids = items.flatMap((item) => (item.type === 11 ? item.content.links : [])).map((link) => link.subTarget);
    for (const names of [
      items.map(({ name }) => name),
      parameters.map(({ id }) => id),
      parameters.map(({ name }) => name),
      ids,
    ]) {
      assert.notEqual(names.length, 0);
      assert.deepEqual([...new Set(names)], names);
    }
  });

  it('has a group behind each tab, and a tab before each group', () => {
    const tabs = itemsOf(workbook).flatMap((item) => (item.type === 11 ? item.content.links : []));
    const groups = workbook.items.flatMap((item) => (item.type === 12 ? [item.conditionalVisibility] : []));
    assert.deepEqual(
      groups.map((visibility) => `${visibility?.parameterName} ${visibility?.value}`),
      tabs.map(({ cellValue, subTarget }) => `${cellValue} ${subTarget}`),
    );
  });

  it('ends each list of thresholds with what holds otherwise', () => {
    const grids = [...JSON.stringify(workbook).matchAll(/"thresholdsGrid":(\[.*?\])/g)];
    assert.notEqual(grids.length, 0);
    for (const [, grid = '[]'] of grids) {
      const operators = (JSON.parse(grid) as { operator: string }[]).map(({ operator }) => operator);
      assert.equal(operators.indexOf('Default'), operators.length - 1);
    }
  });
});

describe('the parameters of the workbook', () => {
  it('are declared before they are used', () => {
    const declared = new Set<string>();
    for (const item of itemsOf(workbook)) {
      if (item.type === 9) for (const parameter of item.content.parameters) declared.add(parameter.name);
      if (item.type === 11) for (const link of item.content.links) declared.add(link.cellValue);
      const own = item.type === 12 ? { ...item, content: item.content.title } : item;
      for (const { name, text } of referencesIn(JSON.stringify(own))) {
        assert.ok(declared.has(name), `${item.name} uses ${text}`);
      }
      if (item.type === 3 && item.content.exportParameterName !== undefined)
        declared.add(item.content.exportParameterName);
    }
  });

  it('are put into queries so that typed text stays text', () => {
    const typed = ['Requester', 'Moment', 'SelectedPerson', 'SelectedRequest'];
    const used = queries.flatMap(({ query }) => referencesIn(query));
    for (const { name, text } of used.filter((reference) => typed.includes(reference.name))) {
      assert.equal(text, `{${name}:escapejson}`);
    }
    for (const name of typed)
      assert.ok(
        used.some((reference) => reference.name === name),
        `${name} is not used`,
      );
  });

  it('leave a query whole whatever is typed', () => {
    const query = 'let Requester = "{Requester:escapejson}"; print Requester';
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (Requester) => {
        assert.deepEqual(diagnostics(query, { ...opened, Requester }), []);
      }),
    );
  });

  it('leave a query whole whatever an integration is called, and choose it by that name', () => {
    const [query = ''] = queries.flatMap(({ query: text }) => text.match(/let Chosen = [^;]*;/) ?? []);
    fc.assert(
      fc.property(fc.array(fc.string({ unit: anyCharacter }), { maxLength: 3 }), (names) => {
        const Integration = names.map(base64);
        const text = withChoices(query, { ...opened, Integration }, parameters);
        assert.ok(text.includes(`split("${Integration.join(',')}", ",")`), text);
        assert.deepEqual(diagnostics(`${query} print Chosen`, { ...opened, Integration }), []);
      }),
      { numRuns: 30 },
    );
    const [list] = parameters.filter(({ name }) => name === 'Integration');
    assert.match(list?.query ?? '', /value = base64_encode_tostring\(integration_name\)/);
    assert.ok(
      queries
        .filter(({ query: text }) => text.includes('{Integration}'))
        .every(({ query: text }) => text.includes(query)),
    );
  });

  it('would break a query if they were not escaped', () => {
    assert.notDeepEqual(
      diagnostics('let Requester = "{Requester}"; print Requester', { ...opened, Requester: '"' }),
      [],
    );
  });
});
