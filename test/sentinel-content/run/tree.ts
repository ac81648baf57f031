import { type KustoNode, kustoService } from '../../../deploy/generate/kusto-service.ts';

/** A node of the language service's syntax tree as a plain object: a token has text, any other node has children. */
export interface Tree {
  /** Microsoft's name of the kind, for instance `FunctionCallExpression`. */
  readonly kind: string;
  readonly text: string;
  readonly children: readonly Tree[];
}

let kindNames: ReadonlyMap<number, string> | null = null;
/** Statements by their text: reading is slow, and the functions are in nearly every query that a test runs. */
const read = new Map<string, readonly Tree[]>();

/** The statements of a query whose top level alone is not indented, as it is in all that our tests run. */
export function parseStatements(query: string): readonly Tree[] {
  return query.split(/(?<=;\n)(?=\S)/).flatMap((text) => {
    const statements = read.get(text) ?? parse(text);
    read.set(text, statements);
    return statements;
  });
}

function parse(text: string): readonly Tree[] {
  const { KustoCode, Syntax } = kustoService();
  kindNames ??= new Map(Object.entries(Syntax.SyntaxKind).map(([name, value]) => [value, name]));
  return elements(lists(treeOf(KustoCode.Parse(text).Syntax, kindNames)).at(-1));
}

function treeOf(node: KustoNode, names: ReadonlyMap<number, string>): Tree {
  const kind = names.get(node.Kind) ?? `kind ${node.Kind}`;
  if (node.IsToken) return { kind, text: node.Text, children: [] };
  const children: Tree[] = [];
  for (let index = 0; index < node.ChildCount; index++) {
    const child = node.GetChild(index);
    if (child !== null) children.push(treeOf(child, names));
  }
  return {
    kind,
    children,
    // Only when asked for: the text of every node at every level would be the query many times over.
    get text() {
      return children.map(({ text }) => text).join(' ');
    },
  };
}

export function childAt(tree: Tree, index: number): Tree {
  const child = tree.children.at(index);
  if (child === undefined) throw new Error(`${tree.kind} has no child ${index}: ${tree.text}`);
  return child;
}

/** The first child of a kind. */
export function childOf(tree: Tree, kind: string): Tree | undefined {
  return tree.children.find((child) => child.kind === kind);
}

/** The elements of a list with separators. */
export function elements(list: Tree | undefined): readonly Tree[] {
  return (list?.children ?? []).map((child) => (child.kind === 'SeparatedElement' ? childAt(child, 0) : child));
}

/** All lists directly below a node. */
export function lists(tree: Tree): readonly Tree[] {
  return tree.children.filter(({ kind }) => kind === 'List');
}
