import { readFileSync, statSync } from 'node:fs';
import { bad, type ConfigProblem, problemOf, Refusal, tildeProblem, type Variable } from './variable.ts';
import { type Values, type VariableName, variableNames, variables } from './variables.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What is in effect, for people. Never holds a secret. */
export interface Setting {
  readonly name: string;
  /** As it was written, or the default; of a secret only its length; empty when nothing is set. */
  readonly value: string;
  /** `environment`, `file <path>`, `default`, `not set`, or `derived` from other variables. */
  readonly from: string;
}

export type Reading<N extends VariableName> = ReturnType<typeof readVariables<N>>;

const maxFileBytes = 65_536;

/**
 * Reads some variables, each by itself. load.ts checks what they mean together. A variable with a problem has the value
 * of its default, or null. `given`: the names to which somebody gave a value.
 */
export function readVariables<const N extends VariableName>(env: Environment, names: readonly N[]) {
  const raws = new Map(names.map((name) => [name, readRaw(env, name)]));
  const secrets = names.flatMap((name) => (variables[name].secret ? (raws.get(name)?.text ?? []) : []));
  const values: Record<string, unknown> = {};
  const settings: Setting[] = [];
  const given = new Set<string>();
  const problems: ConfigProblem[] = [];
  for (const [name, { text, path, problem }] of raws) {
    const variable: Variable<unknown> = variables[name];
    const parse = (from: string | null) => (from === null ? null : variable.parse(from));
    const parsed = parse(text);
    values[name] = text === null || parsed instanceof Refusal ? parse(variable.default) : parsed;
    if (text === null) {
      settings.push({ name, value: variable.default ?? '', from: variable.default === null ? 'not set' : 'default' });
    } else {
      const length = `${text.length} ${text.length === 1 ? 'character' : 'characters'}`;
      const from = path === null ? 'environment' : `file ${path}`;
      settings.push({ name, value: variable.secret ? `set (${length})` : text, from });
      given.add(name);
    }
    const add = (message: string): void => void problems.push({ name, message });
    if (problem !== null) add(problem);
    else if (parsed instanceof Refusal) add(`${shown(text ?? '', variable, secrets)} ${parsed.message}`);
    else if (text === null && variable.required) {
      const emptyFile = path === null ? '' : ` (${name}_FILE names ${shownPath(path)}, which is empty)`;
      add(`is required and not set${emptyFile}. ${variable.description}`);
    }
  }
  // Each name has its own parser's value, which is what Values says; a loop cannot show that to the compiler.
  return { values: values as Pick<Values, N>, settings, given, problems };
}

/** `path`: of the file that NAME_FILE names. */
function readRaw(env: Environment, name: VariableName) {
  const direct = env[name] || null;
  const path = (variables[name].fromFile && env[`${name}_FILE`]) || null;
  if (path === null) return { text: direct, path, problem: null };
  const wrong = (problem: string) => ({ text: null, path, problem });
  if (direct !== null) return wrong(`is set twice, as ${name} and as ${name}_FILE; keep one`);
  const named = `${name}_FILE names ${shownPath(path)}, which`;
  const tilde = tildeProblem(path);
  if (tilde !== null) return wrong(`${named} ${tilde}`);
  try {
    if (statSync(path).size > maxFileBytes) throw bad('is larger than 64 KiB');
    // Without the line break that editors and `echo` put at the end. The decoder leaves out a byte order mark.
    const text = new TextDecoder().decode(readFileSync(path)).replace(/[\r\n]+$/, '');
    return { text: text || null, path, problem: null };
  } catch (error) {
    return wrong(`${named} ${problemOf(error)}; it must be a file that this user may read`);
  }
}

/** Somebody who mistakes NAME_FILE for NAME puts the secret itself there: what does not look like a path is not shown. */
function shownPath(path: string): string {
  return /[/\\.]/.test(path)
    ? JSON.stringify(path)
    : `something that does not look like a path (${path.length} characters)`;
}

function shown(text: string, variable: Variable<unknown>, secrets: readonly string[]): string {
  // A secret that was pasted into the wrong variable too must not be found in a log.
  if (variable.secret || secrets.some((secret) => secret.length > 3 && text.includes(secret))) return 'the value';
  const withoutLogin = text.replace(/\/\/[^/]*@/, '//…@');
  return JSON.stringify(withoutLogin.length > 100 ? `${withoutLogin.slice(0, 100)}…` : withoutLogin);
}

/** Prefixes that nobody else uses: a name that starts so and is not known is a typing error. */
const ownPrefixes = ['APONO_', 'OUTBOX_', 'LOGS_INGESTION_', 'LOG_ANALYTICS_'];

/** A warning for each variable that looks like ours and is not, with the nearest name that is. */
export function findUnknownNames(env: Environment): ConfigProblem[] {
  const known = variableNames.flatMap((name) => (variables[name].fromFile ? [name, `${name}_FILE`] : [name]));
  const unknown = Object.entries(env).filter(([name, text = '']) => looksOurs(name, text) && !known.includes(name));
  return unknown.map(([name]) => {
    const [nearest] = known.toSorted((a, b) => editDistance(name, a) - editDistance(name, b));
    return { name, message: `is not a variable of this service and has no effect; did you mean ${nearest}?` };
  });
}

/**
 * Kubernetes sets APONO_SENTINEL_SERVICE_HOST, APONO_SENTINEL_PORT=tcp://… and more for a Service of that name.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
function looksOurs(name: string, text: string): boolean {
  if (text === '' || !ownPrefixes.some((prefix) => name.startsWith(prefix))) return false;
  const serviceLink = /_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name);
  return !serviceLink && !/^(tcp|udp|sctp):\/\//.test(text);
}

/** Levenshtein's: how many characters must be inserted, deleted or replaced to make `b` of `a`. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
