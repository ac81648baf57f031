import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { mainTemplate, repository } from './support.ts';

const page = readFileSync(`${repository}docs/azure.md`, 'utf8');
const known = Object.keys(mainTemplate.parameters);

it('docs/azure.md names parameters that there are', () => {
  const given = [...page.matchAll(/(?<![\w.-])([a-z]+[A-Z]\w*)=(?:true|false|")/g)].map(([, name = '']) => name);
  const listed = [...page.matchAll(/^\| (`[^|]*`[^|]*) \| `?(?:true|false|-1|empty)`? \|/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)])
    .map(([, name = '']) => name);
  assert.ok(given.length >= 5 && listed.length >= 5, 'the page is read');
  assert.deepEqual(
    [...given, ...listed].filter((name) => !known.includes(name)),
    [],
  );
});

it('docs/azure.md names outputs that there are, and the nested deployment by its name', () => {
  const nested = mainTemplate.resources.find(({ type }) => type === 'Microsoft.Resources/deployments');
  assert.ok(page.includes(`\`${nested?.['name']}\``));
  for (const name of [
    'LOGS_INGESTION_ENDPOINT',
    'DATA_COLLECTION_RULE_ID',
    'HEARTBEAT_INTERVAL_MINUTES',
    'AZURE_CLOUD',
  ]) {
    assert.ok(page.includes(name) && Object.hasOwn(mainTemplate.outputs ?? {}, name), name);
  }
});
