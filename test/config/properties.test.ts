import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { describeConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseCidr } from '../../src/config/parse.ts';
import { editDistance } from '../../src/config/read.ts';
import { variableNames, variables } from '../../src/config/variables.ts';
import { anyCharacter } from '../support/any-character.ts';
import { minimal } from './support.ts';

const text = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 40 }),
  fc.constantFrom(
    '',
    'off',
    'true',
    '0',
    '1',
    '-1',
    'https://',
    'https://localhost',
    '::1',
    '10.0.0.0/8',
    'x'.repeat(300),
  ),
  fc.nat().map(String),
  fc.webUrl(),
  fc.ipV6(),
);
const environment = fc.dictionary(
  fc.oneof(
    fc.constantFrom(...variableNames),
    fc.constantFrom(...variableNames).map((name) => `${name}_FILE`),
    fc.string().map((rest) => `APONO_${rest}`),
  ),
  text,
);

describe('any environment', () => {
  it('is judged without throwing, with a configuration exactly when there are no problems', () => {
    fc.assert(
      fc.property(environment, fc.boolean(), (env, complete) => {
        const { config, problems } = loadConfig(complete ? { ...env, ...minimal } : env);
        assert.equal(config === null, problems.length > 0);
        assert.equal(new Set(problems.map(({ name }) => name)).size, problems.length);
        for (const { name, message } of problems) assert.ok(name in variables && message.length > 0);
      }),
    );
  });

  it('shows no secret, be it right or wrong', () => {
    const secretNames = variableNames.filter((name) => variables[name].secret);
    const someSecret = fc
      .string({ unit: 'grapheme', minLength: 8, maxLength: 40 })
      .filter((value) => /\w{4}/.test(value));
    fc.assert(
      fc.property(environment, fc.constantFrom(...secretNames), someSecret, (env, name, suffix) => {
        const value = `s3cr3t${suffix}`;
        const given = { ...minimal, ...env, [name]: value, [`${name}_FILE`]: '' };
        const { config, problems, warnings, settings } = loadConfig(given);
        const printed = config === null ? [] : describeConfig(config, settings);
        assert.ok(!JSON.stringify({ problems, warnings, settings, printed }).includes('s3cr3t'));
      }),
    );
  });
});

describe('the rules', () => {
  it('of distance: none to itself, the same both ways, no more than the longer length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        assert.equal(editDistance(a, a), 0);
        assert.equal(editDistance(a, b), editDistance(b, a));
        assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
        assert.equal(editDistance(a, `${a}x`), 1);
      }),
    );
  });

  it('of blocks: an address with any prefix its family has, and none beyond', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(200), (address, prefix) => {
        const bits = address.includes(':') ? 128 : 32;
        assert.equal(parseCidr(address)?.prefix, bits);
        assert.equal(parseCidr(`${address}/${prefix}`)?.prefix, prefix <= bits ? prefix : undefined);
      }),
    );
  });
});
