import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseLossless } from '../../src/emulator/lossless.ts';

test('any JSON comes out as JSON.parse makes it when its numbers are doubles', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(parseLossless(text), JSON.parse(text));
    }),
  );
});

/** The integer that a JSON text such as `1.5e+22` means. */
function integerOf(text: string): bigint {
  const [mantissa = '', power = '0'] = text.split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return BigInt(whole + fraction) * 10n ** BigInt(Number(power) - fraction.length);
}

test('any integer stays the same number', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (value) => {
      assert.equal(integerOf(JSON.stringify(parseLossless(String(value)))), value);
    }),
  );
});

test('numbers that a double only comes near keep their digits', () => {
  for (const text of ['9007199254740993', '12345678901234567', '0.12345678901234567', '-1696263265.8518981']) {
    assert.equal(JSON.stringify(parseLossless(text)), text);
  }
});

test('numbers that differ only in their spelling are doubles', () => {
  for (const text of ['1.0', '100e-2', '0.10', '1.696263265851898E9', '-0.0', '0.000000000000000000', '1e0000']) {
    assert.equal(parseLossless(text), Number(text), text);
  }
  assert.equal(JSON.stringify(parseLossless('1696263265.851898000123')), '1696263265.851898000123');
  assert.equal(JSON.stringify(parseLossless('1e400')), '1e400');
});
