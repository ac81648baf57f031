import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonValue } from '../../src/ground/json.ts';
import { auditKind } from '../../src/kinds/audit.ts';
import { auditData, auditEvent, documentedAuditTemplate, javaText, printed } from './audit-bodies.ts';
import { onlyRowOf, pick, render } from './support.ts';

const OBJECTS = ['metadata', 'current_target_object', 'previous_target_object'] as const;
const TEXTS = OBJECTS.map((name) => `${name}_text`);
const changed = ['active', 'approver_policy', 'labels'];
const rowOf = (data: object) => onlyRowOf(auditKind, JSON.stringify(auditEvent(data)));
const changedFields = (current: unknown, previous: unknown) =>
  rowOf({ current_target_object: current, previous_target_object: previous })['changed_fields'];

describe('the objects of an audit event', () => {
  const whole = pick(auditData, OBJECTS);
  const nothing = Object.fromEntries(OBJECTS.map((name) => [name, null]));
  const json = (value: unknown) => JSON.stringify(value);

  for (const [how, text] of Object.entries({
    'as JSON': JSON.stringify(auditEvent()),
    'as JSON text in a string': JSON.stringify(printed(json)),
    'as JSON text of several lines': JSON.stringify(printed((value) => JSON.stringify(value, null, 2))),
    'as JSON text that a template escaped for HTML': render(documentedAuditTemplate, printed(json)),
    'as such text in straight JSON': JSON.stringify(
      printed((value) => json(value).replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll("'", '&#x27;')),
    ),
    'as JSON text that a template escaped as JSON': render(
      documentedAuditTemplate.replaceAll('"{{data.target_name}}"', '"none"'),
      printed((value) => json(json(value)).slice(1, -1)),
      { noEscape: true },
    ),
    'in place of a template’s expression': render(
      documentedAuditTemplate
        .replaceAll(/"(\{\{data\.\w+_object\}\}|\{\{data\.metadata\}\})"/g, '$1')
        .replaceAll('{{data.target_name}}', ''),
      printed(json),
      { noEscape: true },
    ),
  })) {
    it(`arrive as JSON when they were sent ${how}`, () => {
      const row = onlyRowOf(auditKind, text);
      assert.deepEqual(pick(row, OBJECTS), whole);
      assert.deepEqual(row['changed_fields'], changed);
      assert.deepEqual(Object.values(pick(row, TEXTS)), [null, null, null]);
    });
  }

  it('leave their text where it holds more values than a body may, since it is not parsed', () => {
    const lists = `[${'[],'.repeat(300_000)}[]]`;
    const row = rowOf({ current_target_object: lists });
    assert.equal(row['current_target_object'], null);
    assert.ok(String(row['current_target_object_text']).startsWith('[[],[],'));
  });

  it('leave their text where a template printed them as JavaScript or Java does, and what changed is not known', () => {
    for (const print of [() => '[object Object]', javaText]) {
      const row = onlyRowOf(auditKind, render(documentedAuditTemplate, printed(print)));
      assert.deepEqual(pick(row, OBJECTS), nothing);
      assert.equal(row['changed_fields'], null);
      assert.deepEqual(
        Object.values(pick(row, TEXTS)),
        OBJECTS.map((name) => print(auditData[name])),
      );
    }
  });

  it('are null, with no text, where nothing was sent', () => {
    for (const value of [undefined, null, '', 'null']) {
      const row = rowOf(Object.fromEntries(OBJECTS.map((name) => [name, value])));
      assert.deepEqual(pick(row, [...OBJECTS, ...TEXTS]), {
        ...nothing,
        ...Object.fromEntries(TEXTS.map((name) => [name, null])),
      });
      assert.equal(row['changed_fields'], null);
    }
  });

  it('keep every digit of a number, in JSON and in text', () => {
    const object = '{"id":98765432109876543210,"share":0.12345678901234567890}';
    for (const value of [object, JSON.stringify(object)]) {
      const body = JSON.stringify(auditEvent()).replace(JSON.stringify(auditData.metadata), () => value);
      assert.equal(JSON.stringify(onlyRowOf(auditKind, body)['metadata']), object);
    }
  });

  it('that are lists, numbers or booleans are kept as they are', () => {
    for (const value of [[1, 'two'], 7, true]) assert.deepEqual(rowOf({ metadata: value })['metadata'], value);
    assert.deepEqual(rowOf({ metadata: '[1, "two"]' })['metadata'], [1, 'two']);
  });

  it('that are nested too deep for JSON text stay text', () => {
    const nested = (levels: number) => '{"a":'.repeat(levels) + 1 + '}'.repeat(levels);
    assert.deepEqual(rowOf({ metadata: nested(64) })['metadata'], JSON.parse(nested(64)));
    for (const levels of [65, 8_000]) {
      assert.deepEqual(pick(rowOf({ metadata: nested(levels) }), ['metadata', 'metadata_text']), {
        metadata: null,
        metadata_text: nested(levels),
      });
    }
  });

  it('that hold a member named __proto__ keep it, and compare it', () => {
    const body = (value: number) => JSON.parse(`{"__proto__":${value},"constructor":1}`) as JsonValue;
    assert.equal(JSON.stringify(rowOf({ metadata: body(1) })['metadata']), '{"__proto__":1,"constructor":1}');
    assert.deepEqual(changedFields(body(1), body(2)), ['__proto__']);
  });

  it('over 64 KB are cut, stay JSON, and are named; what changed is still known', () => {
    const log = Array.from({ length: 20_000 }, (_, index) => index);
    const row = rowOf({
      current_target_object: { first: 'a', log, last: 'z' },
      previous_target_object: { first: 'a', log: log.slice(1), last: 'y' },
    });
    assert.deepEqual(row['truncated_fields'], ['current_target_object', 'previous_target_object']);
    assert.deepEqual(row['changed_fields'], ['last', 'log']);
    const current = JSON.parse(JSON.stringify(row['current_target_object']));
    assert.deepEqual([current.first, current.last], ['a', 'z']);
    assert.ok(Buffer.byteLength(JSON.stringify(current)) <= 65_536);
    assert.deepEqual(current.log, log.slice(0, current.log.length));
    assert.ok(current.log.length > 10_000);
  });

  it('of which only text over 64 KB came are cut there', () => {
    const row = rowOf({ metadata: `{a=${'é'.repeat(40_000)}}` });
    assert.deepEqual(row['truncated_fields'], ['metadata_text']);
    assert.ok(Buffer.byteLength(String(row['metadata_text'])) <= 65_536);
  });
});

