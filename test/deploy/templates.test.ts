import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type ArmTemplate, deploy, type Fields } from './arm/deploy.ts';
import type { Value } from './arm/functions.ts';
import { parseTemplateString } from './arm/parse.ts';
import {
  contentTemplate,
  deployContent,
  deployFolder,
  deployMain,
  ENDPOINT_ID,
  mainTemplate,
  PRINCIPAL,
} from './support.ts';

const templates: Readonly<Record<string, ArmTemplate>> = {
  'azuredeploy.json': mainTemplate,
  'sentinel.json': contentTemplate,
};

/** Everything on. */
const everything: Fields = {
  principalId: PRINCIPAL,
  assignMonitoringReader: true,
  dataCollectionEndpointResourceId: ENDPOINT_ID,
};

function stringsIn(value: Value): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((item: Value) => stringsIn(item));
}

describe('the templates', () => {
  for (const [name, template] of Object.entries(templates)) {
    it(`${name} has the shape of a template for a resource group`, () => {
      assert.equal(template.$schema, 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#');
      assert.match(template.contentVersion, /^\d+\.\d+\.\d+\.\d+$/);
      const known = ['$schema', 'contentVersion', 'metadata', 'parameters', 'resources', 'outputs'];
      assert.deepEqual(
        Object.keys(template).filter((key) => !known.includes(key)),
        [],
      );
      for (const resource of template.resources) {
        for (const key of ['type', 'apiVersion', 'name', 'properties']) assert.ok(resource[key] !== undefined, key);
        assert.match(String(resource['apiVersion']), /^\d{4}-\d\d-\d\d(-preview)?$/);
        assert.equal(resource['copy'], undefined, 'columns and queries are literals');
      }
    });

    it(`${name} describes its parameters`, () => {
      for (const [parameter, { type, metadata }] of Object.entries(template.parameters)) {
        assert.ok(['string', 'bool', 'int', 'array'].includes(type), parameter);
        assert.match(metadata.description, /^[A-Z].*\.$/s, parameter);
      }
    });

    it(`${name} keeps the limits of Resource Manager`, () => {
      assert.ok(Object.keys(template.parameters).length <= 256);
      assert.ok(Object.keys(template.outputs ?? {}).length <= 64);
      assert.ok(template.resources.length <= 800);
      assert.ok(statSync(deployFolder + name).size < 4 * 2 ** 20);
      // Throws for one that is too long, or that cannot be read.
      for (const text of stringsIn(template as unknown as Value)) parseTemplateString(text);
    });
  }

  it('can be deployed with nothing but the name of the workspace', () => {
    assert.ok(deployMain().resources.length > deployContent().resources.length);
    assert.throws(() => deploy(mainTemplate, {}), /workspaceName/);
  });

  it('use all of their parameters', () => {
    assert.deepEqual([...deployContent().used].sort(), Object.keys(contentTemplate.parameters).sort());
    assert.deepEqual([...deployMain(everything).used].sort(), Object.keys(mainTemplate.parameters).sort());
  });

  it('name every resource once', () => {
    const ids = deployMain(everything).resources.map(({ id }) => id.toLowerCase());
    assert.equal(new Set(ids).size, ids.length);
  });

  it('hold no secret: no parameter could take one, and no function could read one', () => {
    for (const template of Object.values(templates)) {
      for (const { type } of Object.values(template.parameters)) assert.doesNotMatch(type, /secure/i);
      for (const text of stringsIn(template as unknown as Value)) {
        if (parseTemplateString(text) !== null) assert.doesNotMatch(text, /\blist\w*\(/i);
      }
    }
  });
});
