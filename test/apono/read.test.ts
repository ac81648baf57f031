import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import Handlebars from 'handlebars';
import { hasEntity } from '../../src/apono/entities.ts';
import { parseExact } from '../../src/apono/exact-json.ts';
import { readBody } from '../../src/apono/read.ts';
import type { TemplateEscaping } from '../../src/config/config.ts';
import type { JsonObject } from '../../src/json.ts';

function read(text: string, escaping: TemplateEscaping = 'auto') {
  return readBody(Buffer.from(text), escaping);
}

function justificationOf(text: string, escaping: TemplateEscaping = 'auto'): unknown {
  const body = read(text, escaping);
  assert.equal(body.outcome, 'read', JSON.stringify(body));
  return ((body.value as JsonObject)['data'] as JsonObject)['justification'];
}

/** A template-made body with this raw text between the quotes of one value. */
function rendered(raw: string): string {
  return `{\n  "event_type": "RequestCreated",\n  "event_time": "1696263265.851898",\n  "data": { "id": "1", "justification": "${raw}" }\n}`;
}

const template = Handlebars.compile(rendered('{{justification}}'));

test('the text of a rendered justification comes out as typed', () => {
  const typed = 'Fix "prod" outage & <b>O\'Brien</b> `x`=1\nline2 C:\\temp\\u \\ "\\" CORP\\bob\t\u0000';
  assert.equal(justificationOf(template({ justification: typed })), typed);
});

test('a template-made backslash is literal, at the end of a value too', () => {
  assert.equal(justificationOf(rendered('CORP\\bob')), 'CORP\\bob');
  assert.equal(justificationOf(rendered('C:\\temp\\new')), 'C:\\temp\\new');
  assert.equal(justificationOf(rendered('C:\\')), 'C:\\');
  assert.equal(justificationOf(rendered('\\\\server\\share &amp; more')), '\\\\server\\share & more');
});

test('a template-made body that is escaped as JSON is read as JSON', () => {
  assert.equal(justificationOf(rendered('say \\"hi\\" to C:\\\\temp\\nline')), 'say "hi" to C:\\temp\nline');
});

test('entities are decoded once, in every numeric form, and only those that Handlebars makes', () => {
  assert.equal(
    justificationOf(rendered('&lt;&gt;&quot;&#x27;&#39;&#x60;&#96;&amp;&#x3D;&#x3d;&#61;&#0039;')),
    "<>\"''``&==='",
  );
  assert.equal(justificationOf(rendered('&amp;lt; &amp;amp;')), '&lt; &amp;');
  assert.equal(justificationOf(rendered('&nbsp; &#x41; &copy; &amp &#x27')), '&nbsp; &#x41; &copy; &amp &#x27');
});

test('entities in keys stay: only values come from a person', () => {
  const body = read('{"event_type":"x","event_time":"1","data":{"a&amp;b":"c&amp;d"}}');
  assert.deepEqual(body.outcome === 'read' && (body.value as JsonObject)['data'], { 'a&amp;b': 'c&d' });
});

test('straight JSON is never altered, whatever its text looks like', () => {
  const event = { event_type: 'x', event_time: 1.5, data: { justification: '&amp; &lt; \\ " \n C:\\temp' } };
  for (const escaping of ['auto', 'html', 'json', 'none'] as const) {
    const json = JSON.stringify(event);
    assert.deepEqual(read(json, escaping), { outcome: 'read', value: event, plain: event, form: 'json', json });
  }
});

test('a raw line break makes a body template-made even where event_time is a number', () => {
  const body = read('{"event_type":"x","event_time":1.5,"data":{"justification":"a\nb &amp; c"}}');
  assert.equal(body.outcome === 'read' && body.form, 'template');
  assert.equal(
    justificationOf('{"event_type":"x","event_time":1.5,"data":{"justification":"a\nb &amp; c"}}'),
    'a\nb & c',
  );
});

test('APONO_TEMPLATE_ESCAPING settles by hand what the body leaves open', () => {
  const raw = 'a \\\\ b &amp; c';
  assert.equal(justificationOf(rendered(raw), 'html'), 'a \\\\ b & c');
  assert.equal(justificationOf(rendered(raw), 'none'), raw);
  assert.equal(justificationOf(rendered(raw), 'json'), 'a \\ b &amp; c');
  assert.equal(justificationOf(rendered('x\\\\y'), 'auto'), 'x\\y');
  assert.equal(justificationOf(rendered('x\\\\y'), 'html'), 'x\\\\y');
});

test('escapes that stand in the template itself do not break the reading of the rest', () => {
  assert.equal(justificationOf(rendered('by \\"Apono\\": a &amp; b')), 'by "Apono": a & b');
});

test('a byte order mark is no content, and what is not UTF-8 is refused', () => {
  const body = readBody(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"a":1}')]), 'auto');
  assert.deepEqual(body.outcome === 'read' && body.value, { a: 1 });
  assert.deepEqual(readBody(Buffer.from([0x7b, 0x22, 0xff, 0x22]), 'auto'), {
    outcome: 'not_json',
    detail: 'the body is not UTF-8',
  });
});

