import type { Json, JsonFields } from '../json.ts';
import type { Choice, TemplateParameter } from '../template.ts';

/**
 * The element of the portal's form that asks for a parameter, and what it gives for it.
 * https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/create-uidefinition-elements
 */
export interface FormElement {
  readonly element: JsonFields;
  /** The parameter's value, from the element of the step with this name. */
  readonly output: (step: string) => string;
}

const yesOrNo: readonly Choice[] = [
  { label: 'Yes', value: true },
  { label: 'No', value: false },
];

export function formElement(parameter: TemplateParameter): FormElement {
  const value = (step: string) => `steps('${step}').${parameter.name}`;
  const as = (convert: (value: string) => string) => (step: string) => `[${convert(value(step))}]`;
  switch (parameter.type) {
    case 'bool':
      return { element: choice(parameter, 'Microsoft.Common.OptionsGroup', yesOrNo), output: as((text) => text) };
    case 'array':
      return {
        element: choice(parameter, 'Microsoft.Common.DropDown', choicesOf(parameter)),
        output: as((text) => `split(${text}, ',')`),
      };
    case 'int':
      return {
        element: choice(parameter, 'Microsoft.Common.DropDown', choicesOf(parameter)),
        output: as((text) => text),
      };
    case 'string':
      return {
        element:
          parameter.allowedValues === undefined
            ? textBox(parameter)
            : choice(parameter, 'Microsoft.Common.DropDown', choicesOf(parameter)),
        output: as((text) => text),
      };
  }
}

function choicesOf({ name, choices, allowedValues }: TemplateParameter): readonly Choice[] {
  const offered = choices ?? allowedValues?.map((value) => ({ label: String(value), value }));
  if (offered === undefined) throw new Error(`the portal's form has nothing to offer for ${name}: give it choices`);
  return offered;
}

function choice(parameter: TemplateParameter, type: string, choices: readonly Choice[]): JsonFields {
  const { name, label, description, defaultValue } = parameter;
  const chosen = choices.find(({ value }) => value === plain(defaultValue ?? null));
  if (chosen === undefined) throw new Error(`the default of ${name} is none of what the portal's form offers`);
  return {
    name,
    type,
    label,
    defaultValue: chosen.label,
    toolTip: description,
    constraints: { allowedValues: choices.map(({ label, value }) => ({ label, value })), required: true },
  };
}

function plain(value: Json): Json {
  return Array.isArray(value) ? value.join(',') : value;
}

function textBox({ name, label, description, defaultValue, pattern }: TemplateParameter): JsonFields {
  if (pattern === undefined) throw new Error(`the portal's form takes any text for ${name}: give it a pattern`);
  return {
    name,
    type: 'Microsoft.Common.TextBox',
    label,
    ...(typeof defaultValue === 'string' && defaultValue !== '' && { defaultValue }),
    toolTip: description,
    constraints: {
      required: defaultValue !== '',
      regex: pattern,
      validationMessage: description,
    },
  };
}
