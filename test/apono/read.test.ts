import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import Handlebars from 'handlebars';
import { hasEntity } from '../../src/apono/escaping.ts';
import { duplicateKey } from '../../src/apono/exact-json.ts';
import type { TemplateEscaping } from '../../src/apono/read.ts';
import { readBody } from '../../src/apono/read.ts';
import type { JsonObject } from '../../src/ground/json.ts';
import { anyCharacter } from '../support/any-character.ts';

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

test('straight JSON is never altered under auto, whatever its text looks like', () => {
  const event = { event_type: 'x', event_time: 1.5, data: { justification: '&amp; &lt; \\ " \n C:\\temp' } };
  const json = JSON.stringify(event);
  assert.deepEqual(read(json), { outcome: 'read', value: event, form: 'json', looksEscaped: true });
});

test('an escaping that was set by hand holds for straight JSON too', () => {
  const unquoted = (raw: string) => `{"event_type":"x","event_time":1790000002.5,"data":{"justification":"${raw}"}}`;
  const cases: readonly (readonly [TemplateEscaping, string, string])[] = [
    ['auto', 'the &quot;prod&quot; database', 'the &quot;prod&quot; database'],
    ['html', 'the &quot;prod&quot; database', 'the "prod" database'],
    ['html', 'CORP\\bob &amp; co', 'CORP\\bob & co'],
    ['html-json', 'Jos\\u00e9 &amp; co', 'José & co'],
    ['json', 'Jos\\u00e9 &amp; co', 'José &amp; co'],
    ['none', 'CORP\\bob &amp; co', 'CORP\\bob &amp; co'],
  ];
  for (const [escaping, raw, typed] of cases) {
    const body = read(unquoted(raw), escaping);
    assert.equal(body.outcome === 'read' && body.form, 'json');
    assert.equal(justificationOf(unquoted(raw), escaping), typed, escaping);
  }
});

test('straight JSON is said to look escaped only under auto, and only where it holds entities', () => {
  const looks = (raw: string, escaping: TemplateEscaping = 'auto') => {
    const body = read(`{"event_type":"x","event_time":1,"data":{"justification":"${raw}"}}`, escaping);
    return body.outcome === 'read' && body.looksEscaped;
  };
  assert.equal(looks('&quot;prod&quot;'), true);
  assert.equal(looks('\\u0026#x27;'), true);
  assert.equal(looks('R&D &copy; \\"'), false);
  assert.equal(looks('&quot;prod&quot;', 'html'), false);
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
    detail: 'the body is not UTF-8 at line 1 column 3',
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
      fc.pre(!/"event_time":"|"TimeGenerated"/.test(text));
      const looksEscaped = hasEntity(text);
      assert.deepEqual(read(text), { outcome: 'read', value: JSON.parse(text), form: 'json', looksEscaped });
    }),
  );
});

/** Text with more than its share of what templates and escapes stumble over. */
const awkward = fc
  .array(
    fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.constantFrom('\\', '"', '&', '&amp;', '\n', '\\n', '\\u', '\\"', '<b>', "'", '&#x27;', '\t', '`', '='),
    ),
  )
  .map((parts) => parts.join('').toWellFormed());

