import { accessSync, constants } from 'node:fs';

/**
 * Why the text of a variable is refused, or the file that it names. It continues a sentence that starts with the value or
 * with "the value", since a secret is never shown, or with "names <file>, which": "is not a whole number from 0 to 65535".
 */
export class Refusal extends Error {}

export const bad = (problem: string): Refusal => new Refusal(problem);

/** Gets the text as it stands in the environment, never empty. */
export type Parse<T> = (text: string) => T | Refusal;

/** Something to tell the operator about one variable. Never holds a secret. */
export interface ConfigProblem {
  readonly name: string;
  readonly message: string;
}

/** One variable of the environment: what it means, how it is read, and what stands for it when it is not set. */
export interface Variable<T> {
  readonly parse: Parse<T>;
  /** The text that stands for it when it is unset; null when nothing does. */
  readonly default: string | null;
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

type Said = Pick<Variable<unknown>, 'description'> & Partial<Omit<Variable<unknown>, 'parse' | 'default'>>;

const unsaid = { required: false, secret: false, fromFile: true, example: '' };

/** A variable for which a text stands when it is unset. */
export function defaulted<T>(fallback: string, parse: Parse<T>, said: Said): Variable<T> {
  return { ...unsaid, ...said, default: fallback, parse };
}

/** A variable that may have no value, or one that must be set. */
export function variable<T>(parse: Parse<T>, said: Said): Variable<T | null> {
  return { ...unsaid, ...said, default: null, parse };
}

/** What is said of a file that a variable names. It continues a sentence that starts with the name of the variable. */
export function fileProblem(path: string, what: string): string {
  return `names ${JSON.stringify(path)}, which ${what}`;
}

/** What is wrong with a file, or why it could not be opened. */
export function problemOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  return `cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'})`;
}

/** Why this user may not read the file; null when it can be read. */
export function accessProblem(path: string): string | null {
  try {
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    return problemOf(error);
  }
}

/** Why a path that starts with `~` is refused (`~`, `~/data`, `~name/data`); null for any other. */
export function tildeProblem(path: string): string | null {
  if (!/^~[\w.-]*([/\\]|$)/.test(path)) return null;
  return 'starts with ~, which a shell replaces by a home folder and this service does not; write the whole path';
}
