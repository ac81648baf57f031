import assert from 'node:assert/strict';
import { readParsers } from '../parsers.ts';
import { runQuery } from '../run/run.ts';
import type { Row } from '../run/table.ts';
import { definitions, type Samples } from './script.ts';

const parsers = readParsers();

/** What a query returns when its now() is this, from rows as the service sends them, through the real functions and settings. */
export function runOnRows(query: string, samples: Samples, now: string): readonly Row[] {
  const [like] = parsers;
  assert.ok(like !== undefined);
  const asFunction = { ...like, FunctionAlias: 'Query', FunctionQuery: query, FunctionParams: [] };
  const text = definitions(asFunction, parsers, samples);
  return runQuery(`set query_now = datetime(${now});\n${text}\nQuery()`).rows;
}
