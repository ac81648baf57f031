import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type KqlColumns, kustoService, kustoWorkspace, listOf } from '../../deploy/generate/kusto-service.ts';
import { workspaceTables } from '../sentinel-content/workspace-tables.ts';
import { currentSources, deployFolder, readJson } from './support.ts';

const folder = `${deployFolder}sentinel/`;

interface Solution {
  readonly Name: string;
  readonly Version: string;
  readonly Metadata: string;
  readonly 'Analytic Rules': readonly string[];
  readonly 'Hunting Queries': readonly string[];
  readonly Parsers: readonly string[];
  readonly Workbooks: readonly string[];
}

interface CustomColumn {
  readonly Name: string;
  readonly Type: string;
}

/** As Azure-Sentinel has them in .script/tests/KqlvalidationsTests/CustomTables. */
interface CustomTable {
  readonly Name: string;
  readonly Properties: readonly CustomColumn[];
}

/** As Azure-Sentinel has them in .script/tests/KqlvalidationsTests/CustomFunctions. */
interface CustomFunction {
  readonly FunctionName: string;
  readonly FunctionParameters: readonly (CustomColumn & { readonly IsRequired: boolean })[];
  readonly FunctionResultColumns: readonly CustomColumn[];
}

const solution = readJson<Solution>('sentinel/Data/Solution_Apono.json');
const parts = ['Analytic Rules', 'Hunting Queries', 'Parsers', 'Workbooks'] as const;

describe('the solution', () => {
  it('lists every file of its folders, and none that is not there', () => {
    for (const part of parts) {
      const files = readdirSync(folder + part).map((file) => `${part}/${file}`);
      assert.deepEqual([...solution[part]].sort(), files.sort());
      assert.ok(files.length > 0, part);
    }
    assert.ok(existsSync(folder + solution.Metadata));
  });

  it('has the metadata that Azure-Sentinel asks for', () => {
    const metadata = readJson<Readonly<Record<string, unknown>>>('sentinel/SolutionMetadata.json');
    for (const key of ['publisherId', 'offerId', 'firstPublishDate', 'providers', 'categories', 'support']) {
      assert.ok(metadata[key] !== undefined, key);
    }
    assert.match(String(metadata['firstPublishDate']), /^\d{4}-\d\d-\d\d$/);
  });

  it('has release notes that begin with its version', () => {
    const [, , newest = ''] = readFileSync(`${folder}ReleaseNotes.md`, 'utf8').split('\n');
    assert.match(newest, new RegExp(`^\\| ${solution.Version.replaceAll('.', '\\.')} \\| \\d\\d-\\d\\d-\\d{4} \\| `));
    assert.match(solution.Version, /^3\.\d+\.\d+$/);
  });
});

