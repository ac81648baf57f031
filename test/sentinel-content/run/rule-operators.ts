import { evaluate, nameOf } from './expression.ts';
import type { Row, Scope, Table } from './table.ts';
import { applyOperator, type Operator, project, tableOf } from './tabular.ts';
import { childAt, childOf, elements, lists, type Tree } from './tree.ts';
import { compare, groupKey, type Value } from './values.ts';

/** `sort by a asc, b desc`. Rows that are equal stay in the order in which they came: Kusto promises none. */
function sort(input: Table, tree: Tree, scope: Scope): Table {
  const keys = elements(lists(tree).at(-1)).map((one) => ({
    value: childAt(one, 0),
    sign: /\basc$/.test(one.text) ? 1 : -1,
  }));
  const rows = input.rows.toSorted((left, right) => {
    for (const { value, sign } of keys) {
      const order = compare(evaluate(value, { ...scope, row: left }), evaluate(value, { ...scope, row: right })) ?? 0;
      if (order !== 0) return order * sign;
    }
    return 0;
  });
  return { ...input, rows };
}

/** `top 100 by a desc` */
function top(input: Table, tree: Tree, scope: Scope): Table {
  const [limit, by] = [childAt(tree, 2), childAt(tree, -1)];
  const sorted = sort(input, { ...tree, children: [{ kind: 'List', text: by.text, children: [by] }] }, scope);
  return { ...sorted, rows: sorted.rows.slice(0, Number(limit.text)) };
}

function distinct(input: Table, tree: Tree, scope: Scope): Table {
  const { columns, rows } = project(input, { ...tree, children: lists(tree).slice(-1) }, scope);
  const keyOf = (row: Row): string => columns.map((column) => groupKey(row[column] ?? null)).join('\n');
  return { columns, rows: [...new Map(rows.map((row) => [keyOf(row), row])).values()] };
}

/** `mv-apply Element = array on (…)`: the operators in the brackets see the elements of one row at a time. */
function mvApply(input: Table, tree: Tree, scope: Scope): Table {
  const named = childAt(elements(lists(tree).at(-1))[0] ?? tree, 0);
  const name = nameOf(childAt(named, 0));
  const operators = childAt(childOf(tree, 'MvApplySubqueryExpression') ?? tree, 1);
  const rows = input.rows.flatMap((row) => {
    const array = evaluate(childAt(named, 2), { ...scope, row });
    const expanded = (Array.isArray(array) ? array : [null]).map((element: Value) => ({ ...row, [name]: element }));
    return applyAll({ columns: [...input.columns, name], rows: expanded }, operators, scope).rows.map((made) => ({
      ...row,
      ...made,
    }));
  });
  return { columns: [...new Set([...input.columns, ...rows.flatMap((row) => Object.keys(row))])], rows };
}

function applyAll(input: Table, tree: Tree, scope: Scope): Table {
  if (tree.kind !== 'PipeExpression') return applyOperator(input, tree, scope);
  return applyOperator(applyAll(input, childAt(tree, 0), scope), childAt(tree, 2), scope);
}

/** Tabular operators that the rules and hunting queries use beyond those of our functions. */
export const RULE_OPERATORS: Readonly<Record<string, Operator>> = {
  SortOperator: sort,
  TopOperator: top,
  CountOperator: (input) => ({ columns: ['Count'], rows: [{ Count: input.rows.length }] }),
  DistinctOperator: distinct,
  MvApplyOperator: mvApply,
};

/** Functions of the analytics rules that look at more than the values of their arguments. */
export const SCOPED_FUNCTIONS: Readonly<Record<string, (args: readonly Tree[], scope: Scope) => Value>> = {
  prev: ([what], scope) => {
    if (what === undefined || scope.previous === undefined) throw new Error('prev() outside of extend');
    return scope.previous === null ? null : evaluate(what, { ...scope, row: scope.previous });
  },
  row_cumsum: ([what], scope) => {
    if (what === undefined || scope.running === undefined) throw new Error('row_cumsum() outside of extend');
    const sum = (scope.running.get(what.text) ?? 0) + Number(evaluate(what, scope));
    scope.running.set(what.text, sum);
    return sum;
  },
};

/** The first value of the first row; null where there is none. */
export function toScalar(tree: Tree, scope: Scope): Value {
  const { columns, rows } = tableOf(childAt(tree, 2), scope);
  return rows[0]?.[columns[0] ?? ''] ?? null;
}

/** `x between (a .. b)`, both ends included. */
export function between(tree: Tree, scope: Scope): Value {
  const ends = childAt(tree, 2).children.filter(({ kind }) => !kind.endsWith('Token'));
  const value = evaluate(childAt(tree, 0), scope);
  const [low, high] = ends.map((end) => compare(value, evaluate(end, scope)));
  return low !== undefined && low !== null && high !== undefined && high !== null && low >= 0 && high <= 0;
}
