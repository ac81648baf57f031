import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fields } from './arm/deploy.ts';
import type { Value } from './arm/functions.ts';
import { deployMain, mainTemplate, readJson, WORKSPACE } from './support.ts';

interface Element {
  readonly name: string;
  readonly type: string;
  readonly label?: string;
  readonly toolTip?: string;
  readonly visible?: Value;
  readonly defaultValue?: string;
  readonly constraints?: {
    readonly allowedValues?: string | readonly { readonly label: string; readonly value: Value }[];
    readonly required?: boolean;
    readonly regex?: string;
  };
}

interface Form {
  readonly handler: string;
  readonly version: string;
  readonly parameters: {
    readonly basics: readonly Element[];
    readonly steps: readonly { readonly name: string; readonly label: string; readonly elements: readonly Element[] }[];
    readonly outputs: Readonly<Record<string, string>>;
  };
}

const form = readJson<Form>('createUiDefinition.json');
const { basics, steps, outputs } = form.parameters;

/** From the first page; the others come from an element each. */
const fromBasics = ['workspaceName', 'location'];

/** The element of `[steps('a').b]` or `[split(steps('a').b, ',')]`, and whether the value is a list. */
function sourceOf(output: string): { readonly element: Element; readonly isList: boolean } {
  const match = /^\[(?:steps\('(\w+)'\)\.(\w+)|split\(steps\('(\w+)'\)\.(\w+), ','\))\]$/.exec(output);
  assert.ok(match !== null, `${output} is none of the two forms`);
  const [, step = match[3], name = match[4]] = match;
  const element = steps.find((candidate) => candidate.name === step)?.elements.find((found) => found.name === name);
  assert.ok(element !== undefined, `${output} refers to nothing`);
  return { element, isList: match[3] !== undefined };
}

/** What an element gives when nobody touches it. */
function untouched({ name, constraints, defaultValue }: Element): Value {
  if (constraints?.allowedValues === undefined) return defaultValue ?? '';
  assert.ok(Array.isArray(constraints.allowedValues), name);
  const chosen = constraints.allowedValues.find(({ label }) => label === defaultValue);
  assert.ok(chosen !== undefined, `${name}: the default is not offered`);
  return chosen.value;
}

function submitted(): Fields {
  return Object.fromEntries(
    Object.entries(outputs)
      .filter(([name]) => !fromBasics.includes(name))
      .map(([name, output]) => {
        const { element, isList } = sourceOf(output);
        const value = untouched(element);
        return [name, isList ? String(value).split(',') : value];
      }),
  );
}

describe("the portal's form", () => {
  it('gives exactly the parameters of the template', () => {
    assert.deepEqual(Object.keys(outputs).sort(), Object.keys(mainTemplate.parameters).sort());
    assert.deepEqual([form.handler, form.version], ['Microsoft.Azure.CreateUIDef', '0.1.2-preview']);
  });

  it('deploys, left as it is, what the template deploys by itself', () => {
    const { resources } = deployMain({ workspaceName: WORKSPACE, ...submitted() });
    assert.deepEqual(resources, deployMain().resources);
  });

  it('offers only values that the template takes', () => {
    const standard = submitted();
    for (const [name, output] of Object.entries(outputs)) {
      if (fromBasics.includes(name)) continue;
      const { element, isList } = sourceOf(output);
      const offered = element.constraints?.allowedValues;
      if (offered === undefined || typeof offered === 'string') continue;
      for (const { value } of offered) {
        deployMain({ ...standard, [name]: isList ? String(value).split(',') : value });
      }
    }
  });

  it('checks what is typed: ids of their form, or nothing', () => {
    const takes = (name: string, text: string) =>
      new RegExp(sourceOf(outputs[name] ?? '').element.constraints?.regex ?? 'nothing').test(text);
    const guid = '01234567-89ab-cdef-0123-456789abcdef';
    const id = `/subscriptions/${guid}/resourceGroups/g/providers/Microsoft.Insights/dataCollectionEndpoints/e`;
    assert.deepEqual(
      ['', guid, 'apono'].map((text) => takes('principalId', text)),
      [true, true, false],
    );
    assert.deepEqual(
      ['', id, guid].map((text) => takes('dataCollectionEndpointResourceId', text)),
      [true, true, false],
    );
    assert.deepEqual(
      ['apono-sentinel', 'a', '-x-'].map((text) => takes('dataCollectionRuleName', text)),
      [true, false, false],
    );
  });

  it('asks for nothing that it does not use, and hides nothing whose value is needed', () => {
    const used = new Set(
      Object.keys(outputs)
        .filter((name) => !fromBasics.includes(name))
        .map((name) => sourceOf(outputs[name] ?? '').element),
    );
    const notes = 'Microsoft.Common.TextBlock';
    for (const element of steps.flatMap(({ elements }) => elements)) {
      assert.ok(used.has(element) || element.type === notes, element.name);
      assert.equal(element.visible, undefined, element.name);
      if (element.type !== notes) assert.ok(element.label !== undefined && element.toolTip !== undefined, element.name);
    }
    const names = basics.map(({ name }) => name);
    const text = JSON.stringify([outputs['workspaceName'], outputs['location'], basics]);
    const referred = [...text.matchAll(/basics\('(\w+)'\)/g)].map(([, name = '']) => name);
    assert.deepEqual([...new Set(referred)].sort(), [...names].sort());
  });
});
