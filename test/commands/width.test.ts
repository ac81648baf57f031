import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { run as list } from '../../src/commands/incidents/list.ts';
import { createProgress, openStreamOutput } from '../../src/commands/incidents/output.ts';
import { cutToWidth, renderTable, wrap } from '../../src/commands/text.ts';
import { createFormat } from '../../src/sentinel/incidents/formats.ts';
import { setUpIncidents } from './incidents-fixture.ts';

describe('the width of a text on a terminal', () => {
  test('counts wide characters twice and combining ones not at all', () => {
    const cases: [string, number][] = [
      ['abc', 3],
      ['zoë', 3],
      ['zoe\u0308', 3],
      ['データ', 6],
      ['ｆｕｌｌ', 8],
      ['한글', 4],
      ['🚀', 2],
      ['', 0],
    ];
    for (const [text, width] of cases) assert.equal(stringWidth(text), width, text);
  });

  test('is never more than asked for after a cut or a wrap, and a wrap loses no word', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'デ', '\n', 'ë') });
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 30 }), (whole, width) => {
        const flat = whole.replaceAll('\n', '');
        assert.ok(stringWidth(cutToWidth(flat, width)) <= Math.max(width, stringWidth('')));
        const lines = wrap(whole, width);
        for (const line of lines) assert.ok(stringWidth(line) <= width, JSON.stringify(line));
        assert.equal(lines.join('').replaceAll(' ', ''), whole.replaceAll(/[ \n]/g, ''));
      }),
    );
    assert.deepEqual(wrap('one two\nthree', 7), ['one two', 'three']);
  });

  test('keeps the columns of a table in line', () => {
    assert.equal(
      renderTable(
        ['A', 'B'],
        [
          ['データ', 'x'],
          ['ab', 'y'],
        ],
      ),
      'A       B\nデータ  x\nab      y\n',
    );
  });
});

test('a table can have as many lines as an outbox has records', () => {
  const ids = Array.from({ length: 150_000 }, (_, index) => [index]);
  assert.match(renderTable(['ID'], ids), /^ID\n0\n[\d\n]*\n149999\n$/);
});

describe('on a terminal', () => {
  const terminal = (columns = 80) => {
    const texts: string[] = [];
    return { texts, isTTY: true, columns, write: (text: string) => texts.push(text) };
  };
  const clock = { now: () => 0, setTimer: () => () => undefined };

  test('titles are cut so that a line is a line', async (t) => {
    const { env } = await setUpIncidents(t, 30);
    const stdout = terminal(90);
    const context = { env, stdout, stderr: terminal(), version: '0', onSignal: () => {}, exitNow: () => {} };
    assert.equal(await list(context, { limit: 30 }), 0);
    const lines = stdout.texts.join('').split('\n');
    assert.equal(lines.length, 32);
    for (const line of lines) assert.ok(stringWidth(line) <= 90, line);
    assert.ok(lines.some((line) => line.includes('…')));
  });

  test('CSV holds nothing that steers it', async () => {
    const stdout = terminal();
    const format = createFormat({ format: 'csv', details: [] });
    const resource = { name: 'x', properties: { title: '\u001b[2Jgone\u009b', description: 'a\r\nb' } };
    await openStreamOutput(stdout).write(format.part([{ name: 'x', resource, details: {} }]));
    assert.match(stdout.texts.join(''), /^x,\\u001b\[2Jgone\\u009b,,"a\nb"/);
  });

  test('progress is one line that is gone at the end, and silent where that is asked for', () => {
    const output = terminal(40);
    const progress = createProgress(output, clock, { quiet: false });
    progress.update(1_000, '2026-01-01T00:00:00.1234567Z');
    progress.retry({ reason: 'Azure answered 429\u001b[2J, and so on and on and on', delayMs: 1_500 });
    progress.end();
    assert.ok(
      output.texts.every((text) => text.startsWith('\r') && text.endsWith('\u001b[K') && text.length <= 40 + 4),
    );
    assert.match(output.texts[1] ?? '', /waiting 2 s: Azure answered 429\\u001b/);
    assert.equal(output.texts.at(-1), '\r\u001b[K');
    const quiet = terminal();
    const silent = createProgress(quiet, clock, { quiet: true });
    silent.update(1, null);
    silent.end();
    assert.deepEqual(quiet.texts, []);
  });

  test('progress elsewhere is a line every ten seconds, whatever the clock does', () => {
    const texts: string[] = [];
    let now = 1_000_000;
    const progress = createProgress(
      { write: (text) => texts.push(text) },
      { ...clock, now: () => now },
      { quiet: false },
    );
    const at = (ms: number): number => {
      now = 1_000_000 + ms;
      progress.update(1, null);
      return texts.length;
    };
    assert.deepEqual([0, 9_999, 10_000, 15_000, 20_001, -3_600_000, -3_599_000].map(at), [0, 0, 1, 1, 2, 3, 3]);
    progress.retry({ reason: 'a short wait', delayMs: 1_000 });
    assert.equal(texts.length, 3);
    progress.retry({ reason: 'a long wait', delayMs: 30_000 });
    assert.equal(texts.at(-1), 'waiting 30 s: a long wait\n');
    assert.equal(texts[0], '1 incident, up to the one created -\n');
  });
});
