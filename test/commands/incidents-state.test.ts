import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  changedSince,
  type ExportState,
  loadState,
  overlapMs,
  readState,
  saveState,
  selectionKey,
  trackChanges,
  writeState,
} from '../../src/commands/incidents/state.ts';
import type { Incident } from '../../src/sentinel/incidents/incident.ts';
import { parseFilter } from '../support/azure/odata.ts';

const workspace = { workspaceId: '/subscriptions/X', selection: 'abc' };

function incident(name: string, modifiedMs: number, revision = 0): Incident {
  const lastModifiedTimeUtc = new Date(modifiedMs).toISOString();
  return { name, resource: { name, etag: `"${revision}"`, properties: { lastModifiedTimeUtc } } };
}

describe('the state of an incremental export', () => {
  test('is read as it was written, without regard to the case of the workspace', () => {
    const tracker = trackChanges(null, Date.parse('2026-11-22T12:00:00Z'));
    assert.equal(tracker.isNew(incident('a', Date.parse('2026-11-22T11:59:00Z'))), true);
    const state = tracker.next({ workspaceId: '/SUBSCRIPTIONS/x', selection: 'abc' });
    const read = readState(writeState(state));
    assert.deepEqual(read, state);
    assert.equal(changedSince(read), 'properties/lastModifiedTimeUtc ge 2026-11-22T11:50:00.000Z');
    assert.equal(changedSince(null), null);
  });

  test('that is none, or of another workspace or selection, is refused rather than overlooked', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-state-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'state.json');
    assert.equal(await loadState(file, workspace), null, 'the first export');
    const good = writeState(trackChanges(null, 0).next(workspace));
    for (const text of ['', '[]', 'null', '{}', good.replace('"version": 1', '"version": 2'), good.slice(0, 40)]) {
      writeFileSync(file, text);
      await assert.rejects(
        loadState(file, workspace),
        /^CommandError: incremental_state_unusable: .* is not the state/,
      );
    }
    writeFileSync(file, good);
    assert.equal((await loadState(file, workspace))?.selection, 'abc');
    await assert.rejects(loadState(file, { ...workspace, workspaceId: '/other' }), /another workspace/);
    await assert.rejects(loadState(file, { ...workspace, selection: 'other' }), /other filters/);
    assert.notEqual(selectionKey({ status: ['New'] }), selectionKey({ status: ['Closed'] }));
  });

  test('is written through a link, and leaves no other file', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-state-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const [real, link] = [path.join(folder, 'real.json'), path.join(folder, 'link.json')];
    writeFileSync(real, '');
    symlinkSync(real, link);
    const state = trackChanges(null, 0).next(workspace);
    await saveState(link, state);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal(readFileSync(real, 'utf8'), writeState(state));
    assert.deepEqual(readdirSync(folder).sort(), ['link.json', 'real.json']);
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
            const tracker = trackChanges(state, begin * 60_000);
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
            state = readState(writeState(tracker.next(workspace)));
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
    const tracker = trackChanges(null, start);
    for (let index = 0; index < 1_000; index += 1) tracker.isNew(incident(`i${index}`, start - index * 60_000));
    assert.equal(tracker.next({ workspaceId: '/w', selection: 's' }).exported.size, overlapMs / 60_000 + 1);
  });
});
