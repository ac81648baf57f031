import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
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
  readJson,
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

const rootMembers: ReadonlySet<string> = new Set(
  (
    'name type apiVersion location tags kind sku plan identity zones scope condition copy dependsOn properties ' +
    'resources comments managedBy extendedLocation'
  ).split(' '),
);

/** These two are known only at the root of a nested deployment: they say where it is made. */
const deploymentMembers: ReadonlySet<string> = new Set(['subscriptionId', 'resourceGroup']);

interface WithResources {
  readonly resources?: readonly Fields[];
}

/**
 * The members at the root of any resource that Resource Manager refuses, with the resource that has them. Neither the
 * JSON schemas nor `az deployment group validate` report these: only the deployment fails, with "Could not find member".
 */
function refusedMembers({ resources = [] }: WithResources): readonly string[] {
  return resources.flatMap((resource) => {
    const { type, name, properties } = resource;
    const isDeployment = type === 'Microsoft.Resources/deployments';
    const isKnown = (member: string) => rootMembers.has(member) || (isDeployment && deploymentMembers.has(member));
    const nested = isDeployment ? (properties as { readonly template?: WithResources }).template : undefined;
    return [
      ...Object.keys(resource)
        .filter((member) => !isKnown(member))
        .map((member) => `${String(type)} ${String(name)}: ${member}`),
      ...refusedMembers(resource as WithResources),
      ...refusedMembers(nested ?? {}),
    ];
  });
}

function stringsIn(value: Value): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((item: Value) => stringsIn(item));
}

describe('the templates', () => {
  it('have no member at the root of a resource, nested ones included, that Resource Manager refuses', () => {
    const files = readdirSync(deployFolder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => ({ name, template: readJson<WithResources>(name) }))
      .filter(({ template }) => template.resources !== undefined);
    for (const name of ['azuredeploy.json', 'container-app.json', 'sentinel.json']) {
      assert.ok(
        files.some((file) => file.name === name),
        name,
      );
    }
    for (const { name, template } of files) assert.deepEqual(refusedMembers(template), [], name);
  });

  it('would be refused for such a member, however deep its resource is', () => {
    const bad = { type: 'A/b', name: 'bad', etag: '*', properties: { etag: '*' } };
    const child = { type: 'A/b', name: 'parent', resources: [bad] };
    const nested = {
      type: 'Microsoft.Resources/deployments',
      name: 'n',
      properties: { template: { resources: [child] } },
    };
    assert.deepEqual(refusedMembers({ resources: [nested] }), ['A/b bad: etag']);
    assert.deepEqual(refusedMembers({ resources: [{ type: 'A/b', name: 'c', resourceGroup: 'x' }] }), [
      'A/b c: resourceGroup',
    ]);
  });

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
