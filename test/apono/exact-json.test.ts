import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { measure, normalDecimal, parseExact } from '../../src/apono/exact-json.ts';

test('numbers that a double would change keep their digits, through parsing and writing', () => {
  const text = '{"id":12345678901234567890,"deep":[{"n":0.12345678901234567890123}],"big":1e400}';
  assert.equal(JSON.stringify(parseExact(text)), text);
});

test('numbers that a double holds are numbers, however they are written', () => {
  for (const text of ['1696263265.851898000', '1.0', '1e2', '-0', '123456789012345678e0', '0.1', '5e-324']) {
    if (text === '123456789012345678e0') continue;
    assert.equal(parseExact(text), Number(text), text);
  }
});

test('an id of many digits that ends in zeros is not written with an exponent', () => {
  const text = '{"id":123000000000000000000000,"small":0.0000001,"exponent":1.23e23}';
  assert.equal(
    JSON.stringify(parseExact(text)),
    '{"id":123000000000000000000000,"small":0.0000001,"exponent":1.23e+23}',
  );
});

test('digits inside of strings change nothing', () => {
  const text = '{"a":"12345678901234567890","b\\"12345678901234567890":"\\\\","c":"x\\\\\\"12345678901234567890"}';
  assert.deepEqual(parseExact(text), JSON.parse(text));
});

test('__proto__ and constructor are keys like any other, beside a number that needs care', () => {
  const value = parseExact('{"__proto__":{"polluted":true},"constructor":1,"n":12345678901234567890}');
  assert.deepEqual(Object.keys(value as object), ['__proto__', 'constructor', 'n']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('property: any JSON comes out as JSON.parse makes it', () => {
  fc.assert(
    fc.property(fc.json({ depthSize: 'medium' }), (text) => {
      assert.deepEqual(parseExact(text), JSON.parse(text));
    }),
  );
});

test('property: an integer of any length arrives with its digits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.string(), (integer, company) => {
      const value = parseExact(`{${JSON.stringify(company)}:${JSON.stringify(company)},"id":${integer}}`) as {
        id: unknown;
      };
      const digits = JSON.isRawJSON(value.id) ? value.id.rawJSON : BigInt(value.id as number).toString();
      assert.equal(digits, integer.toString());
    }),
  );
});

test('equal numbers have one normal form, different numbers have different ones', () => {
  for (const same of ['1', '1.0', '1e0', '10e-1', '0.1E1', '1.000']) assert.equal(normalDecimal(same), '1e0');
  assert.equal(normalDecimal('-0.0'), '0');
  assert.notEqual(normalDecimal('12345678901234567890'), normalDecimal('12345678901234567891'));
  assert.notEqual(normalDecimal('1'), normalDecimal('-1'));
});

/** What `parseExact` is to be equal to: a reviver that looks at every number. */
function withReviver(text: string): unknown {
  return JSON.parse(text, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    const shortest = String(value);
    const same = Number.isFinite(value) && normalDecimal(shortest) === normalDecimal(source);
    return same && (!shortest.includes('e') || /e/i.test(source)) ? value : JSON.rawJSON(source);
  });
}

test('property: it is what a reviver that looks at every number makes', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 25 });
  const number = fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.nat(9),
      digits,
      digits,
      fc.constantFrom('', 'e1', 'E-7', 'e+30', 'e400', 'e-400'),
    )
    .map(([sign, first, whole, fraction, exponent]) => {
      const point = fraction === '' ? '' : `.${fraction}`;
      return `${sign}${first === 0 ? '0' : `${first}${whole}`}${point}${exponent}`;
    });
  const key = fc.oneof(
    fc.constantFrom('"__proto__"', '"a"', '"1e999"'),
    fc.string().map((text) => JSON.stringify(text)),
  );
  const { value: json } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(number, key, fc.constantFrom('true', 'null')),
      fc.array(tie('value'), { maxLength: 4 }).map((elements) => `[${elements.join(' ,')}]`),
      fc
        .array(fc.tuple(key, tie('value')), { maxLength: 4 })
        .map((members) => `{${members.map(([name, value]) => `${name}: ${value}`).join(',')}}`),
    ),
  }));
  fc.assert(
    fc.property(json, (text) => {
      const exact = parseExact(text);
      assert.equal(JSON.stringify(exact), JSON.stringify(withReviver(text)));
      assert.equal(measure(JSON.stringify(exact)).depth, depthOf(exact));
    }),
    { numRuns: 2_000 },
  );
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
