import type { TableSchema } from '../sentinel/table.ts';
import type { DataCollectionRule, DataFlow, LogTable, NamedType } from './resource-manager.ts';

/** `error`: values are lost. `warning`: they can be, or another table than ours is filled. */
type ColumnProblem = ReturnType<typeof error | typeof warning>;
/** False: this is as it should be. */
type Finding = ColumnProblem | false;

interface RuleComparison {
  readonly rule: DataCollectionRule;
  readonly stream: string;
  readonly schema: TableSchema;
  /** The table that the stream flows into; null: it was not read, and only the rule is compared. */
  readonly table: LogTable | null;
}

/**
 * Where the rows of a stream go, as a table and the ARM id of its workspace. Several data flows can take one stream: the
 * table of this name counts if there is one, else the first.
 */
export function targetTable(rule: DataCollectionRule, stream: string, name: string) {
  const targets = flowsOf(rule, stream).flatMap((flow) =>
    flow.destinations
      .map((destination) => ({ workspaceResourceId: rule.workspaces[destination] ?? '', table: tableOf(flow, stream) }))
      .filter(({ workspaceResourceId }) => workspaceResourceId !== ''),
  );
  return targets.find(({ table }) => table === name) ?? targets[0];
}

/**
 * What stands between our rows and the table. Azure drops undeclared columns without an error, so that this comparison
 * is the only place where it shows before rows are missing something.
 */
export function compareRule({ rule, stream, schema, table }: RuleComparison): ColumnProblem[] {
  const declared = rule.streamDeclarations[stream];
  const flows = flowsOf(rule, stream);
  const ownFlow = flows.find((flow) => tableOf(flow, stream) === table?.name);
  const known = Object.keys(rule.streamDeclarations).join(', ') || 'none';
  const findings = [
    declared === undefined
      ? [error(`The rule declares no stream ${stream}. It declares: ${known}.`)]
      : compareStream(declared, stream, schema),
    [flows.length === 0 && error(`No data flow of the rule takes ${stream}: nothing arrives.`)],
    ...flows.map((flow) => compareFlow(flow, stream, schema)),
    table === null || ownFlow === undefined ? [] : compareTable(table, declared ?? [], ownFlow, schema),
  ];
  return findings.flat().filter((finding) => finding !== false);
}

function compareStream(declared: readonly NamedType[], stream: string, schema: TableSchema): Finding[] {
  const types = typesOf(declared);
  const missing = namesOf(schema).filter((name) => !types.has(name));
  const which = missing.length === 1 ? 'this column' : 'these columns';
  const message = `${stream} does not declare ${missing.join(', ')}: Azure drops ${which} without an error.`;
  const differing = schema.columns.map(({ name, type }) => {
    const found = types.get(name) ?? type;
    return !takes(found, type) && error(`${stream} declares ${name} as ${found}, our rows carry ${type}.`);
  });
  return [missing.length > 0 && error(message), ...differing];
}

function compareFlow(flow: DataFlow, stream: string, schema: TableSchema): Finding[] {
  const table = tableOf(flow, stream);
  const { dropped, replaced, filters, unknown } = effectOfTransform(flow.transformKql, namesOf(schema));
  const of = `The transformation of ${stream} into ${table}`;
  const elsewhere = `${stream} flows into ${table}; rules and workbooks of this service read ${schema.name}.`;
  const unchecked = `${of} cannot be checked here: ${unknown.join(' | ').slice(0, 200)}`;
  return [
    table !== schema.name && warning(elsewhere),
    dropped.length > 0 && error(`${of} drops ${dropped.join(', ')}.`),
    replaced.length > 0 && warning(`${of} replaces ${replaced.join(', ')}.`),
    filters && warning(`${of} leaves out rows (where).`),
    unknown.length > 0 && warning(unchecked),
  ];
}

