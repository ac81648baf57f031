import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readRules } from './detections.ts';
import { createKql, describeDiagnostic, type KqlColumn } from './kql.ts';
import { runQuery } from './run/run.ts';
import type { Row } from './run/table.ts';

const SAMPLES_URL = new URL('../../deploy/sentinel/Sample%20Data/Rules/', import.meta.url);
const RULE = '// ---- The rule\n';
const RESULT = '// ---- What comes out';

const kql = createKql();
const rules = readRules();

/** A let-bound function of the rule's query, as the sample holds it: rows outside of a table have no ingestion_time(). */
function ruleBlock(query: string): string {
  const lines = query.trimEnd().replaceAll('ingestion_time()', 'SampleArrived').split('\n');
  return `${RULE}let Rule = () {\n${lines.map((line) => (line === '' ? '' : `  ${line}`)).join('\n')}\n};\n`;
}

const backwards = (rows: readonly Row[]): readonly Row[] => rows.toReversed();

const typesOf = (columns: readonly KqlColumn[]): ReadonlyMap<string, string> =>
  new Map(columns.map(({ name, type }) => [name, type]));

/** Of the functions of deploy/sentinel/Parsers, each analysed once. */
const realColumns = new Map<string, ReadonlyMap<string, string>>();

describe('samples of the analytics rules', () => {
  const files = readdirSync(SAMPLES_URL).sort();

  it('are there for every rule', () => {
    assert.deepEqual(
      files,
      rules.map(({ file }) => file.replace(/\.yaml$/, '.kql')),
    );
  });

  it('would show that a rule looks past the end of its window', () => {
    for (const file of ['AponoAccessRequestCreated.kql', 'AponoRejectedThenGranted.kql']) {
      const endless = readFileSync(new URL(file, SAMPLES_URL), 'utf8').replace(' and IngestedAt <= now()', '');
      assert.notDeepEqual(runQuery(endless).rows, [], file);
    }
  });

  for (const file of files) {
    describe(file, () => {
      const url = new URL(file, SAMPLES_URL);
      const rule = rules.find((one) => one.file === file.replace(/\.kql$/, '.yaml'));

      it('holds the query of its rule as it is (UPDATE_DOCS=1 makes it so)', () => {
        assert.ok(rule !== undefined, 'there is no such rule');
        const text = readFileSync(url, 'utf8');
        const [before, after] = [text.indexOf(RULE), text.indexOf(RESULT)];
        assert.ok(before !== -1 && after > before);
        const current = text.slice(0, before) + ruleBlock(rule.query) + text.slice(after);
        if (process.env['UPDATE_DOCS'] !== undefined) writeFileSync(url, current);
        assert.equal(readFileSync(url, 'utf8'), current);
        assert.ok(text.includes(`"${rule.name}"`));
      });

      it('is KQL without a diagnostic, also where nothing of ours is deployed', () => {
        const text = readFileSync(url, 'utf8');
        assert.deepEqual(kql.diagnose(text).map(describeDiagnostic), []);
        assert.match(text, /^set query_now = datetime\(2026-[-0-9T:]+Z\);$/m);
        for (const { FunctionAlias: name } of kql.parsers.filter((parser) =>
          text.includes(`${parser.FunctionAlias}()`),
        ))
          assert.ok(text.includes(`let ${name} = () {`), `${name} is read from the workspace`);
      });

      it('comes out as it was worked out by hand, in whatever order the rows lie', () => {
        const text = readFileSync(url, 'utf8');
        for (const { rows } of [runQuery(text), runQuery(text, backwards)]) assert.deepEqual(rows, []);
      });

      it('has sample rows with columns as the functions have them', () => {
        const [sample = ''] = readFileSync(url, 'utf8').split(RULE);
        for (const [, name = ''] of sample.matchAll(/^let (Apono\w+) = \(\) \{$/gm)) {
          const real = realColumns.get(name) ?? typesOf(kql.result(`${name}()`).columns);
          realColumns.set(name, real);
          const { columns } = kql.result(`${sample}${name}()`);
          assert.notEqual(columns.length, 0);
          for (const column of columns) assert.equal(column.type, real.get(column.name), `${name}: ${column.name}`);
        }
      });
    });
  }
});
