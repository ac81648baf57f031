import { argumentsOf, evaluate, nameOf } from './expression.ts';
import type { Row, Scope } from './table.ts';
import { childAt, childOf, elements, type Tree } from './tree.ts';
import { compare, groupKey, type Value } from './values.ts';

/** A row with the scope in which its columns have their values. */
export interface ScopedRow {
  readonly row: Row;
  readonly scope: Scope;
}

/** The columns that one aggregate of a `summarize` makes of the rows of a group. */
export function aggregate(tree: Tree, rows: readonly ScopedRow[], defaultName: string): Row {
  if (tree.kind === 'SimpleNamedExpression') return { [nameOf(childAt(tree, 0))]: single(childAt(tree, 2), rows) };
  if (tree.kind === 'CompoundNamedExpression') return renamed(tree, rows);
  const name = nameOf(childAt(tree, 0));
  if (name === 'arg_max') return argBest(tree, rows, 1);
  if (name === 'arg_min') return argBest(tree, rows, -1);
  return { [defaultName]: single(tree, rows) };
}

/** `(A, B) = arg_max(a, b)` */
function renamed(tree: Tree, rows: readonly ScopedRow[]): Row {
  const names = elements(childOf(childAt(tree, 0), 'List')).map(nameOf);
  const values = Object.values(aggregate(childAt(tree, 2), rows, ''));
  if (values.length !== names.length) throw new Error(`not as many names as columns: ${tree.text}`);
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? null]));
}

interface Group {
  /** The values of the aggregate's first argument, nulls left out, as all aggregates do. */
  readonly all: () => readonly Value[];
  /** Those of the rows in which the second argument holds. */
  readonly some: () => readonly Value[];
  /** How many rows the group has, and in how many the first argument holds. */
  readonly size: number;
  readonly holding: () => number;
  /** The largest number of elements, where one is given. */
  readonly cap: (index: number) => number;
}

const AGGREGATES: Readonly<Record<string, (group: Group) => Value>> = {
  count: ({ size }) => size,
  countif: ({ holding }) => holding(),
  // An estimate in Kusto, exact for as few values as a test has.
  dcount: ({ all }) => distinct(all()).length,
  sum: ({ all }) => all().reduce((total: number, value) => total + Number(value), 0),
  sumif: ({ some }) => some().reduce((total: number, value) => total + Number(value), 0),
  min: ({ all }) => best(all(), -1),
  max: ({ all }) => best(all(), 1),
  minif: ({ some }) => best(some(), -1),
  maxif: ({ some }) => best(some(), 1),
  take_any: ({ all }) => all()[0] ?? null,
  take_anyif: ({ some }) => some()[0] ?? null,
  make_set: ({ all, cap }) => distinct(all()).slice(0, cap(1)),
  make_set_if: ({ some, cap }) => distinct(some()).slice(0, cap(2)),
  make_list_if: ({ some, cap }) => some().slice(0, cap(2)),
};

function single(tree: Tree, rows: readonly ScopedRow[]): Value {
  if (tree.kind !== 'FunctionCallExpression') throw new Error(`no aggregate: ${tree.text}`);
  const name = nameOf(childAt(tree, 0));
  const args = argumentsOf(tree);
  const [what, second] = args;
  // A number is a number here: `tolong(max(...))` is `max(...)`.
  if (name === 'tolong' && what !== undefined) return single(what, rows);
  const compute = AGGREGATES[name];
  if (compute === undefined) throw new Error(`no aggregate function is called ${name}`);
  const holding = (condition: Tree | undefined) =>
    rows.filter(({ scope }) => condition !== undefined && evaluate(condition, scope) === true);
  const valuesOf = (of: readonly ScopedRow[]) =>
    what === undefined ? [] : of.map(({ scope }) => evaluate(what, scope)).filter((value) => value !== null);
  return compute({
    all: () => valuesOf(rows),
    some: () => valuesOf(holding(second)),
    size: rows.length,
    holding: () => holding(what).length,
    cap: (index) => Number(args[index]?.text ?? Number.POSITIVE_INFINITY),
  });
}

function best(values: readonly Value[], sign: 1 | -1): Value {
  return values.reduce(
    (found: Value, value) => (found === null || (compare(value, found) ?? 0) * sign > 0 ? value : found),
    null,
  );
}

function distinct(values: readonly Value[]): readonly Value[] {
  return [...new Map(values.map((value) => [groupKey(value), value])).values()];
}

/** The row with the largest (or smallest) value, and of it the columns that were asked for. */
function argBest(tree: Tree, rows: readonly ScopedRow[], sign: 1 | -1): Row {
  const [by, ...wanted] = argumentsOf(tree);
  if (by === undefined) throw new Error('arg_max without an argument');
  const scored = rows.map((one) => ({ ...one, score: evaluate(by, one.scope) }));
  // Without `by`, no rows still make one row, of nulls.
  if (scored.length === 0) return Object.fromEntries([by, ...wanted].map((one) => [nameOf(one), null]));
  const winner = scored.reduce((found, one) =>
    found.score === null || (one.score !== null && (compare(one.score, found.score) ?? 0) * sign > 0) ? one : found,
  );
  if (wanted.some(({ kind }) => kind === 'StarExpression')) return winner.row;
  return {
    [nameOf(by)]: winner.score,
    ...Object.fromEntries(wanted.map((one) => [nameOf(one), winner.row[nameOf(one)] ?? null])),
  };
}
