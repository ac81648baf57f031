/**
 * All tests of sentinel-content/ in one process: Microsoft's Kusto language service takes six seconds of processor time to
 * get going in each process that analyses a query. `npm test` runs this file in place of those, which can still be run one
 * by one.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';

const folder = path.join(import.meta.dirname, 'sentinel-content');
for (const file of readdirSync(folder)) {
  if (file.endsWith('.test.ts')) await import(path.join(folder, file));
}
