import { isJsonArray, isJsonObject, type JsonValue } from '../ground/json.ts';

/**
 * What Handlebars' escaping makes of & < > " ' ` = (handlebars.js utils.js, handlebars.java
 * EscapingStrategy.HTML_ENTITY), named, decimal or hexadecimal. Handlebars makes no other entities, so they are text.
 */
const ENTITY = /&(?:(amp|lt|gt|quot|apos)|#0{0,8}(34|38|39|60|61|62|96)|#[xX]0{0,8}(22|26|27|3[cCdDeE]|60));/g;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function hasEntity(text: string): boolean {
  return text.search(ENTITY) !== -1;
}

/** Whether the JSON text contains entities, including those whose ampersand a JSON writer escaped. */
export function looksEscaped(json: string): boolean {
  if (!json.includes('&') && !json.includes('\\u0026')) return false;
  return hasEntity(json) || hasEntity(json.replaceAll('\\u0026', '&'));
}

/** Decodes each entity once: `&amp;lt;` becomes `&lt;`, since that is what was typed. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(ENTITY, (_match, name?: string, decimal?: string, hex?: string) => {
    if (name !== undefined) return NAMED[name] ?? '';
    return String.fromCharCode(decimal !== undefined ? Number(decimal) : Number.parseInt(hex ?? '', 16));
  });
}

/** Decodes the entities in all string values. Keys are left alone: the template has them, and nobody typed them. */
export function decodeEntitiesDeep(value: JsonValue): JsonValue {
  if (typeof value === 'string') return decodeEntities(value);
  if (isJsonArray(value)) return value.map(decodeEntitiesDeep);
  if (!isJsonObject(value)) return value;
  // fromEntries defines properties, so that a key `__proto__` stays a key.
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, decodeEntitiesDeep(child ?? null)]));
}
