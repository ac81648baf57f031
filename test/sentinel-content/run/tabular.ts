import { aggregate } from './aggregates.ts';
import { argumentsOf, evaluate, nameOf } from './expression.ts';
import { RULE_OPERATORS } from './rule-operators.ts';
import type { Row, Scope, Table } from './table.ts';
import { childAt, childOf, elements, lists, type Tree } from './tree.ts';
import { groupKey, type Value } from './values.ts';

type Source = (scope: Scope, tree: Tree) => Table;
export type Operator = (input: Table, tree: Tree, scope: Scope) => Table;

const SOURCES: Readonly<Record<string, Source>> = {
  NameReference: (scope, tree) => scope.tables.get(nameOf(tree)) ?? callFunction(scope, nameOf(tree), []),
  ParenthesizedExpression: (scope, tree) => tableOf(childAt(tree, 1), scope),
  MaterializeExpression: (scope, tree) => tableOf(childAt(tree, 2), scope),
  FunctionCallExpression: (scope, tree) => callFunction(scope, nameOf(childAt(tree, 0)), argumentsOf(tree)),
  DataTableExpression: (scope, tree) => datatable(tree, scope),
  PrintOperator: (scope, tree) => project({ columns: [], rows: [{}] }, tree, scope),
  UnionOperator: (scope, tree) => union(elements(lists(tree).at(-1)).map((one) => tableOf(one, scope))),
  PipeExpression: (scope, tree) => applyOperator(tableOf(childAt(tree, 0), scope), childAt(tree, 2), scope),
};

const OPERATORS: Readonly<Record<string, Operator>> = {
  ...RULE_OPERATORS,
  FilterOperator: (input, tree, scope) => ({
    ...input,
    rows: input.rows.filter((row) => evaluate(childAt(tree, -1), within(scope, row)) === true),
  }),
  ExtendOperator: extend,
  ProjectOperator: project,
  ProjectAwayOperator: projectAway,
  SummarizeOperator: summarize,
  MvExpandOperator: mvExpand,
  LookupOperator: (input, tree, scope) => join(input, tree, scope),
  JoinOperator: (input, tree, scope) => join(input, tree, scope),
};

/** What one operator of a pipe makes of the table before it. */
export function applyOperator(input: Table, tree: Tree, scope: Scope): Table {
  const operator = OPERATORS[tree.kind];
  if (operator === undefined) throw new Error(`no operator: ${tree.kind}`);
  return operator(input, tree, scope);
}

/** The table that a tabular expression makes. */
export function tableOf(tree: Tree, scope: Scope): Table {
  const source = SOURCES[tree.kind];
  if (source === undefined) throw new Error(`no table: ${tree.kind}`);
  return source(scope, tree);
}

/** What a block of `let` statements and a last expression makes, in a query or in a function's body. */
export function runBlock(statements: readonly Tree[], scope: Scope): Table {
  let inner = scope;
  for (const statement of statements) {
    if (statement.kind === 'SetOptionStatement') {
      inner = { ...inner, now: evaluate(childAt(childAt(statement, -1), 1), inner) };
      continue;
    }
    if (statement.kind !== 'LetStatement')
      return tableOf(statement.kind === 'ExpressionStatement' ? childAt(statement, 0) : statement, inner);
    inner = withLet(statement, inner);
  }
  throw new Error('the block ends without an expression');
}

const SCALAR_START = /^(?:coalesce|now|min_of)$/;
const SCALAR_KIND = /^(?:ToScalar|Dynamic|\w+Literal)Expression$/;

function withLet(statement: Tree, scope: Scope): Scope {
  const name = nameOf(childAt(statement, 1));
  const value = childAt(statement, 3);
  if (value.kind === 'FunctionDeclaration') {
    const parameters = elements(childOf(childAt(value, 0), 'List')).map((parameter) => {
      const given = childOf(parameter, 'DefaultValueDeclaration');
      return {
        name: nameOf(childAt(parameter, 0)),
        byDefault: given === undefined ? undefined : evaluate(childAt(given, 1), scope),
      };
    });
    return { ...scope, functions: new Map([...scope.functions, [name, { parameters, body: childAt(value, 1) }]]) };
  }
  if (
    SCALAR_KIND.test(value.kind) ||
    (value.kind === 'FunctionCallExpression' && SCALAR_START.test(nameOf(childAt(value, 0))))
  )
    return { ...scope, values: new Map([...scope.values, [name, evaluate(value, scope)]]) };
  return { ...scope, tables: new Map([...scope.tables, [name, tableOf(value, scope)]]) };
}

function callFunction(scope: Scope, name: string, args: readonly Tree[]): Table {
  const lambda = scope.functions.get(name);
  if (lambda === undefined) throw new Error(`no table or function is called ${name}`);
  const named = new Map<string, Value>();
  for (const [index, argument] of args.entries()) {
    const isNamed = argument.kind === 'SimpleNamedExpression';
    const parameter = isNamed ? nameOf(childAt(argument, 0)) : lambda.parameters[index]?.name;
    named.set(parameter ?? '', evaluate(isNamed ? childAt(argument, 2) : argument, scope));
  }
  const values = lambda.parameters.map((one) => [one.name, named.get(one.name) ?? one.byDefault ?? null] as const);
  const body = lambda.body.children.filter(({ kind }) => !kind.endsWith('BraceToken'));
  const statements = body.flatMap((part) => (part.kind === 'List' ? elements(part) : [part]));
  return runBlock(statements, { ...scope, row: {}, values: new Map([...scope.values, ...values]) });
}

