import { createRequire } from 'node:module';
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { parseInstant } from '../apono/time.ts';
import type { Problem } from './kind.ts';

/** The most problems in one answer, which Apono shows to a person. */
const MAX_PROBLEMS = 20;

type Validate = (plain: unknown) => readonly Problem[];

/**
 * Validates by one schema of schemas/apono/; `others` are those that it refers to. It is compiled on first use, because
 * all of them take a good part of a second and `healthcheck`, which runs every half minute, needs none. A misspelt
 * keyword throws then.
 */
export function compileSchema(schema: object, others: readonly object[] = []): Validate {
  let validate: ValidateFunction | null = null;
  return (plain) => {
    validate ??= compile(schema, others);
    return validate(plain) ? [] : problemsOf(validate.errors ?? []);
  };
}

function compile(schema: object, others: readonly object[]): ValidateFunction {
  // `strictTypes` is off for fields that are described but not checked, which have properties or items without a type.
  // `allErrors` is safe: a schema checks a few members, so even the largest body has few errors.
  const ajv = createAjv({ strict: true, strictTypes: false, allErrors: true, verbose: true });
  ajv.addFormat('apono-time', { type: 'string', validate: (text: string) => parseInstant(text) !== null });
  ajv.addFormat('apono-epoch', { type: 'number', validate: (epoch: number) => parseInstant(epoch) !== null });
  for (const other of others) ajv.addSchema(other);
  return ajv.compile(schema);
}

/** ajv is loaded here, on first use, for the same reason. */
function createAjv(options: ConstructorParameters<typeof Ajv2020>[0]): Ajv2020 {
  const ajv = createRequire(import.meta.url)('ajv/dist/2020.js') as { readonly Ajv2020: typeof Ajv2020 };
  return new ajv.Ajv2020(options);
}

/** One problem for each place, in words for the person who wrote the body template. Never quotes the value. */
function problemsOf(errors: readonly ErrorObject[]): readonly Problem[] {
  const problems = new Map<string, Problem>();
  // ajv reports the branches of an anyOf before the anyOf itself, so the last error at a place says most.
  for (const error of errors) problems.set(error.instancePath, { path: error.instancePath, message: messageOf(error) });
  return [...problems.values()].slice(0, MAX_PROBLEMS);
}

function messageOf(error: ErrorObject): string {
  const title: unknown = error.parentSchema?.['title'];
  if (error.keyword === 'anyOf' && typeof title === 'string') return `must be ${title}`;
  if (error.keyword === 'pattern') return 'must not be empty';
  return error.message ?? 'is not valid';
}
