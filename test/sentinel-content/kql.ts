import {
  type KqlColumns,
  type KqlFunction,
  type KustoCode,
  type KustoDiagnostic,
  type KustoGlobals,
  kustoService,
  kustoWorkspace,
  listOf,
  resultColumns,
} from '../../deploy/generate/kusto-service.ts';
import { type Parser, parameterList, readParsers } from './parsers.ts';
import { workspaceTables } from './workspace-tables.ts';

export interface KqlDiagnostic {
  readonly severity: 'error' | 'warning' | 'suggestion' | 'information' | 'hidden' | 'unknown';
  /** Microsoft's number of it, for instance KS142 for a name that nobody knows. */
  readonly code: string;
  readonly message: string;
  /** Where in the query, both counted from 1. */
  readonly line: number;
  readonly column: number;
  /** The part of the query that it is about. */
  readonly text: string;
}

export interface KqlColumn {
  readonly name: string;
  readonly type: string;
}

export interface KqlResult {
  /** Empty when the query ends in no table. */
  readonly columns: readonly KqlColumn[];
  /** True when there may be more columns than can be known, as after `evaluate bag_unpack()`: such content cannot be checked. */
  readonly isOpen: boolean;
}

/** Tables and functions on top of the workspace's; one of the same name replaces it. */
export interface KqlAdditions {
  readonly tables?: Readonly<Record<string, KqlColumns>>;
  readonly functions?: readonly KqlFunction[];
}

export interface Kql {
  /** Errors and warnings; a query that is right has none. Suggestions of style are left out. */
  diagnose(query: string, additions?: KqlAdditions): readonly KqlDiagnostic[];
  /** What the query returns. Call it for a query without diagnostics. */
  result(query: string, additions?: KqlAdditions): KqlResult;
  /** The functions of deploy/sentinel/Parsers. */
  readonly parsers: readonly Parser[];
}

let plain: Kql | null = null;

/** A checker of KQL against a workspace that has our tables, Microsoft's that we read, and our functions. */
export function createKql(options?: KqlAdditions): Kql {
  if (options !== undefined) return newKql(options);
  // One for all test files of a process: each has to analyse the functions first, which takes a second.
  plain ??= newKql({});
  return plain;
}

function newKql(options: KqlAdditions): Kql {
  const parsers = readParsers();
  const base: KqlAdditions = {
    tables: { ...workspaceTables(), ...options.tables },
    functions: merge(parsers.map(parserFunction), options.functions),
  };
  const baseGlobals = globalsOf(base);

  /** Those without additions: an analysis takes a tenth of a second, and several tests ask about one query. */
  const analysed = new Map<string, KustoCode>();

  function analyse(query: string, additions: KqlAdditions | undefined): KustoCode {
    if (additions !== undefined) return analyseAnew(query, additions);
    const code = analysed.get(query) ?? analyseAnew(query, additions);
    analysed.set(query, code);
    return code;
  }

  function analyseAnew(query: string, additions: KqlAdditions | undefined): KustoCode {
    const globals =
      additions === undefined
        ? baseGlobals
        : globalsOf({
            tables: { ...base.tables, ...additions.tables },
            functions: merge(base.functions, additions.functions),
          });
    return kustoService().KustoCode.ParseAndAnalyze(query, globals);
  }

  return {
    parsers,
    diagnose(query, additions) {
      return listOf(analyse(query, additions).GetDiagnostics())
        .map((diagnostic) => diagnosticOf(query, diagnostic))
        .filter(({ severity }) => severity === 'error' || severity === 'warning' || severity === 'unknown');
    },
    result(query, additions) {
      const code = analyse(query, additions);
      return { columns: resultColumns(code), isOpen: code.ResultType?.IsOpen === true };
    },
  };
}

export function parserFunction(parser: Parser): KqlFunction {
  return { name: parser.FunctionAlias, parameters: parameterList(parser), body: parser.FunctionQuery };
}

/** One line for an assertion's message: `3:12 error KS142 The name 'x' … (x)`. */
export function describeDiagnostic(diagnostic: KqlDiagnostic): string {
  const { line, column, severity, code, message, text } = diagnostic;
  return `${line}:${column} ${severity} ${code} ${message} (${text})`;
}

function merge(base: readonly KqlFunction[] = [], more: readonly KqlFunction[] = []): readonly KqlFunction[] {
  return [...new Map([...base, ...more].map((one) => [one.name, one])).values()];
}

function globalsOf({ tables = {}, functions = [] }: KqlAdditions): KustoGlobals {
  return kustoWorkspace(tables, functions);
}

function diagnosticOf(query: string, diagnostic: KustoDiagnostic): KqlDiagnostic {
  const before = query.slice(0, diagnostic.Start).split('\n');
  return {
    severity: severityOf(diagnostic.Severity),
    code: diagnostic.Code,
    message: diagnostic.Message,
    line: before.length,
    column: (before.at(-1) ?? '').length + 1,
    text: query.slice(diagnostic.Start, diagnostic.Start + diagnostic.Length),
  };
}

const SEVERITIES = ['error', 'warning', 'suggestion', 'information', 'hidden'] as const;

/** A severity that a later version invents counts as a failure until somebody has looked at it. */
function severityOf(text: string): KqlDiagnostic['severity'] {
  return SEVERITIES.find((severity) => severity === text.toLowerCase()) ?? 'unknown';
}
