/**
 * npm runs it for `npm version <number>`, after package.json has the new version and before the commit: writes the version
 * into the files that have it too. `test/deploy/release.test.ts` compares them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import manifest from '../package.json' with { type: 'json' };

const chart = path.join(import.meta.dirname, '../deploy/helm/apono-sentinel/Chart.yaml');
const text = readFileSync(chart, 'utf8')
  .replace(/^version: .*$/m, `version: ${manifest.version}`)
  .replace(/^appVersion: .*$/m, `appVersion: '${manifest.version}'`);
writeFileSync(chart, text);
