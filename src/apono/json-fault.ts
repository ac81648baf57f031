import { escapeInvalid } from './escaping.ts';
import { endOfString } from './exact-json.ts';

/**
 * Says where a text ceases to be JSON, which fault that is and what to do about it, for the person who wrote the body
 * template. Never quotes the text, which may contain what somebody typed.
 */
export function explainFault(text: string): string {
  // A backslash before a quote is either an escape or the end of a value such as C:\. The reading that gets further is
  // the one that was meant.
  const [escaped, literal] = [firstFault(text, true), firstFault(text, false)];
  const stop = literal.at > escaped.at ? literal : escaped;
  const isWhole = stop.expected === 'nothing' && stop.at === text.length;
  const at = isWhole ? firstUnescaped(text) : stop.at;
  return `the body is not JSON at ${placeAfter(text.slice(0, at))}: ${isWhole ? UNESCAPED : faultAt(text, stop)}`;
}

export function placeAfter(before: string): string {
  return `line ${before.split('\n').length} column ${before.length - before.lastIndexOf('\n')}`;
}

/** What only those readings allow that take it as typed. */
const UNESCAPED =
  'a line break or a backslash inside of a text is not escaped. Set APONO_TEMPLATE_ESCAPING to auto, which takes it as it is';

function firstUnescaped(text: string): number {
  const fixed = escapeInvalid(text);
  let at = 0;
  while (at < text.length && text[at] === fixed[at]) at++;
  // Where a backslash was doubled, the first of the two is the same.
  return text[at - 1] === '\\' && fixed[at] === '\\' ? at - 1 : at;
}

/** What may stand at a place; after the opening bracket of a list or an object its end may, too. */
type Expected = 'value' | 'name' | 'colon' | 'comma_or_end' | 'nothing';

const BLANK = /[ \t\r\n]*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;
const PAIRS = ['{}', '[]'];

/**
 * Walks as far as the text is JSON, tolerating what a template may leave inside of strings. `previous`: the last
 * character before that place that is not blank, '' at the beginning. Takes linear time.
 */
