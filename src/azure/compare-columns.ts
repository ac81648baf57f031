import type { TableSchema } from '../sentinel/table.ts';
import type { DataCollectionRule, DataFlow, LogTable, NamedType } from './resource-manager.ts';

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
 * is the only place where it shows before rows are missing something. `error`: values are lost. `warning`: they can be, or
 * another table than ours is filled.
 */
export function* compareRule({ rule, stream, schema, table }: RuleComparison) {
  const declared = rule.streamDeclarations[stream];
  if (declared === undefined) {
    const known = Object.keys(rule.streamDeclarations).join(', ') || 'none';
    yield error(`The rule declares no stream ${stream}. It declares: ${known}.`);
  } else {
    const { missing, wrong } = compareColumns(schema, schema.columns, declared);
    const message = `${stream} does not declare ${missing}: Azure drops undeclared columns without an error.`;
    if (missing !== '') yield error(message);
    for (const { name, from, to } of wrong) yield error(`${stream} declares ${name} as ${to}, our rows carry ${from}.`);
  }
  const flows = flowsOf(rule, stream);
  if (flows.length === 0) yield error(`No data flow of the rule takes ${stream}: nothing arrives.`);
  for (const flow of flows) {
    const name = tableOf(flow, stream);
    const elsewhere = `${stream} flows into ${name}; rules and workbooks of this service read ${schema.name}.`;
    if (name !== schema.name) yield warning(elsewhere);
    const beginning = transformationOf(flow)?.replaceAll(/\s+/g, ' ').slice(0, 200);
    const unchecked = `The transformation of ${stream} into ${name} is not checked here: ${beginning}`;
    if (beginning !== undefined) yield warning(unchecked);
  }
  const ownFlow = flows.find((flow) => tableOf(flow, stream) === table?.name);
  if (table === null || ownFlow === undefined) return;
  const { missing, wrong } = compareColumns(schema, declared ?? [], table.columns);
  const message = `The table ${table.name} has no column ${missing}: what is sent for it is dropped.`;
  if (missing !== '') yield error(message);
  if (transformationOf(ownFlow) !== null) return;
  for (const { name, from, to } of wrong) yield error(`${table.name}.${name} is ${to}, the stream gives ${from}.`);
}

/** The names of our columns that are not among those of the `target`, and ours of a type that `target` does not take. */
function compareColumns({ columns }: TableSchema, source: readonly NamedType[], target: readonly NamedType[]) {
  const typeIn = (list: readonly NamedType[], name: string) => list.find((column) => column.name === name)?.type;
  const missing = columns.flatMap(({ name }) => (typeIn(target, name) === undefined ? [name] : [])).join(', ');
  const wrong = columns.flatMap(({ name, type }) => {
    const from = typeIn(source, name) ?? type;
    const to = typeIn(target, name) ?? from;
    return takes(to, from) ? [] : [{ name, from, to }];
  });
  return { missing, wrong };
}

/** What a data flow makes of rows, in KQL, which is not read here; null: they pass as they are, as those of our templates do. */
function transformationOf({ transformKql }: DataFlow): string | null {
  const kql = transformKql?.trim() ?? 'source';
  return kql === 'source' ? null : kql;
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

const error = (message: string) => ({ level: 'error', message }) as const;
const warning = (message: string) => ({ level: 'warning', message }) as const;
