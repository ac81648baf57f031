import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fitDynamic, fitText, jsonBytes, MAX_FIELD_BYTES } from '../../src/sentinel/row.ts';

test('text of exactly 64 KB stays, one character more is cut on a character', () => {
  const full = 'a'.repeat(MAX_FIELD_BYTES);
  assert.deepEqual(fitText(full), { value: full, truncated: false });
  assert.deepEqual(fitText(`${full}b`), { value: full, truncated: true });
  assert.deepEqual(fitText(`${'a'.repeat(MAX_FIELD_BYTES - 1)}é`), {
    value: 'a'.repeat(MAX_FIELD_BYTES - 1),
    truncated: true,
  });
  assert.deepEqual(fitText(`${'a'.repeat(MAX_FIELD_BYTES - 2)}😀`), {
    value: 'a'.repeat(MAX_FIELD_BYTES - 2),
    truncated: true,
  });
});

test('property: cut text is the longest beginning of whole characters that fits', () => {
  const long = fc
    .tuple(fc.string({ unit: 'grapheme', minLength: 1 }), fc.integer({ min: 1, max: 30_000 }))
    .map(([unit, times]) => unit.repeat(Math.ceil(times / unit.length) * 3));
  fc.assert(
    fc.property(long, (text) => {
      const { value, truncated } = fitText(text);
      assert.ok(text.toWellFormed().startsWith(value));
      assert.ok(Buffer.byteLength(value) <= MAX_FIELD_BYTES);
      assert.ok(value.isWellFormed());
      assert.equal(truncated, value !== text.toWellFormed());
      const next = [...text.toWellFormed().slice(value.length, value.length + 2)][0] ?? '';
      if (truncated) assert.ok(Buffer.byteLength(value + next) > MAX_FIELD_BYTES);
    }),
    { numRuns: 50 },
  );
});

test('a dynamic value loses whole elements from its end, and is null where not even the first fits', () => {
  const big = 'x'.repeat(40_000);
  assert.deepEqual(fitDynamic([big, big, 'small']), { value: [big], truncated: true });
  assert.deepEqual(fitDynamic({ a: big, b: big }), { value: { a: big }, truncated: true });
  assert.deepEqual(fitDynamic(['x'.repeat(70_000)]), { value: null, truncated: true });
  assert.deepEqual(fitDynamic({ a: 'x'.repeat(70_000) }), { value: null, truncated: true });
  assert.deepEqual(fitDynamic('x'.repeat(70_000)), { value: null, truncated: true });
  assert.deepEqual(fitDynamic([]), { value: [], truncated: false });
});

test('an object loses the members that do not fit, and keeps those behind them', () => {
  const big = 'x'.repeat(70_000);
  assert.deepEqual(fitDynamic({ a: 1, big, b: 2 }), { value: { a: 1, b: 2 }, truncated: true });
  assert.deepEqual(fitDynamic({ a: 'x'.repeat(40_000), b: 'y'.repeat(40_000), c: 3 }), {
    value: { a: 'x'.repeat(40_000), c: 3 },
    truncated: true,
  });
});

test('a large object within an object is cut inside, down to the third level, behind all that fits whole', () => {
  const list = Array.from({ length: 40_000 }, () => 7);
  const { value, truncated } = fitDynamic({
    data: { log: list, id: 'x', more: { big: 'x'.repeat(70_000) } },
    type: 't',
  });
  assert.equal(truncated, true);
  const kept = JSON.parse(JSON.stringify(value));
  assert.deepEqual([kept.type, kept.data.id, kept.data.more], ['t', 'x', undefined]);
  assert.ok(kept.data.log.length > 32_000);
  assert.ok(jsonBytes(value) > MAX_FIELD_BYTES - 4 && jsonBytes(value) <= MAX_FIELD_BYTES);
  const deep = { a: { b: { c: { d: list, e: 1 }, f: 2 } } };
  assert.deepEqual(fitDynamic(deep), { value: { a: { b: { f: 2 } } }, truncated: true });
});

test('an object of very many members is cut like any other', () => {
  for (const size of [0, 20]) {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, 'x'.repeat(size)]));
    const { value, truncated } = fitDynamic(many);
    assert.equal(truncated, true);
    assert.ok(jsonBytes(value) <= MAX_FIELD_BYTES && jsonBytes(value) > MAX_FIELD_BYTES - 40);
  }
});

test('property: what is kept of an object is members of it, and all that would still fit', () => {
  const value = fc
    .tuple(fc.string(), fc.integer({ min: 0, max: 30_000 }))
    .map(([text, size]) => text + 'y'.repeat(size));
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), (object) => {
      const text = JSON.stringify(object);
      const { value: kept, truncated } = fitDynamic(JSON.parse(text));
      assert.ok(jsonBytes(kept) <= MAX_FIELD_BYTES);
      assert.equal(truncated, Buffer.byteLength(text) > MAX_FIELD_BYTES);
      const members = new Map(Object.entries(kept ?? {}));
      for (const [name, member] of Object.entries(object)) {
        if (members.has(name.toWellFormed())) continue;
        assert.ok(jsonBytes({ ...(kept as object), [name]: member }) > MAX_FIELD_BYTES, name);
      }
    }),
    { numRuns: 100 },
  );
});

test('half a surrogate pair cannot be sent, in dynamic values neither', () => {
  assert.deepEqual(fitDynamic([{ 'k\ud83d': 'v\udc00', n: 1 }]), {
    value: [{ 'k\ufffd': 'v\ufffd', n: 1 }],
    truncated: false,
  });
  assert.equal(fitText('\ud83d').value, '\ufffd');
  // It takes half as much as the escape that JSON.stringify writes for it, so all of this fits.
  const halves = '\ud83d'.repeat(15_000);
  assert.deepEqual(fitDynamic([halves]), { value: [halves.toWellFormed()], truncated: false });
});

test('property: what is kept of a list is its beginning, and fits', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.string(), fc.integer({ min: 0, max: 20_000 })).map(([text, size]) => text + 'y'.repeat(size)),
      ),
      (list) => {
        const { value, truncated } = fitDynamic(list);
        assert.ok(jsonBytes(value) <= MAX_FIELD_BYTES);
        const kept = Array.isArray(value) ? value.length : 0;
        assert.deepEqual(
          value ?? [],
          list.slice(0, kept).map((text) => text.toWellFormed()),
        );
        assert.equal(truncated, jsonBytes(list) > MAX_FIELD_BYTES);
        if (truncated) assert.ok(jsonBytes(list.slice(0, kept + 1)) > MAX_FIELD_BYTES);
      },
    ),
    { numRuns: 100 },
  );
});
