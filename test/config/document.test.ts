import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseEnv } from 'node:util';
import { renderEnvExample, renderVariablesTable } from '../../deploy/generate/variables.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Variable } from '../../src/config/variable.ts';
import { variableNames, variables } from '../../src/config/variables.ts';
import { kinds } from '../../src/kinds/registry.ts';

const envExample = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');

describe('.env.example', () => {
  it('is what variables.ts says (write the text of renderEnvExample() to it)', () => {
    assert.equal(envExample, renderEnvExample());
  });

  it('sets nothing but the required variables, to nothing', () => {
    const set = parseEnv(envExample);
    assert.deepEqual(Object.keys(set).sort(), variableNames.filter((name) => variables[name].required).sort());
    assert.ok(Object.values(set).every((value) => value === ''));
  });

  it('shows defaults that are valid and are the defaults', () => {
    const uncommented = parseEnv(envExample.replace(/^#(?=[A-Z_]+=)/gm, ''));
    const ofCompose = ['PROXY_SUBNET', 'PUBLIC_HOSTNAME'];
    assert.deepEqual(Object.keys(uncommented).sort(), [...variableNames, ...ofCompose].sort());
    const required = ['APONO_WEBHOOK_SECRET', 'LOGS_INGESTION_ENDPOINT', 'DATA_COLLECTION_RULE_ID'];
    const { problems, warnings } = loadConfig(uncommented);
    assert.deepEqual(
      problems.map(({ name }) => name),
      required,
    );
    assert.deepEqual(warnings, []);
  });
});

describe('the table of the variables', () => {
  it('has each of them once, with its default', () => {
    const rows = renderVariablesTable().trimEnd().split('\n').slice(2);
    assert.equal(rows.length, variableNames.length);
    for (const [index, name] of variableNames.entries()) {
      const { default: fallback }: Variable<unknown> = variables[name];
      assert.ok(rows[index]?.startsWith(`| \`${name}\` | ${fallback === null ? '' : `\`${fallback}\``} |`), name);
    }
  });
});

describe('the kinds', () => {
  it('have stream variables with the same default', () => {
    for (const kind of kinds) {
      const variable: Variable<unknown> | undefined = Object.entries(variables).find(
        ([name]) => name === kind.streamVariable,
      )?.[1];
      assert.equal(variable?.default, kind.defaultStream);
    }
  });
});
