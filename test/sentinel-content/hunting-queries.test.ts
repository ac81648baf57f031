import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attackProblems } from './attack.ts';
import { type HuntingQuery, readHuntingQueries, withoutComments } from './detections.ts';
import { createKql, describeDiagnostic } from './kql.ts';
import { workspaceTables } from './workspace-tables.ts';

const kql = createKql();

describe('hunting queries', () => {
  it('have a diagnostic as soon as a column is misspelt', () => {
    for (const { file, query } of readHuntingQueries().slice(0, 3)) {
      const broken = query.replaceAll(/\b(event_time|TimeGenerated|GrantedAt)\b/g, 'no_such_time');
      assert.match(kql.diagnose(broken).map(describeDiagnostic).join('\n'), /no_such_time/, file);
    }
  });

  for (const hunting of readHuntingQueries()) describe(hunting.file, () => checked(hunting));
});

function checked(hunting: HuntingQuery): void {
  const { query } = hunting;
  const code = withoutComments(query);

  it('is KQL without a diagnostic', () => {
    assert.deepEqual(kql.diagnose(query).map(describeDiagnostic), []);
  });

  it('reads the functions, leaves test events out, and returns known columns', () => {
    for (const table of Object.keys(workspaceTables())) assert.doesNotMatch(code, new RegExp(`\\b${table}\\b`));
    const reads = code.match(/\bApono(?!Settings|Heartbeat)\w+\(\)/g)?.length ?? 0;
    assert.equal(code.match(/\bnot\(coalesce\(is_test, false\)\)/g)?.length ?? 0, reads);
    const { columns, isOpen } = kql.result(query);
    assert.equal(isOpen, false);
    const types = new Map(columns.map(({ name, type }) => [name, type]));
    for (const { columnName } of (hunting.entityMappings ?? []).flatMap(({ fieldMappings }) => fieldMappings))
      assert.equal(types.get(columnName), 'string', columnName);
  });

  it('has the form of Azure-Sentinel', () => {
    assert.match(hunting.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.match(hunting.name, /^Apono - .{1,90}$/);
    assert.match(hunting.version, /^\d+\.\d+\.\d+$/);
    assert.ok(hunting.description.length <= 5000);
    assert.ok(query.length <= 10_000);
    assert.deepEqual(hunting.requiredDataConnectors, []);
    assert.notEqual(hunting.tactics.length, 0);
    assert.deepEqual(attackProblems(hunting.tactics, hunting.relevantTechniques), []);
  });
}