/** The rules that Azure-Sentinel's own checks hold a contribution to, as far as this package can break them. */
describe("Azure-Sentinel's checks", () => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(folder, path.join(parentPath, name)).replaceAll(path.sep, '/'));
  const textOf = (file: string) => readFileSync(folder + file, 'utf8');
  const { content, streams } = currentSources();

  it('find the product called Microsoft Sentinel, never Sentinel alone or Azure Sentinel', () => {
    // The expression is theirs: .script/SolutionValidations/validMSBranding.ts
    const wrong = /(?<!Microsoft\s)(?<!-)\bSentinel\b/;
    for (const file of files) assert.doesNotMatch(textOf(file), wrong, file);
    for (const template of ['azuredeploy.json', 'sentinel.json', 'createUiDefinition.json']) {
      assert.doesNotMatch(readFileSync(deployFolder + template, 'utf8'), wrong, template);
    }
  });

  it('find nothing but rules below "Analytic Rules", each with Apono in its name', () => {
    const below = files.filter((file) => file.split('/').includes('Analytic Rules'));
    assert.deepEqual(below, content.rules.map(({ file }) => `Analytic Rules/${file}`).sort());
    for (const file of below) assert.match(file, /\/Apono\w+\.yaml$/);
  });

  it('find only ASCII in rules, hunting queries and functions', () => {
    const yaml = files.filter((file) => file.endsWith('.yaml'));
    assert.ok(yaml.length > 40);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is the range of ASCII.
    for (const file of yaml) assert.match(textOf(file), /^[\x00-\x7f]*$/, file);
  });

  it('find one id in one file only', () => {
    const { rules, huntingQueries, parsers } = content;
    const ids = [...rules, ...huntingQueries, ...parsers].map(({ value }) => value.id.toLowerCase());
    assert.equal(new Set(ids).size, ids.length);
  });

  it('find workbooks that name no resource and no template of users', () => {
    for (const { file, value } of content.workbooks) {
      assert.doesNotMatch(JSON.stringify(value), /subscriptions\/[0-9a-f]{8}-/i, file);
      assert.notEqual(value['fromTemplateId'], 'sentinel-UserWorkbook', file);
    }
  });

  it('find an entry for each workbook in WorkbooksMetadata.json, with the fields that are required', () => {
    const entries = readJson<readonly Readonly<Record<string, unknown>>[]>('sentinel/WorkbooksMetadata.json');
    assert.deepEqual(
      entries.map((entry) => entry['templateRelativePath']),
      content.workbooks.map(({ file }) => file),
    );
    for (const entry of entries) {
      for (const key of ['workbookKey', 'logoFileName', 'description', 'version', 'title', 'subtitle', 'provider']) {
        assert.equal(typeof entry[key], 'string', key);
      }
      assert.deepEqual(
        entry['dataTypesDependencies'],
        streams.map(({ table }) => table.name),
      );
      assert.deepEqual(entry['dataConnectorsDependencies'], []);
      const previews = entry['previewImagesFileNames'] as readonly string[];
      assert.ok(previews.every((name) => /(?:Black|White)\d*\.png$/.test(name)));
      assert.ok(previews.some((name) => name.includes('Black')) && previews.some((name) => name.includes('White')));
    }
  });

  it('can analyse every rule and hunting query with CustomTables and CustomFunctions alone', () => {
    const inFolder = <T>(name: string) =>
      files.filter((file) => file.startsWith(`${name}/`)).map((file) => readJson<T>(`sentinel/${file}`));
    const tables = inFolder<CustomTable>('CustomTables');
    const functions = inFolder<CustomFunction>('CustomFunctions');
    assert.deepEqual(tables.map(({ Name }) => Name).sort(), streams.map(({ table }) => table.name).sort());
    assert.deepEqual(
      functions.map(({ FunctionName }) => FunctionName).sort(),
      content.parsers.map(({ value }) => value.FunctionAlias).sort(),
    );
    const columnsOf = (columns: readonly CustomColumn[]): KqlColumns =>
      Object.fromEntries(columns.map(({ Name, Type }) => [Name, Type]));
    const workspace = kustoWorkspace(
      { ...workspaceTables(), ...Object.fromEntries(tables.map((table) => [table.Name, columnsOf(table.Properties)])) },
      // Their validation knows what a function returns, and not how.
      functions.map(({ FunctionName, FunctionParameters, FunctionResultColumns }) => ({
        name: FunctionName,
        parameters: FunctionParameters.map(({ Name, Type, IsRequired }) =>
          IsRequired ? `${Name}:${Type}` : `${Name}:${Type} = ${Type === 'string' ? "''" : `${Type}(null)`}`,
        ).join(', '),
        body: `datatable(${FunctionResultColumns.map(({ Name, Type }) => `${Name}:${Type}`).join(', ')})[]`,
      })),
    );
    for (const { file, value } of [...content.rules, ...content.huntingQueries]) {
      const diagnostics = listOf(kustoService().KustoCode.ParseAndAnalyze(value.query, workspace).GetDiagnostics());
      const errors = diagnostics.filter(({ Severity }) => Severity.toLowerCase() === 'error');
      assert.deepEqual(
        errors.map(({ Code, Message }) => `${Code} ${Message}`),
        [],
        file,
      );
    }
  });
});
