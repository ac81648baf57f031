import { parseIsoTime } from '../../ground/clock.ts';
import { type JsonObject, objectsOf, textOf, textsOf } from '../../ground/json.ts';
import { type Incident, property, textAt } from './incident.ts';

/** What Azure narrows the list to: all criteria must match, and one of several values of a criterion. */
interface IncidentSelection {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly statuses?: readonly string[] | undefined;
  readonly severities?: readonly string[] | undefined;
  /** The title contains one of these texts, in this spelling. */
  readonly titles?: readonly string[] | undefined;
  readonly filter?: string | undefined;
}

export const statuses = ['New', 'Active', 'Closed'] as const;
export const severities = ['High', 'Medium', 'Low', 'Informational'] as const;
export const classifications = ['Undetermined', 'TruePositive', 'BenignPositive', 'FalsePositive'] as const;

/** A text as OData writes it: in single quotes, with quotes inside doubled (OData 4.01, ABNF: SQUOTE-in-string). */
export function odataString(text: string): string {
  return `'${text.toWellFormed().replaceAll("'", "''")}'`;
}

/**
 * The value of `$filter`, before it is encoded for the URL; null when nothing narrows the list. The caller's own part
 * comes first, and without parentheses where it needs none, because Azure accepts `any()` only at the start of a
 * filter.
 */
export function incidentFilter(selection: IncidentSelection): string | null {
  const { since, until, statuses = [], severities = [], titles = [], filter } = selection;
  return allOf([
    filter === undefined ? '' : /\bor\b/i.test(withoutTexts(filter)) ? `(${filter})` : filter.trim(),
    since === undefined ? '' : `properties/createdTimeUtc ge ${since.toISOString()}`,
    until === undefined ? '' : `properties/createdTimeUtc lt ${until.toISOString()}`,
    anyOf(statuses.map((status) => `properties/status eq ${odataString(status)}`)),
    anyOf(severities.map((severity) => `properties/severity eq ${odataString(severity)}`)),
    anyOf(titles.map((title) => `contains(properties/title,${odataString(title)})`)),
  ]);
}

/** Joins filters with `and`, ignoring empty ones and nulls. Each must be complete in itself. */
export function allOf(filters: readonly (string | null)[]): string | null {
  return filters.filter((part) => part !== null && part !== '').join(' and ') || null;
}

function anyOf(parts: readonly string[]): string {
  return parts.length > 1 ? `(${parts.join(' or ')})` : (parts[0] ?? '');
}

/**
 * What is wrong with the caller's own OData filter; null when nothing is visible here. It must be complete in itself:
 * `a) or (b` would mean something else inside of a larger filter.
 */
export function filterProblem(filter: string): string | null {
  if (filter.trim() === '') return 'is empty';
  const outside = withoutTexts(filter);
  if (outside.includes("'")) return "has a quote ' that is not closed (inside of a text it is written twice)";
  let depth = 0;
  for (const character of outside) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth < 0) break;
  }
  return depth === 0 ? azureProblem(outside) : 'has parentheses that do not match';
}

/**
 * Filters for which Azure answers an empty list or an error although incidents match: an `any()` that is not the first
 * and only one (Azure/azure-rest-api-specs#26569, #15391), and the classification Undetermined (#27165).
 */
function azureProblem(outside: string): string | null {
  const lambdas = outside.match(/\/(?:any|all)\s*\(/gi) ?? [];
  if (lambdas.length > 1 || (lambdas.length === 1 && !/^[\s(]*[\w/]+\/any\s*\(/i.test(outside))) {
    return 'holds an any() or all() that is not the first and only one, which Azure answers wrongly: use --label for labels';
  }
  return /classification\s+(?:eq\s+#|in\s*\([^)]*#)|#\s+eq\s+properties\/classification\b/i.test(outside)
    ? 'asks for the classification Undetermined, for which Azure finds nothing: use --classification Undetermined'
    : null;
}

/** Leaves `#` for the text 'Undetermined', and nothing for any other text. */
function withoutTexts(filter: string): string {
  return filter.replaceAll(/'(?:[^']|'')*'/g, (text) => (text === "'Undetermined'" ? '#' : ''));
}

/** Whether a label of the incident has one of these names. As with OData's `eq`, case counts. */
export function hasLabel({ resource }: Incident, names: readonly string[]): boolean {
  return objectsOf(property(resource, 'labels')).some(({ labelName }) => names.some((name) => name === labelName));
}

/**
 * One of this product's names in a query: a table (`AponoAccessRequests_CL`), a stream (`Custom-AponoAuditLogs_CL`), a
 * function (`AponoAccessEvents`) or an ASIM parser (`vimAuditEventApono`). Case matters to KQL.
 */
const ourName = /(?<![A-Za-z0-9])Apono[A-Z]\w*|\b(?:ASim|vim|im)\w*Apono\b/;

/** The names (GUIDs, lower case) of the analytics rules that read Apono's data, whoever wrote them. */
export function aponoRuleNames(rules: readonly JsonObject[]): ReadonlySet<string> {
  const ours = rules.filter((rule) => {
    const query = withoutComments(textAt(rule, 'query') ?? '');
    // Azure writes errors of the data collection rule to DCRLogErrors, where the name of the stream makes them ours.
    return ourName.test(query) || (/\bDCRLogErrors\b/.test(query) && /apono/i.test(query));
  });
  return new Set(ours.flatMap((rule) => lastSegment(textOf(rule['name']) ?? textOf(rule['id']) ?? '') ?? []));
}

export function isMadeBy({ resource }: Incident, ruleNames: ReadonlySet<string>): boolean {
  return textsOf(property(resource, 'relatedAnalyticRuleIds')).some((id) => ruleNames.has(lastSegment(id) ?? ''));
}

/** The GUID at the end of an id, in lower case, because Azure spells the rest of an id in several ways. */
function lastSegment(id: string): string | null {
  return id.split('/').at(-1)?.toLowerCase() || null;
}

/** Removes KQL's comments. A `//` inside of a string, as in a URL, begins none. */
function withoutComments(query: string): string {
  return query.replaceAll(/("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\/[^\n]*/g, '$1 ');
}

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** The forms of `--since` and `--until`, for messages. */
export const timeForms = '2026-11-01, 2026-11-01T08:00:00Z, or back from now 30m, 24h, 7d, 4w';

/**
 * The moment that a text names: ISO 8601 (in UTC unless it has an offset; a date alone is its midnight), or a number of
 * minutes, hours, days or weeks before `nowMs`. Null for any other text.
 */
export function parseMoment(text: string, nowMs: number): Date | null {
  const [, count, unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  const ms = count === undefined ? parseIsoTime(text) : nowMs - Number(count) * unitMs[unit as keyof typeof unitMs];
  return ms === null || ms < 0 ? null : new Date(ms);
}
