import { instantText, parseSeconds } from '../apono/time.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import { parseEmbedded, textAt } from './fields.ts';

/** Every row repeats the invalid fields of its event, so an event of 10,000 rows multiplies these limits by 10,000. */
const MAX_ENTRIES = 20;
const MAX_TEXT_LENGTH = 1_024;

/** The fields of an event that could not be read, by name, each with its text as it was sent. */
export class InvalidFields {
  readonly #texts = new Map<string, string>();
  #isCut = false;

  add(name: string, value: JsonValue): void {
    if (this.#texts.has(name)) return;
    if (this.#texts.size >= MAX_ENTRIES) {
      this.#isCut = true;
      return;
    }
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    if (text.length > MAX_TEXT_LENGTH) this.#isCut = true;
    // A cut must not split a character that takes two code units.
    this.#texts.set(
      name,
      text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH).replace(/[\uD800-\uDBFF]$/, '') : text,
    );
  }

  addAll(others: InvalidFields): void {
    for (const [name, text] of others.#texts) this.add(name, text);
    this.#isCut ||= others.#isCut;
  }

  /** Whether a field or a part of a text was left out. */
  get isCut(): boolean {
    return this.#isCut;
  }

  get isEmpty(): boolean {
    return this.#texts.size === 0;
  }

  /** For the column invalid_fields. */
  toColumn(): JsonObject | null {
    return this.#texts.size === 0 ? null : Object.fromEntries(this.#texts);
  }
}

interface Reading {
  /** A template prints an empty string for what is missing. */
  readonly isTemplate: boolean;
  readonly invalid: InvalidFields;
}

/**
 * A place in an event, and how the value there is read. Nothing throws, whatever the value: one that cannot be read is
 * null and recorded in `invalid`, and one that is missing is null. An object or a list may also come as JSON text, as
 * some template engines print them.
 */
export class EventField {
  readonly value: JsonValue | undefined;
  readonly #parent: EventField | null;
  readonly #key: string | number;
  readonly #reading: Reading;
  #parsed: JsonValue | undefined;
  #isRefused = false;

  private constructor(
    value: JsonValue | undefined,
    place: { readonly parent: EventField | null; readonly key: string | number },
    reading: Reading,
  ) {
    this.value = value;
    this.#parent = place.parent;
    this.#key = place.key;
    this.#reading = reading;
  }

  /** The object at the top, whose members have names without a prefix. */
  static root(value: JsonObject, reading: Reading): EventField {
    return new EventField(value, { parent: null, key: '' }, reading);
  }

  /** The same place, but what cannot be read there and below is recorded in `invalid`. */
  within(invalid: InvalidFields): EventField {
    const { isTemplate } = this.#reading;
    return new EventField(this.value, { parent: this.#parent, key: this.#key }, { isTemplate, invalid });
  }

  /** The list that records what cannot be read here. */
  get invalid(): InvalidFields {
    return this.#reading.invalid;
  }

  /** The path as KQL writes it: `access_groups[0].integration`. */
  get name(): string {
    if (this.#parent === null) return '';
    const { name } = this.#parent;
    if (typeof this.#key === 'number') return `${name}[${this.#key}]`;
    return name === '' ? this.#key : `${name}.${this.#key}`;
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
    if (!isJsonObject(object)) {
      if (!this.isAbsent) this.refuse();
      return this.#child(undefined, key);
    }
    return this.#child(Object.hasOwn(object, key) ? object[key] : undefined, key);
  }

  /** The elements of a list, without nulls and empty texts; null if this is no list. */
  elements(): Iterable<EventField> | null {
    const list = this.parsed;
    return isJsonArray(list) ? this.#elementsOf(list) : null;
  }

  /** A generator, since a body may have hundreds of thousands of elements. */
  *#elementsOf(list: readonly JsonValue[]): Generator<EventField> {
    for (const [index, value] of list.entries()) if (value !== null && value !== '') yield this.#child(value, index);
  }

  /**
   * The elements of the list that is expected here. An object counts as a list of one if it has any of `members`, the
   * fields of an element.
   */
  list(members: readonly string[]): Iterable<EventField> | null {
    if (this.isAbsent) return null;
    const elements = this.elements();
    if (elements !== null) return elements;
    const { parsed } = this;
    if (isJsonObject(parsed) && members.some((name) => Object.hasOwn(parsed, name))) return [this];
    this.refuse();
    return null;
  }

  /** Text as it was sent; numbers and booleans count as text. */
  text(): string | null {
    return this.#orRefused(textAt(this.value, this.#reading.isTemplate));
  }

  /** ISO 8601 in UTC. */
  time(): string | null {
    return this.#orRefused(instantText(this.value));
  }

  /** A whole number of seconds. */
  seconds(): number | null {
    return this.#orRefused(parseSeconds(this.value));
  }

  /** Records that the value here is not what it should be. */
  refuse(): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#reading.invalid.add(this.name, this.value ?? null);
  }

  #orRefused<Read>(read: Read | null): Read | null {
    if (read === null && !this.isAbsent) this.refuse();
    return read;
  }

  #child(value: JsonValue | undefined, key: string | number): EventField {
    return new EventField(value, { parent: this, key }, this.#reading);
  }
}
