import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { integrationKind } from '../../src/kinds/integration.ts';
import { anyCharacter } from '../support/any-character.ts';
import { documentedIntegrationTemplate, integrationEvent, issues } from './integration-bodies.ts';
import { pick, render, rowsOf } from './support.ts';

const ISSUE = ['issue_index', 'issue_count', 'issue_status', 'issue_message'];
const issuesOf = (given: unknown, data: object = {}) =>
  rowsOf(integrationKind, JSON.stringify(integrationEvent({ ...data, issues: given }))).map((row) => pick(row, ISSUE));
const issue = (index: number, count: number | null, status: string | null, message: string | null) => ({
  issue_index: index,
  issue_count: count,
  issue_status: status,
  issue_message: message,
});
const expected = issues.map(({ status, message }, index) => issue(index, 2, status, message));

describe('rows of an integration event', () => {
  it('are one for each issue, with what the integration is in each', () => {
    assert.deepEqual(issuesOf(issues), expected);
    for (const row of rowsOf(integrationKind, JSON.stringify(integrationEvent()))) {
      assert.deepEqual(pick(row, ['integration_id', 'integration_name', 'integration_type', 'integration_status']), {
        integration_id: 'int-pg',
        integration_name: 'orders-prod',
        integration_type: 'postgresql',
        integration_status: 'Error',
      });
    }
  });

  it('are one where there is no issue', () => {
    assert.deepEqual(issuesOf([], { status: 'Active' }), [issue(0, 0, null, null)]);
    assert.deepEqual(issuesOf('[]'), [issue(0, 0, null, null)]);
  });

  it('are one without a count where nothing was said of issues', () => {
    for (const given of [undefined, null, '', ' ', [null]]) {
      const [row, ...more] = issuesOf(given, { status: 'Active' });
      assert.deepEqual([row?.['issue_count'], more], [null, []]);
    }
  });

  it('are one without a count from Apono’s own template, which asks a list for its status', () => {
    const rows = rowsOf(integrationKind, render(documentedIntegrationTemplate, integrationEvent()));
    assert.deepEqual(
      rows.map((row) => pick(row, ISSUE)),
      [issue(0, null, null, null)],
    );
  });

  it('are of one issue that stands by itself', () => {
    assert.deepEqual(issuesOf(issues[0]), [issue(0, 1, 'Error', issues[0]?.message ?? '')]);
    assert.deepEqual(issuesOf('Connection refused'), [issue(0, 1, null, 'Connection refused')]);
  });

  it('are those of a list that came as JSON text, escaped or not', () => {
    const text = JSON.stringify(issues);
    assert.deepEqual(issuesOf(text), expected);
    const template = documentedIntegrationTemplate.replace(/\[\s*\{ "status.*\]/s, '"{{data.issues}}"');
    assert.match(template, /"issues": "\{\{data\.issues\}\}"/);
    const rows = rowsOf(integrationKind, render(template, integrationEvent({ issues: text })));
    assert.deepEqual(
      rows.map((row) => pick(row, ISSUE)),
      expected,
    );
  });

  it('keep the text of a list that a template mangled, without a count', () => {
    for (const text of ['[object Object],[object Object]', '[{status=Error, message=x}, {status=Warning}]']) {
      assert.deepEqual(issuesOf(text), [issue(0, null, null, text)]);
    }
  });

  it('lose nothing of issues in a form that is not documented', () => {
    assert.deepEqual(issuesOf(['as text', null, { level: 'high', text: 'x' }, { status: 'Error', code: 7 }]), [
      issue(0, 3, null, 'as text'),
      issue(1, 3, null, '{"level":"high","text":"x"}'),
      issue(2, 3, 'Error', '{"status":"Error","code":7}'),
    ]);
    assert.deepEqual(issuesOf('[[1,2],7]'), [issue(0, 2, null, '[1,2]'), issue(1, 2, null, '7')]);
  });

  it('say so where the body template carries fewer issues than there are', () => {
    const body = (beyond: string) =>
      JSON.stringify({ ...integrationEvent({ issues_beyond: beyond }), event_time: '1' });
    const truncated = (beyond: string) => rowsOf(integrationKind, body(beyond)).map((row) => row['truncated_fields']);
    assert.deepEqual(truncated('ErrorPassword expired'), [['issue_count'], ['issue_count']]);
    assert.deepEqual(truncated(''), [null, null]);
  });

  it('are tests by the id of the integration alone', () => {
    const isTest = (data: object) => rowsOf(integrationKind, JSON.stringify(integrationEvent(data)))[0]?.['is_test'];
    assert.equal(isTest({}), false);
    assert.equal(isTest({ id: 'apono-sentinel-test-1' }), true);
    assert.equal(isTest({ name: 'apono-sentinel-test-1' }), false);
  });

  it('property: each issue is one row in its order, and row ids are unique', () => {
    const text = fc.option(fc.string({ unit: anyCharacter }));
    fc.assert(
      fc.property(fc.array(fc.record({ status: text, message: text }), { minLength: 1 }), (given) => {
        const rows = rowsOf(integrationKind, JSON.stringify(integrationEvent({ issues: given })));
        assert.deepEqual(
          rows.map((row) => [row['issue_index'], row['issue_count'], row['issue_status'], row['issue_message']]),
          given.map(({ status, message }, index) => [
            index,
            given.length,
            status?.toWellFormed() ?? null,
            message?.toWellFormed() ?? null,
          ]),
        );
        assert.equal(new Set(rows.map((row) => row['row_id'])).size, given.length);
      }),
    );
  });
});
