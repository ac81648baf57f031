import type { Row, Table } from './table.ts';
import { runBlock } from './tabular.ts';
import { parseStatements } from './tree.ts';

/**
 * Runs a query that reads nothing but its own datatables. No engine of Kusto's can be had on npm, so this follows the
 * documentation of the operators and functions that our functions use, on Microsoft's own syntax tree, and throws for
 * everything else. It is a check of the functions' logic; the same query pasted into a workspace is the proof.
 * `arrange` puts the rows of every datatable into another order: Kusto promises none.
 */
export function runQuery(query: string, arrange = inOrder): Table {
  const statements = parseStatements(query);
  if (statements.length === 0) throw new Error('no statement');
  return runBlock(statements, { row: {}, values: new Map(), tables: new Map(), functions: new Map(), arrange });
}

function inOrder(rows: readonly Row[]): readonly Row[] {
  return rows;
}
