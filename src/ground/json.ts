/** A JSON number that a double cannot hold, made by `JSON.rawJSON`. `JSON.stringify` writes its digits as they are. */
interface RawJsonNumber {
  readonly rawJSON: string;
}

/**
 * A decoded JSON value that lost nothing: numbers are doubles where the double means the same number, and
 * `RawJsonNumber` where it does not. Keys such as `__proto__` are own properties like any other.
 */
export type JsonValue = null | boolean | number | string | RawJsonNumber | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

export function isJsonArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The JSON object that a text is; null for any other text. `parse` throws for what is not JSON. */
export function parseObject(text: string, parse: (text: string) => JsonValue = JSON.parse): JsonObject | null {
  try {
    const value = parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** The digits of a JSON number, null for any other value. */
export function numberText(value: JsonValue | undefined): string | null {
  if (typeof value === 'number') return String(value);
  return JSON.isRawJSON(value) ? value.rawJSON : null;
}

/** The member at a path such as `properties`, `owner`, `email`; null if any part of it is missing. */
export function valueAt(value: JsonValue, ...path: readonly string[]): JsonValue {
  return path.reduce((at: JsonValue, part) => (isJsonObject(at) ? (at[part] ?? null) : null), value);
}

/** Null for a value that is missing, empty or not a text. */
export function textOf(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

export function textsOf(value: JsonValue | undefined): readonly string[] {
  return isJsonArray(value) ? value.flatMap((item) => textOf(item) ?? []) : [];
}

export function objectsOf(value: JsonValue | undefined): readonly JsonObject[] {
  return isJsonArray(value) ? value.filter(isJsonObject) : [];
}

type Change = (text: string) => string;

/** The value with each of its texts changed; names of members are left alone unless `changeName` says otherwise. */
export function mapTexts(value: JsonValue, change: Change, changeName: Change = (name) => name): JsonValue {
  if (typeof value === 'string') return change(value);
  if (isJsonArray(value)) return value.map((item) => mapTexts(item, change, changeName));
  if (!isJsonObject(value)) return value;
  // fromEntries defines properties, so that a name `__proto__` stays a name.
  return Object.fromEntries(
    Object.entries(value).map(([name, child = null]) => [changeName(name), mapTexts(child, change, changeName)]),
  );
}

// TypeScript's own library does not declare these yet: https://tc39.es/proposal-json-parse-with-source/
declare global {
  interface JSON {
    rawJSON(text: string): RawJsonNumber;
    isRawJSON(value: unknown): value is RawJsonNumber;
    parse(
      text: string,
      reviver: (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown,
    ): unknown;
  }
}