function firstFault(text: string, hasEscapes: boolean) {
  const inside: string[] = [];
  let expected: Expected = 'value';
  let at = 0;
  let previous = '';
  const afterValue = (): Expected => (inside.length === 0 ? 'nothing' : 'comma_or_end');
  for (;;) {
    at = endOf(BLANK, text, at);
    const char = text.charAt(at);
    const opened = inside.at(-1) ?? '';
    let end = at + 1;
    if (char === '"' && (expected === 'value' || expected === 'name')) {
      // Without escapes a string ends at the next quote.
      end = (hasEscapes ? endOfString(text, at) : text.indexOf('"', at + 1) + 1) ?? 0;
      if (end === 0) return { at, expected, previous };
      expected = expected === 'name' ? 'colon' : afterValue();
    } else if ((char === '{' || char === '[') && expected === 'value') {
      inside.push(char);
      expected = char === '{' ? 'name' : 'value';
    } else if ((expected === 'comma_or_end' || previous === opened) && PAIRS.includes(opened + char)) {
      inside.pop();
      expected = afterValue();
    } else if (char === ',' && expected === 'comma_or_end') {
      expected = opened === '{' ? 'name' : 'value';
    } else if (char === ':' && expected === 'colon') {
      expected = 'value';
    } else {
      end = expected === 'value' ? endOf(SCALAR, text, at) : at;
      if (end === at) return { at, expected, previous };
      expected = afterValue();
    }
    previous = text.charAt(end - 1);
    at = end;
  }
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

const QUOTE_IT = 'Put the placeholder in quotes';
const NAME_FIELDS = 'Name the fields of the object, each in quotes';
const PLACEHOLDER =
  'a placeholder {{…}} was not filled in. Apono fills in what its field Body Template holds, and nothing else';
const LAST_COMMA =
  'there is a comma after the last element. Leave it out, or, if the template has -each in its name, use the one without';
const COMMA_OR_QUOTE =
  'a comma is missing, or a quote inside of a text is not escaped. If the template is unchanged, it is the quote: Apono ' +
  'does not escape what people type';

/** What each fault looks like where the text ceases to be JSON, and what to say about it. The first match counts. */
const FAULTS: readonly (readonly [RegExp, string])[] = [
  [
    /^\{+(?:[#/^@]|else\b|this\b)/,
    'the {{#each …}} of the template was not carried out. Use the template without -each in its name',
  ],
  [/^\{?\{\{/, PLACEHOLDER],
  [
    /^["']?[“”„‟‘’‚«»]/,
    'there are curly quotes. Write straight ones, " and not “ or ”, and copy the template as plain text',
  ],
  [/^(?:```|~~~)/, 'there is a code fence of Markdown. Leave out the lines that begin with ```'],
  [/^(?:\/\/|\/\*|#)/, 'there is a comment, which JSON does not have'],
  [/^'/, 'there is a single quote. JSON has double quotes'],
  [/^object \w+\]/, `there is [object Object], which a template prints for an object. ${NAME_FIELDS}`],
  [/^\w+=/, `there is name=value, as Java prints an object. ${NAME_FIELDS}`],
  [/^undefined\b/, `undefined is no value of JSON. ${QUOTE_IT}`],
  [/^(?:NaN|[-+]?Infinity)\b/, `NaN and Infinity are no values of JSON. ${QUOTE_IT}`],
  [/^(?:None|nil|NULL|Null)\b/, `this word for nothing is no value of JSON, which has null. ${QUOTE_IT}`],
  [/^(?:True|False|TRUE|FALSE)\b/, `JSON writes true and false in lower case. ${QUOTE_IT}`],
];

function faultAt(text: string, { at, expected, previous }: ReturnType<typeof firstFault>): string {
  if (text.trim() === '') return 'it is empty. Paste the template into the field Body Template';
  const rest = text.slice(at, at + 64);
  const char = rest.charAt(0);
  if (char === '"' && (expected === 'value' || expected === 'name'))
    return 'it ends too early: the text that begins here has no closing quote';
  if (char === '') return 'it ends too early: a bracket is not closed';
  if (previous === '') return textOfFirst(BEGINNINGS, rest) ?? 'it begins with what is no JSON';
  if (previous === '{' && char === '{') return textOfFirst(FAULTS, rest) ?? PLACEHOLDER;
  const endedText = expected === 'comma_or_end' && previous === '"' && /\w/.test(char);
  const known = endedText ? undefined : textOfFirst(FAULTS, rest);
  if (known !== undefined) return known;
  if (previous === ':' && /[,}\]]/.test(char))
    return 'there is an empty value. A placeholder without quotes leaves this where there is nothing to print: put it in quotes';
  if (previous === ',' && /[}\]]/.test(char)) return LAST_COMMA;
  if (char === ',' && expected !== 'colon' && expected !== 'nothing') return 'there is a comma with nothing before it';
  if (expected === 'nothing')
    return 'something follows after its end. Delete what is left of an older template; several events must be a list';
  if (expected === 'colon') return 'a colon is missing after a name';
  if (expected === 'name') return 'a name of a member is not in quotes';
  if (expected === 'comma_or_end') return faultAfterValue(char, previous);
  if (/[-+.\d]/.test(char)) return `there is a number in a form that JSON does not have. ${QUOTE_IT}`;
  return /[\p{L}_$]/u.test(char) ? `text is not in quotes. ${QUOTE_IT}` : 'this character cannot stand here';
}

function faultAfterValue(char: string, previous: string): string {
  if (/["{[]/.test(char) && previous !== '"') return 'a comma is missing between two members';
  if (previous === '"') return COMMA_OR_QUOTE;
  return /[}\]]/.test(char)
    ? 'a bracket closes what another kind of bracket opened'
    : 'a comma or a closing bracket is missing';
}

/** What else a text is that no JSON begins with. The first match counts. */
const BEGINNINGS: readonly (readonly [RegExp, string])[] = [
  [/^</, 'it is XML or HTML. Choose JSON in what sends it'],
  [/^(?:---\s|\w[\w-]*:\s)/, 'it is YAML or plain text, not JSON'],
  [/^--[\w-]/, 'it is a form of several parts (multipart). Choose JSON in what sends it'],
  [/^[\w.%+[\]-]+=/, 'it is a form (name=value). Choose JSON in what sends it'],
  ...FAULTS,
];

function textOfFirst(faults: typeof FAULTS, rest: string): string | undefined {
  return faults.find(([pattern]) => pattern.test(rest))?.[1];
}
