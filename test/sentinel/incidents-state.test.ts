import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { aponoRuleNames, isMadeBy } from '../../src/sentinel/incidents/filter.ts';
import type { Incident } from '../../src/sentinel/incidents/incident.ts';
import {
  ChangeTracker,
  changedSince,
  type ExportState,
  ExportStateError,
  overlapMs,
  readState,
  selectionKey,
  writeState,
} from '../../src/sentinel/incidents/state.ts';
import { parseFilter } from '../support/azure/odata.ts';

const workspace = { workspaceId: '/subscriptions/X', selection: 'abc' };

function incident(name: string, modifiedMs: number, revision = 0): Incident {
  const lastModifiedTimeUtc = new Date(modifiedMs).toISOString();
  return { name, resource: { name, etag: `"${revision}"`, properties: { lastModifiedTimeUtc } } };
}

describe('the state of an incremental export', () => {
  test('is read as it was written, without regard to the case of the workspace', () => {
    const tracker = new ChangeTracker(null, Date.parse('2026-11-22T12:00:00Z'));
    assert.equal(tracker.isNew(incident('a', Date.parse('2026-11-22T11:59:00Z'))), true);
    const state = tracker.next('/SUBSCRIPTIONS/x', 'abc');
    const read = readState(writeState(state), workspace);
    assert.deepEqual(read, state);
    assert.equal(changedSince(read), 'properties/lastModifiedTimeUtc ge 2026-11-22T11:50:00.000Z');
    assert.equal(changedSince(null), null);
  });

  test('that is none, or of another workspace or selection, is refused rather than overlooked', () => {
    const good = writeState(new ChangeTracker(null, 0).next('/subscriptions/x', 'abc'));
    for (const text of ['', '[]', 'null', '{}', good.replace('"version": 1', '"version": 2'), good.slice(0, 40)]) {
      assert.throws(() => readState(text, workspace), ExportStateError);
    }
    assert.throws(() => readState(good, { ...workspace, workspaceId: '/other' }), /another workspace/);
    assert.throws(() => readState(good, { ...workspace, selection: 'other' }), /other filters/);
    assert.notEqual(selectionKey({ status: ['New'] }), selectionKey({ status: ['Closed'] }));
  });

  test('lets no change fall between two exports, and repeats none, whatever changes while one runs', () => {
    // Time in minutes. Each change has a moment; export n sees what the list holds when it comes to that incident.
    const change = fc.record({ name: fc.constantFrom('a', 'b', 'c'), at: fc.integer({ min: 0, max: 100 }) });
    const run = fc.record({ start: fc.integer({ min: 0, max: 100 }), length: fc.integer({ min: 0, max: 30 }) });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 12 }),
        fc.array(run, { minLength: 1, maxLength: 5 }),
        (changes, runs) => {
          const sorted = changes.toSorted((x, y) => x.at - y.at);
          const seen: string[] = [];
          let state: ExportState | null = null;
          let free = 0;
          for (const { start, length } of [...runs.toSorted((x, y) => x.start - y.start), { start: 200, length: 0 }]) {
            const begin = Math.max(free, start);
            const tracker = new ChangeTracker(state, begin * 60_000);
            const filter = parseFilter(
              changedSince(state) ?? "contains(properties/title,'') or not (properties/title eq 'x')",
            );
            // 'a' is met at the beginning of the run, 'c' at its end.
            for (const [index, name] of ['a', 'b', 'c'].entries()) {
              const metAt = begin + (length * index) / 2;
              const last = sorted.findLastIndex((one) => one.name === name && one.at <= metAt);
              const found = last === -1 ? null : incident(name, (sorted[last]?.at ?? 0) * 60_000, last);
              if (found !== null && filter(found.resource) && tracker.isNew(found)) seen.push(`${name}${last}`);
            }
            state = readState(writeState(tracker.next('/subscriptions/x', 'abc')), workspace);
            free = begin + length;
          }
          assert.equal(new Set(seen).size, seen.length, 'a change was exported twice');
          for (const name of ['a', 'b', 'c']) {
            const last = sorted.findLastIndex((one) => one.name === name);
            assert.ok(last === -1 || seen.includes(`${name}${last}`), `the last change of ${name} was not exported`);
          }
        },
      ),
    );
    assert.ok(overlapMs > 0);
  });

  test('holds only what changed lately, however many incidents there are', () => {
    const start = Date.parse('2026-11-22T12:00:00Z');
    const tracker = new ChangeTracker(null, start);
    for (let index = 0; index < 1_000; index += 1) tracker.isNew(incident(`i${index}`, start - index * 60_000));
    assert.equal(tracker.next('/w', 's').exported.size, overlapMs / 60_000 + 1);
  });
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
