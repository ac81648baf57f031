import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { mapRows } from '../../src/kinds/rows.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { mapToRows, textsOf } from '../support/mapped-rows.ts';
import { decode, rowsOf } from './support.ts';

/** Each kind of the registry has them as `<kind>Bodies` in `<kind>-bodies.ts`. */
const bodiesOf = new Map<string, Readonly<Record<string, string>>>();
for (const { name } of kinds) bodiesOf.set(name, (await import(`./${name}-bodies.ts`))[`${name}Bodies`]);

const ajv = new Ajv2020();
const golden = new URL('../golden/', import.meta.url);
/** Larger goldens hold the first row, the last one and a digest of all. */
const MAX_GOLDEN_BYTES = 32_768;

function goldenOf(kind: WebhookKind, rows: readonly Row[]): string {
  const ordered = rows.map((row) => Object.fromEntries(kind.table.columns.map(({ name }) => [name, row[name]])));
  const text = JSON.stringify(ordered, null, 2);
  if (Buffer.byteLength(text) <= MAX_GOLDEN_BYTES) return `${text}\n`;
  const sha256 = createHash('sha256').update(text).digest('hex');
  const short = (row: object | undefined) => JSON.parse(JSON.stringify(row), (_key, value) => shorten(value));
  return `${JSON.stringify({ rows: ordered.length, sha256, first: short(ordered[0]), last: short(ordered.at(-1)) }, null, 2)}\n`;
}

function shorten(value: unknown): unknown {
  if (typeof value === 'string' && value.length > 200) return `${value.slice(0, 40)}… (${value.length} characters)`;
  return Array.isArray(value) && value.length > 20 ? [...value.slice(0, 2), `… (${value.length} elements)`] : value;
}

const isOfType = {
  string: (value: unknown) => typeof value === 'string',
  int: Number.isInteger,
  long: Number.isSafeInteger,
  boolean: (value: unknown) => typeof value === 'boolean',
  datetime: (value: unknown) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value),
  dynamic: (value: unknown) => typeof value !== 'undefined',
};

for (const kind of kinds) {
  const columns = kind.table.columns.map(({ name }) => name);
  const bodies = bodiesOf.get(kind.name) ?? {};

  describe(`rows of kind ${kind.name}`, () => {
    for (const [name, text] of Object.entries(bodies)) {
      it(`golden: ${name}`, () => {
        const actual = goldenOf(kind, rowsOf(kind, text));
        const file = new URL(`${kind.name}-${name}.json`, golden);
        if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(file, actual);
        assert.ok(existsSync(file), 'no golden file: look at the rows, then run with UPDATE_GOLDEN=1');
        assert.equal(actual, readFileSync(file, 'utf8'));
      });
    }

    it('are made of events whose schema is a valid one', () => {
      for (const schema of [kind.schema, kind.recipeRowSchema ?? true]) {
        assert.ok(ajv.validateSchema(schema), JSON.stringify(ajv.errors));
      }
    });

    it('have a golden file each, and there is none without its body', () => {
      assert.notEqual(Object.keys(bodies).length, 0);
      const names = Object.keys(bodies).map((name) => `${kind.name}-${name}.json`);
      assert.deepEqual(
        readdirSync(golden)
          .filter((name) => name.startsWith(`${kind.name}-`))
          .sort(),
        names.sort(),
      );
    });

    it('have every column of the table and no other, with a value of its type', () => {
      for (const text of Object.values(bodies)) {
        for (const row of rowsOf(kind, text, 'feed-1')) {
          assert.deepEqual(Object.keys(row).sort(), [...columns].sort());
          for (const { name, type } of kind.table.columns) {
            const value = row[name];
            assert.ok(value === null || isOfType[type](value), `${name}: ${JSON.stringify(value)} is no ${type}`);
          }
        }
      }
    });

    it('fill every column by some event', () => {
      const rows = Object.values(bodies).flatMap((text) => rowsOf(kind, text, 'feed-1'));
      assert.deepEqual(
        columns.filter((column) => rows.every((row) => row[column] === null)),
        [],
      );
    });

    it('have a time and an identity, and each field fits into 64 KB', () => {
      for (const text of Object.values(bodies)) {
        for (const [index, row] of rowsOf(kind, text).entries()) {
          assert.notEqual(row['TimeGenerated'], null);
          assert.match(String(row['event_id']), /^v1[0-9a-f]{64}$/);
          assert.equal(row['row_id'], `${row['event_id']}-${index}`);
          for (const value of Object.values(row)) {
            const field = typeof value === 'string' ? value : JSON.stringify(value);
            assert.ok(Buffer.byteLength(field) <= 65_536);
          }
        }
      }
    });

    it('are measured exactly, and nothing is in the shared part and the own part at once', () => {
      for (const text of Object.values(bodies)) {
        const event = decode(kind, text);
        const mapped = mapRows(kind, event);
        assert.ok(mapped !== null);
        assert.equal(
          mapped.mappedBytes,
          textsOf(mapped).reduce((sum, row) => sum + Buffer.byteLength(row), 0),
        );
        const hasInvalidFields = mapToRows(kind, event).some((row) => row['invalid_fields'] !== null);
        assert.equal(mapped.hasInvalidFields, hasInvalidFields);
        const lines = mapped.own.split('\n');
        assert.equal(lines.length, mapped.rowCount, 'no line break is in a row');
        for (const own of lines) {
          const names: string[] = [mapped.shared, own].flatMap((part) => Object.keys(JSON.parse(part)));
          assert.equal(new Set(names).size, names.length);
        }
      }
    });
  });
}

it('golden files belong to kinds that there are', () => {
  const prefixes = kinds.map(({ name }) => `${name}-`);
  assert.deepEqual(
    readdirSync(golden).filter((name) => !prefixes.some((prefix) => name.startsWith(prefix))),
    [],
  );
});
