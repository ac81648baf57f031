import { decodeEntities } from '../apono/escaping.ts';
import { parse } from '../apono/read.ts';
import { formatInstant, parseInstant, parseSeconds } from '../apono/time.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, numberText } from '../ground/json.ts';

/** Every row repeats the invalid fields of its event, so an event of 10,000 rows multiplies these limits by 10,000. */
const MAX_ENTRIES = 20;
const MAX_TEXT_LENGTH = 1_024;

/** The fields of an event that could not be read, by name, each with its text as it was sent. */
export class InvalidFields {
  readonly #texts = new Map<string, string>();
  /** Whether a field or a part of a text was left out. */
  isCut = false;

  add(name: string, value: JsonValue): void {
    if (this.#texts.has(name)) return;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const isFull = this.#texts.size >= MAX_ENTRIES;
    const isLong = text.length > MAX_TEXT_LENGTH;
    this.isCut ||= isFull || isLong;
    // A cut must not split a character that takes two code units.
    const kept = isLong ? text.slice(0, MAX_TEXT_LENGTH).replace(/[\uD800-\uDBFF]$/, '') : text;
    if (!isFull) this.#texts.set(name, kept);
  }

  addAll(others: InvalidFields): void {
    for (const [name, text] of others.#texts) this.add(name, text);
    this.isCut ||= others.isCut;
  }

  get isEmpty(): boolean {
    return this.#texts.size === 0;
  }

  /** For the column invalid_fields. */
  toColumn(): JsonObject | null {
    return this.isEmpty ? null : Object.fromEntries(this.#texts);
  }
}

export interface Reading {
  /** A template prints an empty string for what is missing. */
  readonly isTemplate: boolean;
  /** Takes what cannot be read. */
  readonly invalid: InvalidFields;
}

/**
 * A place in an event, and how the value there is read. Nothing throws, whatever the value: one that cannot be read is
 * null and recorded as invalid, and one that is missing is null. An object or a list may also come as JSON text, as some
 * template engines print them.
 */
export class EventField {
  readonly value: JsonValue | undefined;
  /** The path as KQL writes it: `access_groups[0].integration`. Empty at the top. */
  readonly name: string;
  readonly #reading: Reading;
  #parsed: JsonValue | undefined;

  constructor(value: JsonValue | undefined, reading: Reading, name = '') {
    this.value = value;
    this.#reading = reading;
    this.name = name;
  }

  /** The same place, but what cannot be read there and below is recorded in `invalid`. */
  within(invalid: InvalidFields): EventField {
    return new EventField(this.value, { ...this.#reading, invalid }, this.name);
  }

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null || (this.#reading.isTemplate && this.value === '');
  }

  /** The value, or the object or list whose JSON text it is. */
  get parsed(): JsonValue {
    this.#parsed ??= (typeof this.value === 'string' ? parseEmbedded(this.value) : null) ?? this.value ?? null;
    return this.#parsed;
  }

  /** A member of the object that is expected here. */
  at(key: string): EventField {
    const object = this.parsed;
    const isObject = isJsonObject(object);
    if (!isObject && !this.isAbsent) this.refuse();
    const value = isObject && Object.hasOwn(object, key) ? object[key] : undefined;
    return new EventField(value, this.#reading, this.name === '' ? key : `${this.name}.${key}`);
  }

  /** The elements of a list, without nulls and empty texts; null if this is no list. */
  elements(): readonly EventField[] | null {
    const list = this.parsed;
    if (!isJsonArray(list)) return null;
    const fields = list.map((value, index) => new EventField(value, this.#reading, `${this.name}[${index}]`));
    return fields.filter(({ value }) => value !== null && value !== '');
  }

  /**
   * The elements of the list that is expected here. An object counts as a list of one if it has any of `members`, the
   * fields of an element.
   */
  list(members: readonly string[]): readonly EventField[] | null {
    if (this.isAbsent) return null;
    const elements = this.elements();
    if (elements !== null) return elements;
    const { parsed } = this;
    if (isJsonObject(parsed) && members.some((name) => Object.hasOwn(parsed, name))) return [this];
    this.refuse();
    return null;
  }

  /** Text as it was sent; numbers and booleans count as text. The empty string of a template is null (ADR 10). */
  text(): string | null {
    return this.isAbsent ? null : this.#orRefused(scalarText(this.value));
  }

  /** ISO 8601 in UTC. */
  time(): string | null {
    const instant = parseInstant(this.value);
    return this.#orRefused(instant === null ? null : formatInstant(instant));
  }

  /** A whole number of seconds. */
  seconds(): number | null {
    return this.#orRefused(parseSeconds(this.value));
  }

  /** Records that the value here is not what it should be. */
  refuse(): void {
    this.#reading.invalid.add(this.name, this.value ?? null);
  }

  #orRefused<Read>(read: Read | null): Read | null {
    if (read === null && !this.isAbsent) this.refuse();
    return read;
  }
}

export function objectAt(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** Text as it was sent, and numbers with all their digits; null for what is no scalar. */
export function scalarText(value: JsonValue | undefined): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' ? String(value) : numberText(value);
}

/**
 * Removes the blanks that a template prints for missing values: null for the empty string and for objects in which
 * nothing is filled, and lists without their blank elements.
 */
export function withoutBlanks(value: JsonValue | undefined): JsonValue {
  if (value === undefined || value === '') return null;
  if (isJsonArray(value)) return value.map(withoutBlanks).filter((element) => element !== null);
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(([key, child]) => [key, withoutBlanks(child)] as const);
  const isBlank = members.every(([, child]) => child === null || (isJsonArray(child) && child.length === 0));
  return isBlank ? null : Object.fromEntries(members);
}

/**
 * The object or list whose JSON a text is; null for any other text, and for JSON that is nested deeper or has more
 * values than a body may. If the text is not JSON, its HTML entities are decoded first, because a template engine may
 * have escaped it in a body that does not show that.
 */
export function parseEmbedded(text: string): JsonObject | readonly JsonValue[] | null {
  if (!/^\s*[[{]/.test(text)) return null;
  return parseContainer(text) ?? (text.includes('&') ? parseContainer(decodeEntities(text)) : null);
}

function parseContainer(text: string): JsonObject | readonly JsonValue[] | null {
  const parsed = parse(text);
  const value = typeof parsed === 'string' ? null : parsed.value;
  return isJsonObject(value) || isJsonArray(value) ? value : null;
}
