import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExact } from '../../src/apono/exact-json.ts';
import { formatInstant, parseInstant, parseSeconds } from '../../src/apono/time.ts';

const SAMPLE = '2023-10-02T16:14:25.851898Z';

function format(value: Parameters<typeof parseInstant>[0]): string | null {
  const instant = parseInstant(value);
  return instant === null ? null : formatInstant(instant);
}

test('every spelling of the documented time is the same instant', () => {
  const spellings = [
    1696263265.851898,
    '1696263265.851898000',
    '1696263265.851898',
    '1.696263265851898E9',
    '1.696263265851898e+9',
    '1696263265851898000e-9',
    ' 1696263265.851898 ',
    '+1696263265.851898',
    '2023-10-02T16:14:25.851898Z',
    '2023-10-02T16:14:25.851898999Z',
    '2023-10-02 16:14:25.851898Z',
    '2023-10-02t16:14:25,851898z',
    '2023-10-02T18:14:25.851898+02:00',
    '2023-10-02T18:14:25.851898+0200',
    '2023-10-02T11:44:25.851898-04:30',
    '2023-10-02T16:14:25.851898',
  ];
  for (const spelling of spellings) assert.equal(format(spelling), SAMPLE, String(spelling));
  assert.equal(format(parseExact('1696263265.851898000')), SAMPLE);
});

test('digits beyond the microsecond are cut off, missing ones are zeros', () => {
  assert.equal(format('1763719200.000001999'), '2025-11-21T10:00:00.000001Z');
  assert.equal(format(1763718900.5), '2025-11-21T09:55:00.500000Z');
  assert.equal(format('2024-02-29T23:59Z'), '2024-02-29T23:59:00.000000Z');
  assert.equal(format('0.000001'), '1970-01-01T00:00:00.000001Z');
  assert.equal(format('7258118399.999999'), '2199-12-31T23:59:59.999999Z');
});

test('milliseconds, microseconds and nanoseconds are read as what they are', () => {
  for (const spelling of [
    1696263265851.898,
    '1696263265851.898000',
    '1.696263265851898E12',
    1696263265851898,
    '1696263265851898999',
    parseExact('1696263265851898000'),
  ]) {
    assert.equal(format(spelling), SAMPLE, String(spelling));
  }
  assert.equal(format(1696263265851), '2023-10-02T16:14:25.851000Z');
  assert.equal(format(946684800000), '2000-01-01T00:00:00.000000Z');
});

test('what is no time after the start of 1970 and before 2200 is null, never 1970', () => {
  const refused = [
    '',
    ' ',
    'now',
    'null',
    'NaN',
    'Infinity',
    '-1',
    '-1696263265.8',
    '1,696',
    '0x10',
    '12:30',
    '2023-10-02',
    '1e400',
    '9e99',
    0,
    -0,
    '0',
    '0.000',
    '0.0000009',
    '1970-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '2200-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
    '+1000000000-12-31T23:59:59.999999999Z',
    7258118400,
    32503680000,
    253402300799,
    253402300799999,
    9007199254740991,
    8640000000000000,
    '9223372036854775807',
    parseExact('31556889864403199.999999999'),
    '31556889864403199.999999999',
    '31556889864403199999',
    '2023-02-29T00:00:00Z',
    '2023-13-01T00:00:00Z',
    '2023-10-02T24:00:00Z',
    '2023-10-02T16:60:00Z',
    '2023-10-02T16:14:25+25:00',
    '1969-12-31T23:59:59Z',
    '2023-10-02T16:14:25Zjunk',
    '1.2.3',
    '.5',
    '5e',
    'e5',
    true,
    null,
    undefined,
    {},
    [],
    ['1696263265'],
  ]; // prettier-ignore
  for (const value of refused) assert.equal(format(value as never), null, JSON.stringify(value));
});

test('a number with a long run of digits or a huge exponent is refused quickly', () => {
  for (const text of [`1${'0'.repeat(1_000_000)}`, `1e${'9'.repeat(1_000_000)}`, `0.${'0'.repeat(1_000_000)}1`]) {
    assert.equal(parseInstant(text), null);
  }
});

test('property: any microsecond survives as decimal, with nanoseconds, in scientific notation and as ISO 8601', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 7_258_118_399_999_999n }), (micros) => {
      const whole = micros / 1_000_000n;
      const fraction = (micros % 1_000_000n).toString().padStart(6, '0');
      const digits = `${whole}${fraction}`;
      assert.equal(parseInstant(`${whole}.${fraction}`), micros);
      assert.equal(parseInstant(`${whole}.${fraction}000`), micros);
      assert.equal(parseInstant(`${digits.slice(0, 1)}.${digits.slice(1)}E${digits.length - 7}`), micros);
      assert.equal(parseInstant(formatInstant(micros)), micros);
      assert.equal(parseInstant(parseExact(`${whole}.${fraction}`)), micros);
    }),
  );
});

test('seconds are taken as a number or as text, without decimals', () => {
  const cases = [
    [14400, 14400],
    ['14400', 14400],
    ['1.44E4', 14400],
    [0, 0],
    ['59.9', 59],
    [59.9, 59],
  ] as const;
  for (const [value, expected] of cases) assert.equal(parseSeconds(value), expected);
  for (const value of ['', 'an hour', -1, '9e15x', '1e16', null]) assert.equal(parseSeconds(value), null);
});
