import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInThisContext } from 'node:vm';

/*
 * Microsoft's Kusto language service is C# compiled to JavaScript by Bridge.NET: two scripts that leave their classes in
 * global variables, with overloaded constructors as `$ctorN`. Only what the checks use is described here; the package's
 * own declarations are 50,000 lines of ambient namespaces. Should an update of the package renumber a constructor, the
 * tests of test/sentinel-content/functions.test.ts fail.
 */

export interface KustoList<T> {
  readonly Count: number;
  getItem(index: number): T;
}

export interface KustoSymbol {
  readonly Name: string;
}

export interface KustoType extends KustoSymbol {
  /** Only of a table: its columns, and whether it may have more (after bag_unpack and the like). */
  readonly Columns?: KustoList<KustoSymbol & { readonly Type: KustoSymbol }>;
  readonly IsOpen?: boolean;
}

export interface KustoDiagnostic {
  readonly Severity: string;
  readonly Code: string;
  readonly Message: string;
  readonly Start: number;
  readonly Length: number;
}

/** A node or a token of the syntax tree. */
export interface KustoNode {
  readonly Kind: number;
  readonly IsToken: boolean;
  readonly Text: string;
  readonly ChildCount: number;
  GetChild(index: number): KustoNode | null;
}

export interface KustoGlobals {
  WithDatabase(database: object): KustoGlobals;
  WithCache(): KustoGlobals;
}

export interface KustoCode {
  GetDiagnostics(): KustoList<KustoDiagnostic>;
  readonly ResultType: KustoType | null;
}

export interface KustoService {
  readonly Symbols: {
    /** (name, "(column:type, …)", description) */
    readonly TableSymbol: { readonly $ctor7: new (name: string, schema: string, description: string) => object };
    /** (name, "(parameter:type=default, …)", body, description) */
    readonly FunctionSymbol: {
      readonly $ctor16: new (name: string, parameters: string, body: string, description: string) => object;
    };
    readonly DatabaseSymbol: { readonly ctor: new (name: string, members: readonly object[]) => object };
  };
  readonly GlobalState: { readonly Default: KustoGlobals };
  readonly Syntax: { readonly SyntaxKind: Readonly<Record<string, number>> };
  readonly KustoCode: {
    Parse(text: string): { readonly Syntax: KustoNode };
    ParseAndAnalyze(text: string, globals: KustoGlobals): KustoCode;
  };
}

const SCRIPTS = ['bridge.min.js', 'Kusto.Language.Bridge.min.js'];

let loaded: KustoService | null = null;

/** The language service, loaded once per process: that takes some 0.3 s. */
export function kustoService(): KustoService {
  if (loaded === null) {
    const require = createRequire(import.meta.url);
    for (const script of SCRIPTS) {
      const path = require.resolve(`@kusto/language-service-next/${script}`);
      runInThisContext(readFileSync(path, 'utf8'), { filename: path });
    }
    loaded = (globalThis as unknown as { readonly Kusto: { readonly Language: KustoService } }).Kusto.Language;
  }
  return loaded;
}

export function listOf<T>(list: KustoList<T>): readonly T[] {
  return Array.from({ length: list.Count }, (_, index) => list.getItem(index));
}

/** A function of a workspace. */
export interface KqlFunction {
  readonly name: string;
  /** `at:datetime, disabled:bool = false` */
  readonly parameters: string;
  readonly body: string;
}

/** Column names and types, in KQL's spelling: `{ TimeGenerated: 'datetime' }`. */
export type KqlColumns = Readonly<Record<string, string>>;

const workspaces = new Map<string, KustoGlobals>();

/**
 * What a query is analysed against: a workspace with these tables and functions. It is kept for the next call with the
 * same, since to analyse all of our functions takes seconds.
 */
export function kustoWorkspace(
  tables: Readonly<Record<string, KqlColumns>>,
  functions: readonly KqlFunction[],
): KustoGlobals {
  const key = JSON.stringify([tables, functions]);
  const workspace = workspaces.get(key) ?? newWorkspace(tables, functions);
  workspaces.set(key, workspace);
  return workspace;
}

function newWorkspace(tables: Readonly<Record<string, KqlColumns>>, functions: readonly KqlFunction[]): KustoGlobals {
  const { Symbols, GlobalState } = kustoService();
  const tableSymbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}:${type}`);
    return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(', ')})`, '');
  });
  const functionSymbols = functions.map(
    ({ name, parameters, body }) => new Symbols.FunctionSymbol.$ctor16(name, `(${parameters})`, body, ''),
  );
  const database = new Symbols.DatabaseSymbol.ctor('workspace', [...tableSymbols, ...functionSymbols]);
  // With the cache the body of a function is analysed once for all queries that call it.
  return GlobalState.Default.WithDatabase(database).WithCache();
}

/** The columns of a query's result; none where it ends in no table. */
export function resultColumns(code: KustoCode): readonly { readonly name: string; readonly type: string }[] {
  const columns = code.ResultType?.Columns ?? null;
  return columns === null ? [] : listOf(columns).map(({ Name, Type }) => ({ name: Name, type: Type.Name }));
}
