import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { aponoRuleNames, isMadeBy } from '../../src/sentinel/incidents/filter.ts';
import type { Incident } from '../../src/sentinel/incidents/incident.ts';

const folder = fileURLToPath(new URL('../../deploy/sentinel/Analytic Rules/', import.meta.url));

test('every analytics rule that this product ships is known as one by its query', () => {
  const files = globSync('*.yaml', { cwd: folder });
  assert.ok(files.length > 0);
  for (const file of files) {
    const { id, query } = parse(readFileSync(path.join(folder, file), 'utf8')) as { id: string; query: string };
    assert.deepEqual([...aponoRuleNames([{ name: id, properties: { query } }])], [id.toLowerCase()], file);
  }
});

describe('rules that read what comes from Apono', () => {
  const rule = (name: string, query: unknown) => ({ name, kind: 'Scheduled', properties: { query: query as string } });
  const names = (...queries: readonly unknown[]): string[] => [
    ...aponoRuleNames(queries.map((query, index) => rule(`R${index}`, query))),
  ];

  test('are known by our tables, functions, streams and parsers in their query', () => {
    const queries = [
      'AponoAccessEvents() | where not(is_test)',
      'let x = 1; AponoAccessRequests_CL | take 1',
      'union isfuzzy=true AponoProxyHeartbeat_CL, (datatable(a:string)[])',
      'DCRLogErrors | where InputStreamId has "Custom-AponoAuditLogs_CL"',
      'vimAuditEventApono(starttime=ago(1d))',
      'ASimAuditEventApono(false)',
      "workspace('x').AponoAccessEvents()",
      'DCRLogErrors | where InputStreamId contains "apono"',
    ];
    assert.deepEqual(
      names(...queries),
      queries.map((_, index) => `r${index}`),
    );
  });

  test('are not known by the word Apono alone, a comment, or another name that holds it', () => {
    const queries = [
      'SigninLogs | where AppDisplayName == "Apono"',
      'SigninLogs // AponoAccessEvents() was here',
      'DCRLogErrors | where InputStreamId has "Other"',
      'MyAponoThing_CL | take 1',
      'aponoaccessevents()',
      '',
      null,
      7,
    ];
    assert.deepEqual(names(...queries), []);
    assert.deepEqual(names('let url = "https://x"; AponoAccessEvents() // "'), ['r0']);
  });

  test('make an incident ours, in any spelling of their id', () => {
    const ours = aponoRuleNames([rule('ABC-1', 'AponoAccessEvents()')]);
    const made = (...ids: readonly string[]): Incident => ({
      name: 'x',
      resource: { properties: { relatedAnalyticRuleIds: ids } },
    });
    assert.equal(isMadeBy(made('/x/AlertRules/other', '/subscriptions/y/alertrules/abc-1'), ours), true);
    assert.equal(isMadeBy(made('/x/alertRules/abc-2'), ours), false);
    assert.equal(isMadeBy(made(), ours), false);
    assert.equal(isMadeBy({ name: 'x', resource: {} }, ours), false);
  });
});
