import type { ConfigProblem } from './parsed.ts';
import type { Environment } from './read.ts';
import { variableNames, variables } from './variables.ts';

/** Prefixes that nobody else uses: a name that starts so and is not known is a typing error. */
const ownPrefixes = ['APONO_', 'OUTBOX_', 'LOGS_INGESTION_', 'LOG_ANALYTICS_'];

/** A warning for each variable that looks like ours and is not, with the nearest name that is. `extra`: other known names. */
export function findUnknownNames(env: Environment, extra: readonly string[] = []): ConfigProblem[] {
  const known = new Set<string>(extra.flatMap((name) => [name, `${name}_FILE`]));
  for (const name of variableNames) {
    known.add(name);
    if (variables[name].fromFile) known.add(`${name}_FILE`);
  }
  return Object.entries(env)
    .filter(([name, text]) => text !== undefined && text !== '' && !known.has(name) && looksOurs(name, text))
    .map(([name]) => ({
      name,
      message: `is not a variable of this service and has no effect; did you mean ${nearest(name, [...known])}?`,
    }));
}

/**
 * Kubernetes sets APONO_SENTINEL_SERVICE_HOST, APONO_SENTINEL_PORT=tcp://… and more for a Service of that name.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
function looksOurs(name: string, text: string): boolean {
  const serviceLink = /_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name);
  return ownPrefixes.some((prefix) => name.startsWith(prefix)) && !serviceLink && !/^(tcp|udp|sctp):\/\//.test(text);
}

function nearest(name: string, candidates: readonly string[]): string {
  let best = '';
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
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