function compareTable(table: LogTable, declared: readonly NamedType[], flow: DataFlow, schema: TableSchema): Finding[] {
  const types = typesOf(table.columns);
  const streamTypes = typesOf(declared);
  const { dropped, replaced } = effectOfTransform(flow.transformKql, namesOf(schema));
  const missing = namesOf(schema).filter((name) => !types.has(name) && !dropped.includes(name));
  const message = `The table ${table.name} has no column ${missing.join(', ')}: what is sent for it is dropped.`;
  const differing = schema.columns.map(({ name, type }) => {
    const sent = streamTypes.get(name) ?? type;
    const found = types.get(name) ?? sent;
    const isSentOn = !dropped.includes(name) && !replaced.includes(name);
    const text = `${table.name}.${name} is ${found}, the stream gives ${sent}.`;
    return isSentOn && !takes(found, sent) && error(text);
  });
  return [missing.length > 0 && error(message), ...differing];
}

/** Whether a column of one type keeps values of another. Tables spell `dateTime` what streams spell `datetime`. */
function takes(column: string, value: string): boolean {
  const to = column.toLowerCase();
  const from = value.toLowerCase();
  return to === from || (from === 'int' && (to === 'long' || to === 'real')) || (from === 'string' && to === 'guid');
}

function typesOf(columns: readonly NamedType[]): ReadonlyMap<string, string> {
  return new Map(columns.map(({ name, type }) => [name, type]));
}

function namesOf({ columns }: TableSchema): string[] {
  return columns.map(({ name }) => name);
}

function flowsOf(rule: DataCollectionRule, stream: string): DataFlow[] {
  return rule.dataFlows.filter((flow) => flow.streams.includes(stream));
}

/** `Custom-Name_CL` is the table Name_CL, `Microsoft-Name` the built-in table Name. */
function tableOf(flow: DataFlow, stream: string): string {
  return (flow.outputStream ?? stream).replace(/^(Custom|Microsoft)-/, '');
}

const error = (message: string) => ({ level: 'error', message }) as const;
const warning = (message: string) => ({ level: 'warning', message }) as const;

/**
 * What a transformation such as `source | project-away a, b | extend c = …` does to given columns, as far as that can be
 * told without running it; `unknown` are the statements that are not understood here. It works row by row, so those that
 * matter are few (https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-transformations-kql).
 */
export function effectOfTransform(transformKql: string | null, columns: readonly string[]) {
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

function applyProject(items: readonly ReturnType<typeof assignment>[], kept: Set<string>, replaced: Set<string>): void {
  const named = new Map(items.map(({ to, from }) => [to, from]));
  for (const name of [...kept]) {
    const from = named.get(name);
    if (from === undefined) kept.delete(name);
    else if (from !== name) replaced.add(name);
  }
}

/** `from`: the expression, or the name of the column itself when there is none. */
function assignment(item: string) {
  const [, to = item, from = item] = /^([^=\s]+)\s*=(?![=~])\s*([\s\S]+)$/.exec(item) ?? [];
  return { to: bare(to), from: bare(from.trim()) };
}

/** `['a name']` is how KQL writes a name that is no identifier. */
function bare(name: string): string {
  return /^\[['"](.*)['"]\]$/.exec(name)?.[1] ?? name;
}

/** `project-away` takes patterns: `a*`. */
function matching(names: ReadonlySet<string>, pattern: string): string[] {
  const expression = new RegExp(`^${bare(pattern).split('*').map(RegExp.escape).join('.*')}$`);
  return [...names].filter((name) => expression.test(name));
}

/** Splits at a separator that stands neither in a string nor in brackets. */
function splitOutside(text: string, separator: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const [piece] of text.matchAll(/"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|./gs)) {
    if ('([{'.includes(piece)) depth += 1;
    else if (')]}'.includes(piece)) depth -= 1;
    if (piece === separator && depth === 0) parts.push('');
    else parts[parts.length - 1] += piece;
  }
  return parts;
}
