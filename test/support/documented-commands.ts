import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The fenced blocks of a page in a language. */
export function blocks(file: string, language: string): string[] {
  // A block inside a list is indented.
  const fenced = new RegExp(`^( *)\`\`\`${language}\n([\\s\\S]*?)^ *\`\`\`$`, 'gm');
  return [...readFileSync(path.join(root, file), 'utf8').matchAll(fenced)].map(([, indent = '', text = '']) =>
    text.replaceAll(`\n${indent}`, '\n').trim(),
  );
}

/** The first block of a page that holds a text. */
export function block(file: string, language: string, holding: string): string {
  const found = blocks(file, language).find((text) => text.includes(holding));
  assert.ok(found !== undefined, `${file} has no block with ${holding}`);
  return found;
}

/** Each call of az in a script, from behind `az ` to the end of the command. */
export function azCalls(script: string): string[] {
  const joined = script
    .replaceAll(/\\\n\s*/g, ' ')
    .replaceAll(/"\$\{TABLE\[@\]\}"/g, tableOptions)
    .replaceAll(/"\$\{PARAMETERS\[@\]\}"/g, 'name=value');
  return [...joined.matchAll(/(?:^|[(;&] ?|&& *|\n\s*)az ([a-z][^\n|)]*)/g)].map(([, call = '']) => call);
}

const tableOptions = '--resource-group group --workspace-name name --name table';
export const globalOptions = ['--output', '--query', '--subscription'];

/** The commands that the pages use, with the options they use, as in https://learn.microsoft.com/cli/azure/reference-index. */
export const azReference: Readonly<Record<string, string>> = {
  'account set': '--subscription',
  'ad app create': '--display-name',
  'ad app credential reset': '--id --append --years --cert',
  'ad sp create': '--id',
  'cloud set': '--name',
  'deployment group create': '--resource-group --name --template-file --parameters',
  'deployment group show': '--resource-group --name',
  'deployment group what-if': '--resource-group --template-file --parameters',
  'group create': '--name --location',
  'identity create': '--resource-group --name --location',
  'identity show': '--resource-group --name',
  'monitor data-collection endpoint create': '--resource-group --name --location --public-network-access',
  'monitor data-collection endpoint show': '--resource-group --name',
  'monitor diagnostic-settings create': '--name --resource --workspace --logs',
  'monitor log-analytics query': '--workspace --analytics-query --timespan',
  'monitor log-analytics workspace create': '--resource-group --workspace-name --location',
  'monitor log-analytics workspace show': '--resource-group --workspace-name',
  'monitor log-analytics workspace table show': '--resource-group --workspace-name --name',
  'monitor log-analytics workspace table update':
    '--resource-group --workspace-name --name --columns --retention-time --total-retention-time',
  'monitor private-link-scope scoped-resource create': '--resource-group --scope-name --name --linked-resource',
  rest: '--method --url --body',
  'role assignment create': '--role --scope --assignee-object-id --assignee-principal-type',
};
