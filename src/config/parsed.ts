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
