/**
 * What a template engine escaped the strings of a body for. With `html` and `html-json` it made the entities, so they are
 * decoded; with `html` and `none` each backslash is what somebody typed.
 */
export type Escaping = 'html' | 'json' | 'html-json' | 'none';

/** What JSON escaping leaves. The other escapes (`\n`, `\b`) also occur in a path such as CORP\bob. */
const JSON_EVIDENCE = /\\(?:["\\/]|u[0-9a-fA-F]{4})/;
/** In text that is valid JSON. */
const ESCAPE = /\\(?:u[0-9a-fA-F]{4}|.)/g;

/** The escaping of a template-made body that is valid JSON as it stands, judged by its text in linear time (ADR 3). */
export function escapingOf(text: string): Escaping {
  const isHtml = hasEntity(text);
  if (!JSON_EVIDENCE.test(text)) return isHtml ? 'html' : 'none';
  // An ampersand that a JSON writer escaped may be the beginning of an entity.
  if (!isHtml) return text.includes('\\u0026') ? 'html-json' : 'json';
  return isWrittenByJsonWriter(text) ? 'html-json' : 'html';
}

/** Whether a JSON writer made a body with both entities and JSON escapes: ADR 3 says how that shows. */
function isWrittenByJsonWriter(text: string): boolean {
  const escapes = new Set(text.matchAll(ESCAPE).map(([found]) => found));
  const telling = [...escapes].filter((found) => /^\\[u/]/.test(found));
  const escaped = new Set(telling.map((found) => JSON.parse(`"${found}"`) as string));
  if ([...escaped].some((char) => /[A-Za-z0-9 ]/.test(char))) return false;
  if (escaped.size === 0) return escapes.has('\\"') || !/[\r\n]/.test(text.trim());
  // Without the escapes every quote begins or ends a string.
  const strings = text
    .replace(ESCAPE, '')
    .split('"')
    .filter((_, index) => index % 2 === 1);
  return escaped.isDisjointFrom(new Set(strings.join('')));
}

/**
 * Reads every backslash and control character inside of strings as typed. Strings end at the next quote, whatever comes
 * before it, because with HTML escaping no value contains a quote. Takes linear time.
 */
export function readLiterally(text: string): string {
  return text
    .split('"')
    .map((part, index) => (index % 2 === 1 ? part.replace(CONTROL_OR_BACKSLASH, escapeChar) : part))
    .join('"');
}

/**
 * Reads only those backslashes and control characters inside of strings as typed that JSON does not allow, for a
 * template whose own text contains `\"`. Takes linear time.
 */
export function escapeInvalid(text: string): string {
  let isInString = false;
  return text.replace(QUOTE_ESCAPE_OR_INVALID, (found) => {
    if (found === '"') isInString = !isInString;
    return isInString && found !== '"' && found.length === 1 ? escapeChar(found) : found;
  });
}

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL_OR_BACKSLASH = /[\\\u0000-\u001f]/g;
const QUOTE_ESCAPE_OR_INVALID = /"|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|[\\\u0000-\u001f]/g;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: control characters are what is looked for

const escapeChar = (char: string) => JSON.stringify(char).slice(1, -1);

/**
 * What Handlebars' escaping makes of & < > " ' ` = (handlebars.js utils.js, handlebars.java
 * EscapingStrategy.HTML_ENTITY), named, decimal or hexadecimal. Handlebars makes no other entities, so they are text.
 */
const ENTITY = /&(?:(amp|lt|gt|quot|apos)|#(0{0,8}(?:34|38|39|60|61|62|96)|[xX]0{0,8}(?:22|26|27|3[cCdDeE]|60)));/g;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function hasEntity(text: string): boolean {
  return text.search(ENTITY) !== -1;
}

/** Decodes each entity once: `&amp;lt;` becomes `&lt;`, since that is what was typed. */
export function decodeEntities(text: string): string {
  return text.replace(ENTITY, (_match, name?: string, number?: string) =>
    name === undefined ? String.fromCharCode(Number(`0${number}`)) : (NAMED[name] ?? ''),
  );
}
