import { readFileSync } from 'node:fs';
import { kqlType } from '../../../deploy/generate/kql-validation.ts';
import { type Parser, parameterList } from '../parsers.ts';
import { ownTables } from '../workspace-tables.ts';
import { KUSTO_TYPE_CASTS } from './casts.ts';
import type { ArrivedRow } from './events.ts';
import { anomalyRows, auditRows, heartbeatRows, integrationRows } from './feeds.ts';
import { requestRows } from './requests.ts';

/** Rows by the name of their table. */
export type Samples = Readonly<Record<string, readonly ArrivedRow[]>>;

const SAMPLES: Samples = {
  AponoAccessRequests_CL: requestRows,
  AponoAuditLogs_CL: auditRows,
  AponoIntegrationStatus_CL: integrationRows,
  AponoAnomalies_CL: anomalyRows,
  AponoProxyHeartbeat_CL: heartbeatRows,
};

const EXPECTED_URL = new URL('expected/', import.meta.url);

/** What a reader pastes into a workspace's query window to see that the function does what its header says. */
export function sampleScript(parser: Parser, parsers: readonly Parser[]): string {
  const expected = readFileSync(new URL(`${parser.FunctionAlias}.kql`, EXPECTED_URL), 'utf8').trimEnd();
  return `${[
    ...HEADER.map((line) => `// ${line}`.trimEnd().replaceAll('FUNCTION', parser.FunctionAlias)),
    definitions(parser, parsers),
    '// ---- What comes out, and what should: worked out by hand from the rows above.',
    expected,
    comparison(expected),
  ].join('\n')}\n`;
}

/** The function with all that it calls and reads, as `let` statements. `samples`: rows by table, instead of the usual ones. */
export function definitions(parser: Parser, parsers: readonly Parser[], samples: Samples = SAMPLES): string {
  const functions = neededFunctions(parser, parsers);
  const bodies = functions.map((one) => one.FunctionQuery).join('\n');
  const tables = ownTables().filter(({ name }) => bodies.includes(name) && samples[name] !== undefined);
  return [...tables.map(({ name }) => tableText(name, samples)), ...functions.map(functionText)].join('\n');
}

const HEADER = [
  'Checks the function FUNCTION: paste all of this into the query window of any Log Analytics workspace and run it.',
  'No row comes back when it is right. Otherwise a row says what was found so many times and expected so many times.',
  'Nothing is read from the workspace: the names of our tables and functions stand for what is written here.',
  'Generated from deploy/sentinel/Parsers and from rows that the service makes; only ingestion_time(), which rows outside',
  'of a table do not have, is replaced by the column SampleArrived.',
];

/** The function itself last, after everything that it calls. */
function neededFunctions(parser: Parser, parsers: readonly Parser[]): readonly Parser[] {
  const called = parsers.filter((other) => other !== parser && calls(parser, other));
  return [...new Set([...called.flatMap((other) => neededFunctions(other, parsers)), parser])];
}

function calls(parser: Parser, other: Parser): boolean {
  return new RegExp(`^[^/\\n]*\\b${other.FunctionAlias}\\(`, 'm').test(parser.FunctionQuery);
}

function functionText(parser: Parser): string {
  const body = parser.FunctionQuery.trimEnd().replaceAll('ingestion_time()', 'SampleArrived');
  const indented = body.replaceAll(/^(?=.)/gm, '  ');
  return `// ---- The function ${parser.FunctionAlias}\nlet ${parser.FunctionAlias} = (${parameterList(parser)}) {\n${indented}\n};`;
}

/** Rows as property bags of the columns that have a value; the others are null, as they are in the table. */
function tableText(name: string, samples: Samples): string {
  const columns = ownTables().find((table) => table.name === name)?.columns ?? [];
  const rows = (samples[name] ?? []).map(
    ({ arrivedAt, row }) => `  datetime(${arrivedAt}), dynamic(${JSON.stringify(row)})`,
  );
  const casts = columns.map(
    (column) => `${column.name} = ${KUSTO_TYPE_CASTS[kqlType(column.type)]}(Row.${column.name})`,
  );
  return [
    `// ---- Sample rows of ${name}, as the service sends them`,
    `let ${name} = datatable(SampleArrived:datetime, Row:dynamic)[`,
    rows.join(',\n'),
    ']',
    `| project SampleArrived,\n    ${casts.join(',\n    ')};`,
  ].join('\n');
}

/** Every row as one line of text, since a join would not find rows whose columns are null. */
function comparison(expected: string): string {
  const columns =
    /datatable\(([^)]*)\)/
      .exec(expected)?.[1]
      ?.split(',')
      .map((column) => column.trim().split(':')[0]) ?? [];
  const line = `strcat_delim(" | ", ${columns.map((column) => `tostring(${column})`).join(', ')})`;
  return [
    'union',
    `    (Actual | project Line = ${line}, Found = 1, Wanted = 0),`,
    `    (Expected | project Line = ${line}, Found = 0, Wanted = 1)`,
    '| summarize Found = sum(Found), Wanted = sum(Wanted) by Line',
    '| where Found != Wanted',
  ].join('\n');
}
