import { between, SCOPED_FUNCTIONS, toScalar } from './rule-operators.ts';
import { memberOf, OPERATORS, SCALARS } from './scalars.ts';
import type { Lambda, Scope } from './table.ts';
import { childAt, childOf, elements, type Tree } from './tree.ts';
import { datetimeOf, timespanOf, type Value } from './values.ts';

type Evaluate = (tree: Tree, scope: Scope) => Value;

/** A time that `now()` gives: after all that the samples hold. */
const NOW = datetimeOf('2026-11-06T00:00:00Z');

const LITERALS: Readonly<Record<string, (text: string) => Value>> = {
  StringLiteralExpression: stringOf,
  LongLiteralExpression: (text) => numberIn(text),
  IntLiteralExpression: (text) => numberIn(text),
  RealLiteralExpression: Number,
  BooleanLiteralExpression: (text) => text === 'true',
  NullLiteralExpression: () => null,
  DateTimeLiteralExpression: (text) => datetimeOf(inner(text)),
  TimespanLiteralExpression: (text) => timespanOf(inner(text)),
};

const COMPOUND: Readonly<Record<string, Evaluate>> = {
  NameReference: nameValue,
  ParenthesizedExpression: (tree, scope) => evaluate(childAt(tree, 1), scope),
  DynamicExpression: (tree, scope) => evaluate(childAt(tree, 2), scope),
  JsonArrayExpression: (tree, scope) => elements(childOf(tree, 'List')).map((element) => evaluate(element, scope)),
  JsonObjectExpression: (tree, scope) =>
    Object.fromEntries(
      elements(childOf(tree, 'List')).map((pair) => [
        stringOf(childAt(pair, 0).text),
        evaluate(childAt(pair, 2), scope),
      ]),
    ),
  UnaryMinusExpression: (tree, scope) => OPERATORS['*']?.(-1, evaluate(childAt(tree, 1), scope)) ?? null,
  PathExpression: (tree, scope) => memberOf(evaluate(childAt(tree, 0), scope), nameOf(childAt(tree, 2))),
  ElementExpression: (tree, scope) =>
    memberOf(evaluate(childAt(tree, 0), scope), evaluate(childAt(childAt(tree, 1), 1), scope)),
  AndExpression: (tree, scope) => logic(tree, scope, false),
  OrExpression: (tree, scope) => logic(tree, scope, true),
  FunctionCallExpression: call,
  ExpressionList: listValue,
  ToScalarExpression: (tree, scope) => toScalar(tree, scope),
  BetweenExpression: (tree, scope) => between(tree, scope),
};

/** The value of a scalar expression. Throws for what our functions do not use: it would have to be thought of here. */
export function evaluate(tree: Tree, scope: Scope): Value {
  const literal = LITERALS[tree.kind];
  if (literal !== undefined) return literal(tree.text);
  const compound = COMPOUND[tree.kind];
  if (compound !== undefined) return compound(tree, scope);
  const operator = OPERATORS[tree.children[1]?.text ?? ''];
  if (operator === undefined || tree.children.length !== 3)
    throw new Error(`cannot evaluate ${tree.kind}: ${tree.text}`);
  return operator(evaluate(childAt(tree, 0), scope), evaluate(childAt(tree, 2), scope));
}

/** The name that a reference or a declaration holds. */
export function nameOf(tree: Tree): string {
  return tree.children.length === 0 ? tree.text : nameOf(childAt(tree, 0));
}

export function argumentsOf(callTree: Tree): readonly Tree[] {
  return elements(childOf(childAt(callTree, 1), 'List'));
}

function nameValue(tree: Tree, scope: Scope): Value {
  const name = nameOf(tree);
  const value = Object.hasOwn(scope.row, name) ? scope.row[name] : scope.values.get(name);
  if (value === undefined) throw new Error(`no value is called ${name}`);
  return value;
}

/** Kusto's three-valued logic: a null counts as unknown, unless the other side decides. */
function logic(tree: Tree, scope: Scope, decisive: boolean): Value {
  const left = evaluate(childAt(tree, 0), scope);
  if (left === decisive) return decisive;
  const right = evaluate(childAt(tree, 2), scope);
  if (right === decisive) return decisive;
  return left === null || right === null ? null : !decisive;
}

/** What stands behind `in` and `has_any`: values, one array of them, or a table of one column. */
function listValue(tree: Tree, scope: Scope): Value {
  return elements(childOf(tree, 'List')).flatMap((element): readonly Value[] => {
    const table = scope.tables.get(element.kind === 'NameReference' ? nameOf(element) : '');
    if (table !== undefined) return table.rows.map((row) => row[table.columns[0] ?? ''] ?? null);
    const value = evaluate(element, scope);
    return Array.isArray(value) ? value : [value];
  });
}

function call(tree: Tree, scope: Scope): Value {
  const name = nameOf(childAt(tree, 0));
  const args = argumentsOf(tree);
  if (name === 'now') return scope.now ?? NOW;
  if (name === 'ago') return OPERATORS['-']?.(scope.now ?? NOW, evaluate(args[0] ?? tree, scope)) ?? null;
  const scoped = SCOPED_FUNCTIONS[name];
  if (scoped !== undefined) return scoped(args, scope);
  if (name === 'iff' || name === 'case') return chosen(args, scope);
  const lambda = scope.functions.get(name);
  if (lambda !== undefined) return callLambda(lambda, args, scope);
  const scalar = SCALARS[name];
  if (scalar === undefined) throw new Error(`no scalar function is called ${name}`);
  return scalar(...args.map((argument) => evaluate(argument, scope)));
}

/** A function of the query's own whose body is one scalar expression. */
function callLambda({ parameters, body }: Lambda, args: readonly Tree[], scope: Scope): Value {
  const values = parameters.map(({ name }, index) => [name, evaluate(args[index] ?? body, scope)] as const);
  const only = body.children.find(({ kind }) => kind.endsWith('Expression'));
  if (only === undefined) throw new Error(`no scalar expression: ${body.text}`);
  return evaluate(only, { ...scope, row: {}, values: new Map([...scope.values, ...values]) });
}

/** `case(condition, value, …, else)`; `iff` is one of three arguments. A null condition does not hold. */
function chosen(args: readonly Tree[], scope: Scope): Value {
  for (let index = 0; index + 1 < args.length; index += 2) {
    const [condition, value] = [args[index], args[index + 1]];
    if (condition !== undefined && value !== undefined && evaluate(condition, scope) === true)
      return evaluate(value, scope);
  }
  const otherwise = args.at(-1);
  return otherwise === undefined ? null : evaluate(otherwise, scope);
}

function inner(text: string): string {
  return /^\w+\((.*)\)$/.exec(text)?.[1] ?? text;
}

function numberIn(text: string): Value {
  return inner(text) === 'null' ? null : Number(inner(text));
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** `"a\n"`, `'a'`, and `@"a\n"`, in which a backslash is one. */
function stringOf(text: string): string {
  if (text.startsWith('@')) return text.slice(2, -1);
  return text
    .slice(1, -1)
    .replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_all, hex: string | undefined, escaped: string | undefined) =>
      hex === undefined ? (ESCAPES[escaped ?? ''] ?? escaped ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}
