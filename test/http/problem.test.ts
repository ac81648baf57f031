import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problem, quarantined } from '../../src/http/answer.ts';
import { adminCodes, type ProblemCode, problemCodes } from '../../src/http/problem-codes.ts';
import { quarantineCodes } from '../../src/intake/quarantine-codes.ts';

test('every code says what it means and what to do, under a name of its own', () => {
  const meanings = Object.values({ ...problemCodes, ...adminCodes }).map(({ meaning }) => meaning);
  for (const text of meanings) assert.match(text, /^[A-Z].*\.$/);
  const all = [...Object.entries(problemCodes), ...Object.entries(quarantineCodes)];
  assert.equal(new Set(all.map(([code]) => code)).size, all.length);
  for (const [code, { status, title, remedy }] of all) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.ok(status >= 400 && status < 600);
    assert.match(remedy, /^[A-Z].*\.$/, code);
    assert.match(title, /^[A-Z].*[^.]$/, code);
  }
});

test('a problem made without a detail says what to do', () => {
  const codes = { ...problemCodes, ...adminCodes };
  for (const code of Object.keys(codes) as ProblemCode[]) {
    const made = problem(code);
    assert.equal(made.parts.status, codes[code].status);
    assert.ok(made.message.endsWith(codes[code].remedy));
  }
});

test('a code of quarantine that no table has is answered all the same', () => {
  for (const code of ['new_code', 'constructor', '__proto__']) {
    const made = quarantined({ code, detail: 'why', errors: [] });
    assert.equal(made.parts.code, code);
    assert.equal(made.parts.title, 'The body could not be understood');
    assert.deepEqual(made.parts.members, { quarantined: true });
  }
});
