import { contentSwitches } from '../content/parameters.ts';
import type { Json, JsonFields } from '../json.ts';
import type { TemplateParameter } from '../template.ts';
import { basics, basicsConfig, basicsOutputs } from './basics.ts';
import { formElement } from './elements.ts';

interface Step {
  readonly name: string;
  readonly label: string;
  readonly note: string;
  readonly has: (parameter: TemplateParameter) => boolean;
}

const identity = ['principalId', 'principalType', 'managedIdentity', 'assignMonitoringReader'];
const content = ['deployContent', ...contentSwitches.map(({ name }) => name)];

/** In this order; a parameter is asked for in the first step that has it. */
const steps: readonly Step[] = [
  {
    name: 'identity',
    label: 'Identity',
    note: 'What the service signs in with. The object id of an application is under Enterprise applications in Entra ID.',
    has: ({ name }) => identity.includes(name),
  },
  {
    name: 'tables',
    label: 'Tables',
    note: 'Answer No for a table that is there already: creating it again would delete the columns that it has and this does not name.',
    has: ({ name }) => name.startsWith('create') || name.includes('etention'),
  },
  {
    name: 'rule',
    label: 'Data collection rule',
    note: 'An endpoint is needed for private link only. Leave it empty otherwise.',
    has: ({ name }) => name.startsWith('dataCollection'),
  },
  {
    name: 'content',
    label: 'Content',
    note: 'When you deploy again: AponoSettings and rules that were edited are overwritten, unless you answer No.',
    has: ({ name }) => content.includes(name),
  },
  { name: 'rules', label: 'Analytics rules', note: 'Which rules run from the start.', has: () => true },
];

/** createUiDefinition.json: the form that the portal shows for azuredeploy.json. It asks for every parameter. */
export function portalForm(parameters: readonly TemplateParameter[]): JsonFields {
  const asked = parameters.filter(({ name }) => !Object.hasOwn(basicsOutputs, name));
  const outputs: Record<string, Json> = { ...basicsOutputs };
  const pages = steps.map(({ name, label, note, has }, index) => {
    const mine = asked.filter(
      (parameter) => has(parameter) && !steps.slice(0, index).some((step) => step.has(parameter)),
    );
    const elements = mine.map((parameter) => {
      const { element, output } = formElement(parameter);
      outputs[parameter.name] = output(name);
      return element;
    });
    return {
      name,
      label,
      elements: [{ name: `${name}Note`, type: 'Microsoft.Common.TextBlock', options: { text: note } }, ...elements],
    };
  });
  return {
    $schema: 'https://schema.management.azure.com/schemas/0.1.2-preview/CreateUIDefinition.MultiVm.json#',
    handler: 'Microsoft.Azure.CreateUIDef',
    version: '0.1.2-preview',
    parameters: { config: basicsConfig, basics, steps: pages, outputs },
  };
}