describe('changed_fields', () => {
  it('are the top-level names that differ, sorted; none is an empty list', () => {
    assert.deepEqual(changedFields({ b: 1, a: { x: 1 } }, { a: { x: 2 }, b: 2 }), ['a', 'b']);
    assert.deepEqual(changedFields({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), []);
    assert.deepEqual(changedFields({ a: { x: 1, y: 2 } }, { a: { y: 2, x: 1 } }), [], 'the order of members is none');
    assert.deepEqual(changedFields({ a: [1, 2] }, { a: [2, 1] }), ['a'], 'the order of a list is one');
    assert.deepEqual(changedFields({}, {}), []);
  });

  it('tell null from missing, and not 1 from 1.0', () => {
    assert.deepEqual(changedFields({ a: null }, {}), ['a']);
    assert.deepEqual(changedFields({ a: '1' }, { a: 1 }), ['a']);
    assert.deepEqual(changedFields('{"a":1.0}', '{"a":1}'), []);
    assert.deepEqual(changedFields('{"a":98765432109876543210}', '{"a":98765432109876543211}'), ['a']);
  });

  it('are unknown unless both are objects, nothing of which was lost', () => {
    for (const other of [
      null,
      undefined,
      [],
      1,
      '',
      'text',
      '[object Object]',
      { a: '[object Object]' },
      { a: 'x,[object Map]' },
    ]) {
      assert.equal(changedFields({ a: 1 }, other), null);
      assert.equal(changedFields(other, { a: 1 }), null);
    }
  });

  it('property: they are exactly the members that are not equal', () => {
    const object = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.oneof(fc.constantFrom(1, 2, null), fc.jsonValue()),
    );
    const isMangled = (value: unknown) => typeof value === 'string' && value.includes('[object ');
    fc.assert(
      fc.property(object, object, (current, previous) => {
        fc.pre(![...Object.values(current), ...Object.values(previous)].some(isMangled));
        const plain = (value: object) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
        const [a, b] = [plain(current), plain(previous)];
        const same = (name: string) => {
          if (Object.hasOwn(a, name) !== Object.hasOwn(b, name)) return false;
          try {
            assert.deepEqual(a[name], b[name]);
            return true;
          } catch {
            return false;
          }
        };
        const names = ['a', 'b', 'c', 'd'].filter((name) => !same(name));
        assert.deepEqual(changedFields(current, previous), names);
      }),
    );
  });
});

describe('an audit event', () => {
  it('is a test by its target alone', () => {
    assert.equal(rowOf({})['is_test'], false);
    assert.equal(rowOf({ target_id: 'apono-sentinel-test-1' })['is_test'], true);
    assert.equal(rowOf({ target_name: 'apono-sentinel-test-1' })['is_test'], false);
  });

  it('has the time of the action beside that of the event', () => {
    assert.deepEqual(pick(rowOf({}), ['timestamp', 'event_time']), {
      timestamp: '2025-11-21T09:59:59.750000Z',
      event_time: '2025-11-21T10:00:00.000001Z',
    });
  });
});
