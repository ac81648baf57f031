import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, eventId, quarantineId } from '../../src/apono/event.ts';
import { normalDecimal, parseExact } from '../../src/apono/exact-json.ts';
import { anyCharacter } from '../support/any-character.ts';

// These values are stored in every outbox. If one changes, an upgraded service takes duplicates for new events.
const GOLDEN = [
  [
    '{"event_type":"AccessRequestCreated","event_time":1696263265.851898000,"data":{"id":"123"}}',
    'v1628e56e5182dbe848a79b13b20beb061212acdff8d73331f447fb82cbcdc3a4a',
  ],
  [
    '{"b":[1,2.50,null,true,"é\\n"],"a":{"__proto__":1,"id":12345678901234567890}}',
    'v1521dfd861d8f574791d6ea190e0656ef0b27b5e66d2a8d4d5a867a583ccc1b6e',
  ],
] as const;

test('golden identities hold', () => {
  for (const [text, id] of GOLDEN) assert.equal(eventId('request', parseExact(text)), id);
});

test('order of keys, blanks and the spelling of numbers do not make another event', () => {
  const a = parseExact('{"a":1696263265.851898000,"b":{"x":1,"y":[1.0]}}');
  const b = parseExact(' { "b" : { "y" : [ 1 ], "x" : 1e0 }, "a" : 1.696263265851898E9 } ');
  assert.equal(eventId('request', a), eventId('request', b));
});

test('kind, types, unknown fields, nulls, order in lists and the last digit of a number make another event', () => {
  const texts = [
    '{"a":1}',
    '{"a":"1"}',
    '{"a":1,"x":null}',
    '{"a":[1,2]}',
    '{"a":[2,1]}',
    '{"a":12345678901234567890}',
    '{"a":12345678901234567891}',
    '{"a":null}',
    '{}',
    '{"a":""}',
  ];
  const ids = [...texts.map((text) => eventId('request', parseExact(text))), eventId('audit', parseExact('{"a":1}'))];
  assert.equal(new Set(ids).size, ids.length);
});

test('an identity is v1 and a SHA-256', () => {
  assert.match(eventId('request', {}), /^v1[0-9a-f]{64}$/);
  assert.match(quarantineId(Buffer.from('x'), null), /^q1[0-9a-f]{64}$/);
});

test('property: canonical JSON is JSON of the same value, and the same for any order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      const canonical = canonicalJson(parseExact(text));
      assert.deepEqual(
        JSON.parse(canonical),
        JSON.parse(text, (_key, child) => (Object.is(child, -0) ? 0 : child)),
      );
      assert.equal(canonicalJson(parseExact(canonical)), canonical);
      assert.equal(canonicalJson(reversed(parseExact(text)) as never), canonical);
    }),
  );
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, child]) => [key, reversed(child)]),
  );
}

test('property: a number has one spelling, whichever way it is made', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })),
      (value) => {
        assert.equal(canonicalJson(value), normalDecimal(String(value)));
        assert.equal(canonicalJson(value * 1000), normalDecimal(String(value * 1000)));
      },
    ),
  );
});

test('property: the canonical text of what holds no numbers is its JSON with the keys in order', () => {
  const key = fc.oneof(fc.string({ unit: anyCharacter, maxLength: 80 }), fc.constantFrom('__proto__', '1', 'ä', 'id'));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.oneof(fc.string({ unit: anyCharacter, maxLength: 200 }), fc.boolean(), fc.constant(null)),
      fc.array(tie('value')),
      fc.dictionary(key, tie('value'), { maxKeys: 40 }),
    ),
  }));
  fc.assert(
    fc.property(value, (given) => {
      const text = JSON.stringify(given);
      assert.equal(canonicalJson(parseExact(text)), inOrder(JSON.parse(text)));
    }),
  );
});

function inOrder(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inOrder).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, child]) => `${JSON.stringify(key)}:${inOrder(child)}`).join(',')}}`;
}