test('property: any text put through a template with Handlebars comes out as it went in', () => {
  fc.assert(
    fc.property(awkward, (typed) => {
      const body = template({ justification: typed });
      assert.equal(justificationOf(body, 'html'), typed);
      // What looks like JSON escaping and nothing else stays open: ADR 3 says why.
      const looksLikeJson = /\\(?:["\\/]|u[0-9a-f]{4})/i.test(body) && !hasEntity(body);
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

test('property: no bytes make it throw, and every refusal is one of those that are known', () => {
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
      fc.constantFrom('auto', 'html', 'json', 'html-json', 'none'),
      (bytes, escaping) => {
        assert.ok(['read', 'not_json', 'too_deep', 'duplicate_key'].includes(readBody(bytes, escaping).outcome));
      },
    ),
    { numRuns: 2000 },
  );
});

/** What each body under `auto` comes to: raw text of a template-made value, and what its row must hold. */
const decisions: readonly (readonly [evidence: string, raw: string, text: string])[] = [
  ['none, so a backslash is one', 'CORP\\bob', 'CORP\\bob'],
  ['none, so a backslash is one', 'line\\nline', 'line\\nline'],
  ['JSON: \\u of a letter beyond ASCII', 'Jos\\u00e9\\nline', 'José\nline'],
  ['JSON: \\/', 'https:\\/\\/example.com\\tx', 'https://example.com\tx'],
  ['JSON: \\"', 'say \\"hi\\"\\n', 'say "hi"\n'],
  ['JSON: \\\\', 'C:\\\\new', 'C:\\new'],
  ['JSON: \\u0026 that is no entity', 'R\\u0026D', 'R&D'],
  ['HTML: an entity', 'CORP\\bob &amp; co', 'CORP\\bob & co'],
  ['HTML: an entity, and paths with doubled backslashes', '\\\\server\\new &amp; co', '\\\\server\\new & co'],
  ['HTML: an invalid escape', 'C:\\users\\new', 'C:\\users\\new'],
  ['HTML: an invalid escape and a doubled backslash', '\\\\server\\share', '\\\\server\\share'],
  ['HTML: a line break', 'one\ntwo\\three', 'one\ntwo\\three'],
  ['HTML: an entity, and an escape that no JSON writer writes', '\\u0041BC &amp; co', '\\u0041BC & co'],
  ['HTML: an entity, and a character both with and without an escape', 'a\\/b c/d &amp; e', 'a\\/b c/d & e'],
  ['HTML: an ampersand that a writer would have escaped too', '\\u0026 &amp; co', '\\u0026 & co'],
  ['both: \\u', 'Jos\\u00e9 &amp; co', 'José & co'],
  ['both: \\/', '&quot;a\\/b&quot;\\n', '"a/b"\n'],
  ['both: entities inside of escapes', '\\u0026quot;prod\\u0026quot; \\u003d 1', '"prod" = 1'],
  ['both: static text with \\"', 'by \\"Apono\\": a &amp; b', 'by "Apono": a & b'],
  ['the third reading: \\" and a line break', 'by \\"Apono\\": a\nb', 'by "Apono": a\nb'],
  [
    'the third reading: \\" and a path',
    'by \\"Apono\\": C:\\Users\\bob &lt; D:\\x',
    'by "Apono": C:\\Users\bob < D:\\x',
  ],
];

for (const [evidence, raw, text] of decisions) {
  test(`under auto, evidence of ${evidence}: ${JSON.stringify(raw)} is read as ${JSON.stringify(text)}`, () => {
    assert.equal(justificationOf(rendered(raw)), text);
  });
}

test('a doubled backslash beside entities is an escape where the whole body has the form of a JSON writer’s', () => {
  const event = { event_type: 'x', event_time: '1', data: { justification: 'C:\\temp &amp; &quot;x&quot;' } };
  assert.equal(justificationOf(JSON.stringify(event)), 'C:\\temp & "x"');
  assert.equal(justificationOf(JSON.stringify(event, null, 2)), 'C:\\\\temp & "x"');
  assert.equal(justificationOf(JSON.stringify(event, null, 2), 'html-json'), 'C:\\temp & "x"');
});

test('the third reading is tried whenever backslashes are literal, and JSON that was set by hand must be JSON', () => {
  const raw = 'by \\"Apono\\": C:\\Users &amp;\nD:';
  for (const escaping of ['json', 'html-json'] as const) {
    const body = read(rendered(raw), escaping);
    assert.ok(body.outcome === 'not_json');
    assert.match(body.detail, /at line 4 column 58: a line break or a backslash inside of a text is not escaped/);
    const broken = read(rendered('one\ntwo'), escaping);
    assert.match(broken.outcome === 'not_json' ? broken.detail : '', /at line 4 column 45: a line break/);
  }
  for (const escaping of ['auto', 'html'] as const) {
    assert.equal(justificationOf(rendered(raw), escaping), 'by "Apono": C:\\Users &\nD:');
  }
  assert.equal(justificationOf(rendered(raw), 'none'), 'by "Apono": C:\\Users &amp;\nD:');
});

const escapeUnits = (text: string, pattern: RegExp) =>
  text.replace(pattern, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** What writes JSON on the way from Apono to here. */
const writers: Readonly<Record<string, (value: unknown) => string>> = {
  'JSON.stringify': (value) => JSON.stringify(value),
  PHP: (value) => escapeUnits(JSON.stringify(value).replaceAll('/', '\\/'), /[\u0080-\uffff]/g),
  Python: (value) => escapeUnits(JSON.stringify(value), /[\u007f-\uffff]/g).replaceAll(/([,:])(?=")/g, '$1 '),
  Gson: (value) => escapeUnits(JSON.stringify(value), /[<>&='\u2028\u2029]/g),
  'System.Text.Json': (value) =>
    escapeUnits(
      JSON.stringify(value).replace(/\\(.)/g, (whole, char) => (char === '"' ? '\\u0022' : whole)),
      /[<>&'+`\u007f-\uffff]/g,
    ),
};

for (const [name, write] of Object.entries(writers)) {
  test(`property: a template-made body that ${name} wrote anew comes out as typed`, () => {
    fc.assert(
      fc.property(awkward, fc.boolean(), (typed, isHtml) => {
        // Without escaping of its own a template cannot carry text that looks like an entity; ADR 3 says so.
        fc.pre(isHtml || !hasEntity(typed));
        const justification = isHtml ? Handlebars.escapeExpression(typed) : typed;
        // Beside the text an é and a slash, which this writer may escape.
        const body = write({ event_type: 'x', event_time: '1', data: { name: 'José', path: 'a/b', justification } });
        assert.equal(justificationOf(body, isHtml ? 'html-json' : 'json'), typed);
        // Line breaks and tabs alone could also be what CORP\nancy looks like.
        if (/\\(?:["\\/]|u[0-9a-f]{4})/i.test(body)) assert.equal(justificationOf(body), typed);
      }),
      { numRuns: 500 },
    );
  });
}

function faultOf(text: string): string {
  const body = read(text);
  assert.equal(body.outcome, 'not_json', text);
  return body.outcome === 'not_json' ? body.detail : '';
}

/** The fault stands where the mark ¦ is. */
const faults: readonly (readonly [text: string, fault: RegExp])[] = [
  ['¦', /it is empty\. Paste the template/],
  ['  ¦\n ', /it is empty/],
  ['{"event_type": "x",\n "event_time": ¦,\n "data": {}}', /an empty value.*put it in quotes/],
  ['{"event_type": "x", "data": ¦}', /an empty value/],
  ['{¦“event_type”: “x”}', /curly quotes/],
  ['{"event_type": ¦“x”}', /curly quotes/],
  ['{"event_type": {¦{event_type}}, "data": {}}', /placeholder .* not filled in/],
  ['{¦{event_type}}', /placeholder .* not filled in/],
  ['{"data": {"access_groups": [{¦{#each data.access_groups}}]}}', /#each.* Use the template without -each/],
  ['{"data": {"custom_fields": { ¦{{#each data.custom_fields}}"a": "b"{{/each}} }}}', /without -each/],
  ['{"data": {"approvals": [{"name": "x"}¦{{/each}}]}}', /without -each/],
  ['{"event_type": "x",\r\n "data": {"a": [1, 2]¦', /it ends too early: a bracket/],
  ['{"event_type": ¦"x', /it ends too early: the text that begins here has no closing quote/],
  ['¦```json\n{"a": 1}\n```', /code fence/],
  ['{"a": 1}\n¦```', /code fence/],
  ['{"event_time": ¦undefined}', /undefined is no value/],
  ['{"event_time": ¦NaN}', /NaN and Infinity/],
  ['{"event_time": ¦-Infinity}', /NaN and Infinity/],
  ['{"bundle": ¦None}', /this word for nothing/],
  ['{"is_test": ¦True}', /lower case/],
  ['{¦\'event_type\': "x"}', /single quote/],
  ['{"event_type": "x"¦;}', /a comma or a closing bracket is missing|quote inside of a text/],
  ['{"event_type": "x",¦}', /a comma after the last element/],
  ['[{"a": 1},¦]', /a comma after the last element.* -each in its name/],
  ['{"a": 1,¦, "b": 2}', /a comma with nothing before it/],
  ['{"a": 1, ¦// note\n "b": 2}', /a comment/],
  ['{"a": 1 ¦"b": 2}', /a comma is missing/],
  ['{"a" ¦"b"}', /a colon is missing/],
  ['{¦a: 1}', /a name of a member is not in quotes/],
  ['{"a": ¦.5}', /a number in a form/],
  ['{"a": ¦01}', /a number in a form/],
  ['{"a": "say "¦hi" to them"}', /a quote inside of a text is not escaped.*Apono does not escape/],
  ['{"a": 1} ¦{"b": 2}', /something follows after its end\. Delete/],
  ['{"a": [1¦}}', /a bracket closes what another kind of bracket opened/],
  ['{"custom_fields": [¦object Object]}', /\[object Object\]/],
  ['{"requester": {¦id=u-1, name=Zoë}}', /as Java prints an object/],
  ['{"a": ¦granted}', /text is not in quotes/],
  ['¦<html><body>x</body></html>', /XML or HTML/],
  ['¦payload=%7B%22a%22%3A1%7D', /a form/],
  ['¦------WebKitFormBoundary7MA', /multipart/],
  ['¦event_type: x\ndata: y', /YAML or plain text/],
  ['¦---\nevent_type: x', /YAML or plain text/],
  // A line break and a path inside of strings are what templates leave; the fault is behind them.
  ['{"event_type": "one\ntwo", "path": "C:\\", "event_time": ¦, "data": {}}', /an empty value/],
  ['{"note": "by \\"Apono\\"", "path": "C:\\Users", "event_time": ¦}', /an empty value/],
];

for (const [marked, fault] of faults) {
  test(`what is no JSON says line, column and which fault: ${JSON.stringify(marked)}`, () => {
    const before = marked.slice(0, marked.indexOf('¦'));
    const [line, column] = [before.split('\n').length, (before.split('\n').at(-1)?.length ?? 0) + 1];
    const detail = faultOf(marked.replace('¦', ''));
    if (marked.includes('it is empty') || before.trim() === '') assert.match(detail, /at line \d+ column \d+: /);
    else assert.ok(detail.startsWith(`the body is not JSON at line ${line} column ${column}: `), detail);
    assert.match(detail, fault);
  });
}

test('property: whatever is no JSON says a line and a column, and never quotes the body', () => {
  const word = 'Zq7';
  const part = fc.oneof(
    fc.constantFrom('{', '}', '[', ']', ',', ':', '"', "'", '\\', '\n', '{{', '//', '“', '1', 'null', 'None', '<', '='),
    fc.constant(word),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const body = read(parts.join(''));
      if (body.outcome !== 'not_json') return;
      assert.match(body.detail, /^the body is not JSON at line \d+ column \d+: [^\n]{10,300}$/);
      assert.ok(!body.detail.includes(word));
    }),
    { numRuns: 2_000 },
  );
});

test('a name that stands twice in an object of a template-made body is refused, whichever way it is escaped', () => {
  const body = (data: string) => `{"event_type":"x","event_time":"1","data":{"list":[0,{${data}}]}}`;
  for (const data of ['"a":1,"b":2,"a":3', '"a":1,"\\u0061":3,"n":"\\u00e9"', '"a":{"a":1},"b":[{"a":1}],"a":[]']) {
    assert.deepEqual(read(body(data)), { outcome: 'duplicate_key', path: '/data/list/1/a' });
  }
  assert.deepEqual(read(body('"some text":1,"some text":2')), { outcome: 'duplicate_key', path: '/data/list/1' });
  for (const data of ['"a":{"a":[{"a":1},{"a":1}]},"b":"\\"a\\":1,"', '"":{"":1}']) {
    assert.equal(read(body(data)).outcome, 'read');
  }
  assert.equal(read('{"event_type":"x","event_time":1,"data":{"a":1,"a":2}}').outcome, 'read');
});

test('text that was not escaped cannot say again what the template says', () => {
  const unescaped = (template: string) => Handlebars.compile(template, { noEscape: true });
  const documented = rendered('{{justification}}').replace('"id": "1"', '"id": "{{id}}"');
  for (const justification of [
    'ok"}, "event_type": "AccessRequestRejected", "x": {"y": "',
    'ok", "id": "apono-sentinel-test-1", "x": "',
    'ok"}, "event_time": 1, "event_type": "RequestRejected", "x": {"y": "',
    'ok"}, "event\\u005ftype": "RequestRejected", "x": {"y": "\\"',
  ]) {
    const body = read(unescaped(documented)({ id: '1', justification }));
    assert.equal(body.outcome, 'duplicate_key', justification);
  }
});

test('property: a name that stands twice is found wherever it is, and no other is', () => {
  const key = fc.constantFrom('a', 'b', 'c', '\u00e9', '"', '\\', 'x y');
  interface Generated {
    readonly text: string;
    readonly hasTwice: boolean;
  }
  const { object } = fc.letrec<{ object: Generated; value: Generated }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('1', '"a"', 'null', '[]', '{}', '"{\\"a\\":1}"').map((text) => ({ text, hasTwice: false })),
      tie('object'),
      fc.array(tie('value'), { maxLength: 3 }).map((values) => ({
        text: `[${values.map(({ text }) => text).join(',')}]`,
        hasTwice: values.some(({ hasTwice }) => hasTwice),
      })),
    ),
    object: fc.array(fc.tuple(key, fc.boolean(), tie('value')), { maxLength: 4 }).map((members) => ({
      text: `{${members.map(([name, isEscaped, { text }]) => `${spell(name, isEscaped)}:${text}`).join(',')}}`,
      hasTwice:
        members.some(([, , { hasTwice }]) => hasTwice) || new Set(members.map(([name]) => name)).size < members.length,
    })),
  }));
  fc.assert(
    fc.property(object, ({ text, hasTwice }) => assert.equal(duplicateKey(text) !== null, hasTwice, text)),
    { numRuns: 1_000 },
  );
});

function spell(name: string, isEscaped: boolean): string {
  return isEscaped ? `"${escapeUnits(name, /[\s\S]/g)}"` : JSON.stringify(name);
}

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, child) => sum + valuesIn(child), 1);
}

test('over 300,000 values are refused before they are parsed, and strings do not count', () => {
  const event = (data: string) => `{"event_type":"x","event_time":1,"data":[${data}]}`;
  // The event, its three members, and the elements of one of them.
  for (const element of ['1', '[]', '{}', '[1]', '{"a":[{}]}']) {
    const most = Math.floor((300_000 - 4) / valuesIn(JSON.parse(element)));
    const left = Array(300_000 - 4 - most * valuesIn(JSON.parse(element))).fill('1');
    const elements = [...Array(most).fill(element), ...left];
    assert.equal(read(event(elements.join(','))).outcome, 'read', element);
    assert.equal(read(event([...elements, '1'].join(', '))).outcome, 'too_many_values', element);
  }
  assert.equal(read(`[${'[],'.repeat(400_000)}`).outcome, 'too_many_values');
  assert.equal(read('['.repeat(400_000)).outcome, 'too_many_values');
  assert.equal(read(event(`"${',[{'.repeat(500_000)}"`)).outcome, 'read');
  assert.equal(read(rendered(`C:\\ ${',[{'.repeat(500_000)}`)).outcome, 'read');
});

test('bodies in the charset that their Content-Type names are read, and UTF-16 without one', () => {
  const typed = 'Zoë & "café"';
  const text = JSON.stringify({ event_type: 'x', event_time: 1, data: { justification: typed } });
  const utf16 = Buffer.from(text, 'utf16le');
  const cases: readonly (readonly [Buffer, string | null])[] = [
    [Buffer.from(text), null],
    [Buffer.from(text), 'utf-8'],
    [Buffer.from(text), 'x-unknown'],
    // Many clients say so of whatever they send.
    [Buffer.from(text), 'iso-8859-1'],
    [Buffer.from(text), 'US-ASCII'],
    [Buffer.from(text, 'latin1'), 'iso-8859-1'],
    [Buffer.from(text, 'latin1'), 'Windows-1252'],
    [utf16, 'utf-16le'],
    [utf16, 'utf-16'],
    [utf16, null],
    [Buffer.from(utf16).swap16(), 'utf-16be'],
    [Buffer.from(utf16).swap16(), null],
    [Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), null],
    [Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16()]), 'utf-16'],
  ];
  for (const [bytes, charset] of cases) {
    const body = readBody(bytes, 'auto', charset);
    assert.ok(body.outcome === 'read', `${charset}: ${JSON.stringify(body)}`);
    assert.deepEqual(body.value, JSON.parse(text), charset ?? 'none');
  }
  const shift = Buffer.from('{"a":"\x93\x63"}', 'latin1');
  const japanese = readBody(shift, 'auto', 'shift_jis');
  assert.ok(japanese.outcome === 'read' && JSON.stringify(japanese.value).includes('田'));
});

test('bytes that are not of the charset say so', () => {
  const latin = Buffer.from('{\n"a":"café"}', 'latin1');
  const fault = (charset: string | null) => {
    const body = readBody(latin, 'auto', charset);
    return body.outcome === 'not_json' && body.detail;
  };
  assert.equal(fault(null), 'the body is not UTF-8 at line 2 column 9');
  assert.equal(
    fault('x-unknown'),
    'the body is not UTF-8 at line 2 column 9, and its Content-Type names a charset that is not known here',
  );
  assert.equal(fault('euc-jp'), 'the body is not EUC-JP');
});