test('what is no JSON says where, and never quotes the body', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '{"secret-text":}',
    'secret-text',
    '{"event_time":"1" "secret-text"}',
    '{"a":"\\q secret-text',
  ]) {
    const body = read(text);
    assert.equal(body.outcome, 'not_json', text);
    assert.doesNotMatch(JSON.stringify(body), /secret-text/);
  }
});

test('64 levels are read, 65 and 100,000 are too deep', () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels - 1)}[]${'}'.repeat(levels - 1)}`;
  assert.equal(read(nested(64)).outcome, 'read');
  assert.equal(read(nested(65)).outcome, 'too_deep');
  assert.equal(read(nested(100_000)).outcome, 'too_deep');
  assert.equal(read('['.repeat(100_000)).outcome, 'not_json');
  assert.equal(
    read(rendered('x').replace('"id"', `"deep":${nested(100)},"big":12345678901234567890,"id"`)).outcome,
    'too_deep',
  );
});

test('property: straight JSON comes out as JSON.parse makes it', () => {
  const json = fc.oneof(
    fc.jsonValue(),
    fc.record({
      event_type: fc.string(),
      event_time: fc.double({ noNaN: true, noDefaultInfinity: true }),
      data: fc.jsonValue(),
    }),
  );
  fc.assert(
    fc.property(json, (value) => {
      const text = JSON.stringify(value);
      const plain: unknown = JSON.parse(text);
      fc.pre(!/"event_time":"|"TimeGenerated"/.test(text));
      assert.deepEqual(read(text), { outcome: 'read', value: plain, plain, form: 'json', json: text });
    }),
  );
});

/** Text with more than its share of what templates and escapes stumble over. */
const awkward = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\\', '"', '&', '&amp;', '\n', '\\n', '\\u', '\\"', '<b>', "'", '&#x27;', '\t', '`', '='),
    ),
  )
  .map((parts) => parts.join('').toWellFormed());

test('property: any text put through a template with Handlebars comes out as it went in', () => {
  fc.assert(
    fc.property(awkward, (typed) => {
      const body = template({ justification: typed });
      assert.equal(justificationOf(body, 'html'), typed);
      // Doubled backslashes and nothing else look like JSON escaping: ADR 0003 says why this stays open.
      const looksLikeJson = /\\["\\]/.test(body) && !hasEntity(body);
      if (!looksLikeJson) assert.equal(justificationOf(body, 'auto'), typed);
    }),
    { numRuns: 2000 },
  );
});

test('property: text without quotes survives a template that does not escape', () => {
  fc.assert(
    fc.property(awkward, (typed) => {
      const text = typed.replaceAll('"', '');
      assert.equal(justificationOf(rendered(text), 'none'), text);
    }),
  );
});

test('property: no bytes make it throw, and every refusal is one of two', () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(rendered('a\\b'), '[{"TimeGenerated":"1"}]', '{"a":[1,{"b":"\\u00e9"}]}'),
      fc.nat(),
      fc.uint8Array({ maxLength: 4 }),
    )
    .map(([text, at, bytes]) =>
      Buffer.concat([
        Buffer.from(text).subarray(0, at % text.length),
        bytes,
        Buffer.from(text).subarray(at % text.length),
      ]),
    );
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array(), mutated),
      fc.constantFrom('auto', 'html', 'json', 'none'),
      (bytes, escaping) => {
        assert.ok(['read', 'not_json', 'too_deep'].includes(readBody(bytes, escaping).outcome));
      },
    ),
    { numRuns: 2000 },
  );
});

test('the JSON that comes with what was read is that of the value, whatever was repaired, and stands on one line', () => {
  const numbers = fc.constantFrom('1', '12345678901234567890', '1e400', '0.1000', '-0', '1696263265.8518981234');
  const oneLine = fc
    .record({
      justification: fc.string({ unit: 'binary' }),
      number: numbers,
      isQuoted: fc.boolean(),
      gap: fc.constantFrom('', ' ', '\n'),
    })
    .map(({ justification, number, isQuoted, gap }) => {
      const time = isQuoted ? `"${number}"` : number;
      return {
        text: `{"event_type":"x","event_time":${time},${gap}"data":{"n":${number},"n":${number},"j":"`,
        justification,
      };
    })
    .chain(({ text, justification }) =>
      fc.constantFrom(
        `${text}${justification}"}}`,
        `${text}${JSON.stringify(justification).slice(1, -1)}"}}`,
        `${text}${Handlebars.escapeExpression(justification)}"}}`,
      ),
    );
  const seen = new Set<string>();
  fc.assert(
    fc.property(oneLine, fc.constantFrom('auto', 'html', 'json', 'none'), (text, escaping) => {
      const body = read(text, escaping);
      if (body.outcome !== 'read') return;
      seen.add(`${body.form} ${body.json === null ? 'anew' : 'as it is'}`);
      if (body.json === null) return;
      assert.deepEqual(parseExact(body.json), body.value);
      assert.equal(body.json.includes('\n'), false);
    }),
    { numRuns: 1_000 },
  );
  assert.deepEqual([...seen].sort(), ['json anew', 'json as it is', 'template anew', 'template as it is']);
});
