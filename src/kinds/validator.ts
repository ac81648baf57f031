import { createRequire } from 'node:module';
import type { Ajv2020, ErrorObject } from 'ajv/dist/2020.js';
import requestSchema from '../../schemas/apono/request-event.schema.json' with { type: 'json' };
import { isRecipeRow } from '../apono/event.ts';
import { parseInstant } from '../apono/time.ts';
import type { JsonObject } from '../ground/json.ts';
import type { Problem, WebhookKind } from './kind.ts';

/** The most problems in one answer, which Apono shows to a person. */
const MAX_PROBLEMS = 20;

let loaded: Ajv2020 | null = null;

/**
 * What the schema of a kind says of an event; empty when it is valid. A schema is compiled when it is first needed,
 * because all of them take a good part of a second. A misspelt keyword throws then.
 */
export function validate({ schema, recipeRowSchema }: WebhookKind, event: JsonObject): readonly Problem[] {
  loaded ??= createAjv();
  // ajv keeps what it has compiled.
  const fits = loaded.compile(isRecipeRow(event) ? (recipeRowSchema ?? schema) : schema);
  // ajv does not know raw numbers. Schemas check the event's own members and nothing inside of them.
  const members: Record<string, unknown> = { ...event };
  for (const [name, value] of Object.entries(event)) if (JSON.isRawJSON(value)) members[name] = Number(value.rawJSON);
  return fits(members) ? [] : problemsOf(fits.errors ?? []);
}

/** ajv is loaded here, on first use, for the same reason; at the start it would take 8 MB of resident memory. */
function createAjv(): Ajv2020 {
  const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  // `strictTypes` is off for fields that are described but not checked, which have properties or items without a type.
  // `allErrors` is safe: a schema checks a few members, so even the largest body has few errors. That the schemas are
  // valid ones themselves is a test's matter: to look at it takes as long as to compile them.
  const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true, verbose: true, validateSchema: false });
  ajv.addFormat('apono-time', { type: 'string', validate: (text: string) => parseInstant(text) !== null });
  ajv.addFormat('apono-epoch', { type: 'number', validate: (epoch: number) => parseInstant(epoch) !== null });
  // The others refer to its types.
  return ajv.addSchema(requestSchema);
}

/** One problem for each place, in words for the person who wrote the body template. Never quotes the value. */
function problemsOf(errors: readonly ErrorObject[]): readonly Problem[] {
  const problems = errors.map((error) => ({ path: error.instancePath, message: messageOf(error) }));
  // ajv reports the branches of an anyOf before the anyOf itself, so the last error at a place says most.
  return [...new Map(problems.map((problem) => [problem.path, problem])).values()].slice(0, MAX_PROBLEMS);
}

function messageOf(error: ErrorObject): string {
  const title: unknown = error.parentSchema?.['title'];
  if (error.keyword === 'anyOf' && typeof title === 'string') return `must be ${title}`;
  if (error.keyword === 'pattern') return 'must not be empty';
  return error.message ?? 'is not valid';
}
