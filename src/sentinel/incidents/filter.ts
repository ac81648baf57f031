/** What the list is narrowed to. All that is given must be true; of several values of one kind, one. */
export interface IncidentSelection {
  /** Created then or later. */
  readonly since?: Date;
  /** Created earlier than then. */
  readonly until?: Date;
  readonly statuses?: readonly string[];
  readonly severities?: readonly string[];
  /** The title holds this text, in this spelling. */
  readonly titles?: readonly string[];
  /** A label has this name, in this spelling. */
  readonly labels?: readonly string[];
  readonly number?: number;
  /** OData of the caller's own. */
  readonly filter?: string;
}

export const statuses = ['New', 'Active', 'Closed'] as const;
export const severities = ['High', 'Medium', 'Low', 'Informational'] as const;

/** A text as OData writes it: in single quotes, those inside doubled (OData 4.01, ABNF: SQUOTE-in-string). */
export function odataString(text: string): string {
  return `'${text.toWellFormed().replaceAll("'", "''")}'`;
}

/** The value of `$filter`, before it is encoded for the URL; null when nothing narrows. */
export function incidentFilter(selection: IncidentSelection): string | null {
  const { since, until, statuses = [], severities = [], titles = [], labels = [], number, filter } = selection;
  const parts = [
    since === undefined ? '' : `properties/createdTimeUtc ge ${since.toISOString()}`,
    until === undefined ? '' : `properties/createdTimeUtc lt ${until.toISOString()}`,
    anyOf(statuses.map((status) => `properties/status eq ${odataString(status)}`)),
    anyOf(severities.map((severity) => `properties/severity eq ${odataString(severity)}`)),
    anyOf(titles.map((title) => `contains(properties/title,${odataString(title)})`)),
    anyOf(labels.map((label) => `properties/labels/any(i: i/labelName eq ${odataString(label)})`)),
    number === undefined ? '' : `properties/incidentNumber eq ${number}`,
    filter === undefined ? '' : `(${filter})`,
  ];
  return allOf(parts);
}

/** Several filters as one; empty ones and nulls count for nothing. Each must be closed in itself. */
export function allOf(filters: readonly (string | null)[]): string | null {
  const parts = filters.filter((part) => part !== null && part !== '');
  return parts.length === 0 ? null : parts.join(' and ');
}

function anyOf(parts: readonly string[]): string {
  return parts.length > 1 ? `(${parts.join(' or ')})` : (parts[0] ?? '');
}

/**
 * What is wrong with an OData filter of the caller's own; null when nothing can be seen from here. It must be closed in
 * itself: what `a) or (b` means inside of a larger filter is not what was asked for.
 */
export function filterProblem(filter: string): string | null {
  if (filter.trim() === '') return 'is empty';
  const outside = filter.replaceAll(/'(?:[^']|'')*'/g, '');
  if (outside.includes("'")) return "has a quote ' that is not closed (inside of a text it is written twice)";
  let depth = 0;
  for (const character of outside) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth < 0) break;
  }
  return depth === 0 ? null : 'has parentheses that do not match';
}