function within(scope: Scope, row: Row): Scope {
  return { ...scope, row };
}

function datatable(tree: Tree, scope: Scope): Table {
  const columns = elements(childOf(childOf(tree, 'RowSchema') ?? tree, 'List')).map((one) => nameOf(childAt(one, 0)));
  const values = elements(lists(tree).at(-1)).map((one) => evaluate(one, scope));
  const rows: Row[] = [];
  for (let start = 0; start < values.length; start += columns.length)
    rows.push(Object.fromEntries(columns.map((column, index) => [column, values[start + index] ?? null])));
  return { columns, rows: scope.arrange(rows) };
}

function nameAndValue(tree: Tree): readonly [string, Tree] {
  return tree.kind === 'SimpleNamedExpression' ? [nameOf(childAt(tree, 0)), childAt(tree, 2)] : [nameOf(tree), tree];
}

function extend(input: Table, tree: Tree, scope: Scope): Table {
  const made = elements(childOf(tree, 'List')).map(nameAndValue);
  const running = new Map<string, number>();
  const rows = input.rows.map((row, index) => {
    const inner = { ...within(scope, row), previous: input.rows[index - 1] ?? null, running };
    return { ...row, ...Object.fromEntries(made.map(([name, value]) => [name, evaluate(value, inner)])) };
  });
  return { columns: [...new Set([...input.columns, ...made.map(([name]) => name)])], rows };
}

export function project(input: Table, tree: Tree, scope: Scope): Table {
  const columns = elements(childOf(tree, 'List')).map((one) => nameAndValue(one)[0]);
  const rows = extend(input, tree, scope).rows.map((row) => pick(row, columns));
  return { columns, rows };
}

function projectAway(input: Table, tree: Tree): Table {
  const gone = new Set(elements(childOf(tree, 'List')).map(nameOf));
  const columns = input.columns.filter((column) => !gone.has(column));
  return { columns, rows: input.rows.map((row) => pick(row, columns)) };
}

function pick(row: Row, columns: readonly string[]): Row {
  return Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
}

function union(tables: readonly Table[]): Table {
  const columns = [...new Set(tables.flatMap((table) => table.columns))];
  return { columns, rows: tables.flatMap(({ rows }) => rows.map((row) => pick(row, columns))) };
}

function summarize(input: Table, tree: Tree, scope: Scope): Table {
  const by = elements(childOf(childOf(tree, 'SummarizeByClause') ?? { kind: '', text: '', children: [] }, 'List')).map(
    nameAndValue,
  );
  const aggregates = elements(lists(tree).at(-1));
  const groups = Map.groupBy(input.rows, (row) =>
    by.map(([, value]) => groupKey(evaluate(value, within(scope, row)))).join('\n'),
  );
  // Without `by`, no rows are one group.
  if (by.length === 0 && groups.size === 0) groups.set('', []);
  const rows = [...groups.values()].map((members) => {
    const scoped = members.map((row) => ({ row, scope: within(scope, row) }));
    const keys = scoped
      .slice(0, 1)
      .map((first) => Object.fromEntries(by.map(([name, value]) => [name, evaluate(value, first.scope)])));
    const made = aggregates.map((one, index) => aggregate(one, scoped, `column_${index}`));
    // What is named in the by clause or by an aggregate goes before what arg_max(..., *) brings along.
    return Object.assign({}, ...made.toReversed(), ...keys) as Row;
  });
  const nothing =
    rows.length > 0
      ? []
      : [...by.map(([name]) => name), ...aggregates.flatMap((one) => Object.keys(aggregate(one, [], '')))];
  return { columns: [...new Set([...rows.flatMap((row) => Object.keys(row)), ...nothing])], rows };
}

/** A null makes one row with a null, an empty array none. */
function mvExpand(input: Table, tree: Tree, scope: Scope): Table {
  const [name, array] = nameAndValue(childAt(elements(lists(tree).at(-1))[0] ?? tree, 0));
  const rows = input.rows.flatMap((row) => {
    const value = evaluate(array, within(scope, row));
    return (Array.isArray(value) ? value : [value]).map((element: Value) => ({ ...row, [name]: element }));
  });
  return { columns: [...new Set([...input.columns, name])], rows };
}

/** `join kind=inner|leftouter|leftanti` and `lookup`, on columns of one name; the right side's copy of the key is left out. */
function join(input: Table, tree: Tree, scope: Scope): Table {
  const isInner = lists(tree)[0]?.text.includes('inner') ?? false;
  const keys = elements(childOf(childOf(tree, 'JoinOnClause') ?? tree, 'List')).map(nameOf);
  const right = tableOf(childAt(tree, 2), scope);
  const keyOf = (row: Row): string => keys.map((key) => groupKey(row[key] ?? null)).join('\n');
  const byKey = Map.groupBy(right.rows, keyOf);
  if (lists(tree)[0]?.text.includes('leftanti'))
    return { ...input, rows: input.rows.filter((row) => !byKey.has(keyOf(row))) };
  const nothing = Object.fromEntries(right.columns.map((column) => [column, null]));
  const rows = input.rows.flatMap((row) => {
    const matches = byKey.get(keyOf(row)) ?? (isInner ? [] : [nothing]);
    return matches.map((match) => ({ ...match, ...row }));
  });
  return { columns: [...new Set([...input.columns, ...right.columns])], rows };
}
