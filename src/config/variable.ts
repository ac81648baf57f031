/**
 * What became of a variable's text. `problem` continues a sentence that starts with the value or with "the value", since
 * a secret is never shown: "is not a whole number from 0 to 65535".
 */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** Gets the text as it stands in the environment, never empty. */
export type Parse<T> = (text: string) => Parsed<T>;

export function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function bad(problem: string): Parsed<never> {
  return { ok: false, problem };
}

/** Something to tell the operator about one variable. Never holds a secret. */
export interface ConfigProblem {
  readonly name: string;
  readonly message: string;
}

interface Details {
  /** A sentence or two, as they stand in .env.example and the documentation. */
  readonly description: string;
  readonly required: boolean;
  /** Its value is never shown, only its length. */
  readonly secret: boolean;
  /** Whether NAME_FILE may name a file that holds the value. */
  readonly fromFile: boolean;
  /** Shown in .env.example for a variable without a default. */
  readonly example: string;
}

/** One variable of the environment: what it means, how it is read, and what stands for it when it is not set. */
export interface Variable<T, D extends string | null = string | null> extends Details {
  /** The text that stands for it when it is unset; null when nothing does. */
  readonly default: D;
  readonly parse: Parse<T>;
}

type Said = Pick<Details, 'description'> & Partial<Details>;

const unsaid = { required: false, secret: false, fromFile: true, example: '' };

/** A variable that something stands for when it is unset. */
export function defaulted<T>(fallback: string, parse: Parse<T>, said: Said): Variable<T, string> {
  return { ...unsaid, ...said, default: fallback, parse };
}

/** A variable that may have no value, or one that must be set. */
export function variable<T>(parse: Parse<T>, said: Said): Variable<T, null> {
  return { ...unsaid, ...said, default: null, parse };
}

/** What reading a variable gives: null only where no default stands for it. */
export type ValueOf<V> = V extends { parse: Parse<infer T>; default: infer D }
  ? D extends string
    ? T
    : T | null
  : never;
