import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { parseInstant, parseSeconds } from '../apono/time.ts';
import type { Problem } from './kind.ts';

/** An answer lists so many problems at most: Apono shows it to a person. */
const MAX_PROBLEMS = 20;
const MAX_EXPLAINED_LENGTH = 65_536;

export type Validate = (plain: unknown) => readonly Problem[];

/** Compiles one schema of schemas/apono/. `others` are those that it refers to. Strict: a misspelt keyword throws here. */
export function compileSchema(schema: object, others: readonly object[] = []): Validate {
  const validate = compile(schema, others, false);
  const explain = compile(schema, others, true);
  return (plain) => {
    if (validate(plain)) return [];
    // All errors of a body of megabytes could be more than the body; its first one must do.
    const explains = JSON.stringify(plain).length <= MAX_EXPLAINED_LENGTH;
    if (explains) explain(plain);
    return problemsOf((explains ? explain : validate).errors ?? []);
  };
}

function compile(schema: object, others: readonly object[], allErrors: boolean): ValidateFunction {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors, verbose: true });
  ajv.addFormat('apono-time', { type: 'string', validate: (text: string) => parseInstant(text) !== null });
  ajv.addFormat('apono-seconds', { type: 'string', validate: (text: string) => parseSeconds(text) !== null });
  for (const other of others) ajv.addSchema(other);
  return ajv.compile(schema);
}

/** One problem a place, in words for the person who wrote the body template. Never quotes the value. */
function problemsOf(errors: readonly ErrorObject[]): readonly Problem[] {
  const problems = new Map<string, Problem>();
  // ajv reports the branches of an anyOf before the anyOf itself; the last word at a place is the whole one.
  for (const error of errors) problems.set(error.instancePath, { path: error.instancePath, message: messageOf(error) });
  return [...problems.values()].slice(0, MAX_PROBLEMS);
}

function messageOf(error: ErrorObject): string {
  const title: unknown = error.parentSchema?.['title'];
  if (error.keyword === 'anyOf' && typeof title === 'string') return `must be ${title}`;
  if (error.keyword === 'maxLength' && error.params['limit'] === 0) return 'must be an object or a list, not text';
  if (error.keyword === 'pattern') return 'must not be empty';
  return error.message ?? 'is not valid';
}
