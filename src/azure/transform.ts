/** What a transformation of a data collection rule does to given columns, as far as that can be told without running it. */
export interface TransformEffect {
  /** Columns that it takes away, or renames. */
  readonly dropped: readonly string[];
  /** Columns that it gives another value. */
  readonly replaced: readonly string[];
  /** Whether it can leave out rows. */
  readonly filters: boolean;
  /** Statements that are not understood here; what they do is unknown. */
  readonly unknown: readonly string[];
}

/**
 * Reads `source | project-away a, b | extend c = …`. A transformation works row by row, so the statements that matter
 * are few (https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-transformations-kql).
 */
export function effectOfTransform(transformKql: string | null, columns: readonly string[]): TransformEffect {
  const kept = new Set(columns);
  const replaced = new Set<string>();
  const unknown: string[] = [];
  let filters = false;
  const [source = 'source', ...statements] = splitOutside(transformKql ?? 'source', '|').map((part) => part.trim());
  if (!/^(source)?$/.test(source)) return { dropped: [], replaced: [], filters: false, unknown: [source] };
  for (const statement of statements) {
    const [, operator = '', rest = ''] = /^([\w-]+)\s*([\s\S]*)$/.exec(statement) ?? [];
    const items = splitOutside(rest, ',').map((item) => item.trim());
    if (operator === 'where') filters = true;
    else if (operator === 'project-away')
      items.flatMap((item) => matching(kept, item)).forEach((name) => void kept.delete(name));
    else if (operator === 'project-rename') items.map(assignment).forEach(({ from }) => void kept.delete(from));
    else if (operator === 'extend') items.map(assignment).forEach(({ to }) => void (kept.has(to) && replaced.add(to)));
    else if (operator === 'project') applyProject(items.map(assignment), kept, replaced);
    else unknown.push(statement);
  }
  return { dropped: columns.filter((name) => !kept.has(name)), replaced: [...replaced], filters, unknown };
}

interface Assignment {
  readonly to: string;
  /** The expression; the name of the column itself when there is none. */
  readonly from: string;
}

function applyProject(items: readonly Assignment[], kept: Set<string>, replaced: Set<string>): void {
  const named = new Map(items.map(({ to, from }) => [to, from]));
  for (const name of [...kept]) {
    const from = named.get(name);
    if (from === undefined) kept.delete(name);
    else if (from !== name) replaced.add(name);
  }
}

function assignment(item: string): Assignment {
  const [, to, from] = /^([^=\s]+)\s*=(?![=~])\s*([\s\S]+)$/.exec(item) ?? [];
  return to === undefined || from === undefined
    ? { to: bare(item), from: bare(item) }
    : { to: bare(to), from: bare(from.trim()) };
}

/** `['a name']` is how KQL writes a name that is no identifier. */
function bare(name: string): string {
  return /^\[['"](.*)['"]\]$/.exec(name)?.[1] ?? name;
}

/** `project-away` takes patterns: `a*`. */
function matching(names: ReadonlySet<string>, pattern: string): string[] {
  const parts = bare(pattern)
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('.*')}$`);
  return [...names].filter((name) => expression.test(name));
}

/** Splits at a separator that stands neither in a string nor in brackets. */
function splitOutside(text: string, separator: string): string[] {
  const parts = [''];
  let depth = 0;
  let quote: string | null = null;
  let escaped = false;
  for (const character of text) {
    const inString = quote !== null;
    if (escaped) escaped = false;
    else if (inString && character === '\\') escaped = true;
    else if (inString) quote = character === quote ? null : quote;
    else if (character === '"' || character === "'") quote = character;
    else if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (character === separator && depth === 0 && !inString) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}
