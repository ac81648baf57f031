import type { TableSchema } from '../sentinel/table.ts';
import type { DataCollectionRule, DataFlow, LogTable, NamedType } from './resource-manager.ts';

export interface ColumnProblem {
  /** `error`: values are lost. `warning`: they can be, or another table than ours is filled. */
  readonly severity: 'error' | 'warning';
  readonly code:
    | 'stream_undeclared'
    | 'stream_not_in_flow'
    | 'column_undeclared'
    | 'column_type'
    | 'table_column_missing'
    | 'table_column_type'
    | 'transform_drops_columns'
    | 'transform_changes_rows'
    | 'transform_unchecked'
    | 'other_table';
  readonly message: string;
}

export interface RuleComparison {
  readonly rule: DataCollectionRule;
  /** Name of the stream that rows are sent to. */
  readonly stream: string;
  /** Our columns. */
  readonly schema: TableSchema;
  /** The table that the stream flows into; null: it was not read, and only the rule is compared. */
  readonly table: LogTable | null;
}

/** A table that a stream of the rule flows into, and its workspace's ARM id. */
export interface TargetTable {
  readonly workspaceResourceId: string;
  readonly table: string;
}

/** Where the rows of a stream go. Several data flows can take the same stream. */
export function targetTables(rule: DataCollectionRule, stream: string): TargetTable[] {
  const targets = flowsOf(rule, stream).flatMap((flow) =>
    flow.destinations.flatMap((destination) => {
      const workspaceResourceId = rule.workspaces[destination] ?? '';
      return workspaceResourceId === '' ? [] : [{ workspaceResourceId, table: tableOf(flow, stream) }];
    }),
  );
  const keys = targets.map(({ workspaceResourceId, table }) => `${workspaceResourceId} ${table}`.toLowerCase());
  return targets.filter((_, index) => keys.indexOf(keys[index] ?? '') === index);
}

/**
 * What stands between our rows and the table. Azure drops undeclared columns without an error, so that this comparison
 * is the only place where it shows before rows are missing something.
 */
export function compareRule({ rule, stream, schema, table }: RuleComparison): ColumnProblem[] {
  const declared = rule.streamDeclarations[stream];
  const flows = flowsOf(rule, stream);
  const problems: ColumnProblem[] = [];
  if (declared === undefined) {
    const known = Object.keys(rule.streamDeclarations).join(', ') || 'none';
    problems.push(error('stream_undeclared', `The rule declares no stream ${stream}. It declares: ${known}.`));
  } else {
    problems.push(...compareStream(declared, stream, schema));
  }
  if (flows.length === 0)
    problems.push(error('stream_not_in_flow', `No data flow of the rule takes ${stream}: nothing arrives.`));
  for (const flow of flows) problems.push(...compareFlow(flow, stream, schema));
  const ownFlow = flows.find((flow) => tableOf(flow, stream) === table?.name);
  if (table !== null && ownFlow !== undefined) problems.push(...compareTable(table, declared ?? [], ownFlow, schema));
  return problems;
}

function compareStream(declared: readonly NamedType[], stream: string, schema: TableSchema): ColumnProblem[] {
  const types = new Map(declared.map(({ name, type }) => [name, type]));
  const missing = schema.columns.filter(({ name }) => !types.has(name)).map(({ name }) => name);
  const problems: ColumnProblem[] = [];
  if (missing.length > 0) {
    const message = `${stream} does not declare ${missing.join(', ')}: Azure drops ${missing.length === 1 ? 'this column' : 'these columns'} without an error.`;
    problems.push(error('column_undeclared', message));
  }
  for (const { name, type } of schema.columns) {
    const found = types.get(name);
    if (found !== undefined && !takes(found, type)) {
      problems.push(error('column_type', `${stream} declares ${name} as ${found}, our rows carry ${type}.`));
    }
  }
  return problems;
}

function compareFlow(flow: DataFlow, stream: string, schema: TableSchema): ColumnProblem[] {
  const problems: ColumnProblem[] = [];
  const table = tableOf(flow, stream);
  const names = schema.columns.map(({ name }) => name);
  const { dropped, replaced, filters, unknown } = effectOfTransform(flow.transformKql, names);
  const of = `The transformation of ${stream} into ${table}`;
  if (table !== schema.name) {
    problems.push(
      warning('other_table', `${stream} flows into ${table}; rules and workbooks of this service read ${schema.name}.`),
    );
  }
  if (dropped.length > 0) problems.push(error('transform_drops_columns', `${of} drops ${dropped.join(', ')}.`));
  if (replaced.length > 0) problems.push(warning('transform_changes_rows', `${of} replaces ${replaced.join(', ')}.`));
  if (filters) problems.push(warning('transform_changes_rows', `${of} leaves out rows (where).`));
  if (unknown.length > 0) {
    problems.push(warning('transform_unchecked', `${of} cannot be checked here: ${unknown.join(' | ').slice(0, 200)}`));
  }
  return problems;
}

function compareTable(
  table: LogTable,
  declared: readonly NamedType[],
  flow: DataFlow,
  schema: TableSchema,
): ColumnProblem[] {
  const types = new Map(table.columns.map(({ name, type }) => [name, type]));
  const streamTypes = new Map(declared.map(({ name, type }) => [name, type]));
  const names = schema.columns.map(({ name }) => name);
  const { dropped, replaced } = effectOfTransform(flow.transformKql, names);
  const problems: ColumnProblem[] = [];
  const missing = names.filter((name) => !types.has(name) && !dropped.includes(name));
  if (missing.length > 0) {
    const message = `The table ${table.name} has no column ${missing.join(', ')}: what is sent for it is dropped.`;
    problems.push(error('table_column_missing', message));
  }
  for (const { name, type } of schema.columns) {
    const found = types.get(name);
    const sent = streamTypes.get(name) ?? type;
    if (found === undefined || dropped.includes(name) || replaced.includes(name) || takes(found, sent)) continue;
    problems.push(error('table_column_type', `${table.name}.${name} is ${found}, the stream gives ${sent}.`));
  }
  return problems;
}

/** Whether a column of one type keeps values of another. Tables spell `dateTime` what streams spell `datetime`. */
function takes(column: string, value: string): boolean {
  const to = column.toLowerCase();
  const from = value.toLowerCase();
  return to === from || (from === 'int' && (to === 'long' || to === 'real')) || (from === 'string' && to === 'guid');
}

function flowsOf(rule: DataCollectionRule, stream: string): DataFlow[] {
  return rule.dataFlows.filter((flow) => flow.streams.includes(stream));
}

/** `Custom-Name_CL` is the table Name_CL, `Microsoft-Name` the built-in table Name. */
function tableOf(flow: DataFlow, stream: string): string {
  return (flow.outputStream ?? stream).replace(/^(Custom|Microsoft)-/, '');
}

function error(code: ColumnProblem['code'], message: string): ColumnProblem {
  return { severity: 'error', code, message };
}

function warning(code: ColumnProblem['code'], message: string): ColumnProblem {
  return { severity: 'warning', code, message };
}

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
