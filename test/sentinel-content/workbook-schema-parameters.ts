import { flag, guid, identifier, inWorkspace, list, logs, object, text, WORKSPACES } from './workbook-schema-parts.ts';

/* The parameters that workbook-schema.ts takes: text, drop down of several, time range, workspace, options. */

const parameterBase = { id: guid, version: { const: 'KqlParameterItem/1.0' }, name: identifier, label: text };
const parameterOptions = { description: text, isRequired: flag };
const range = object({ durationMs: { type: 'integer', minimum: 60_000 } });
export const parameter = {
  oneOf: [
    object(
      { ...parameterBase, type: { const: 1 }, value: { type: 'string' } },
      {
        ...parameterOptions,
        typeSettings: object({
          paramValidationRules: list(
            object({ regExp: { type: 'string', format: 'regex' }, match: flag, message: text }),
          ),
        }),
      },
    ),
    object(
      {
        ...parameterBase,
        ...logs,
        ...inWorkspace,
        type: { const: 2 },
        multiSelect: { const: true },
        quote: { const: '' },
        delimiter: { const: ',' },
        query: text,
        value: { const: ['value::all'] },
        defaultValue: { const: 'value::all' },
        timeContext: range,
        typeSettings: object({
          additionalResourceOptions: { const: ['value::all'] },
          selectAllValue: { const: '*' },
          showDefault: flag,
        }),
      },
      parameterOptions,
    ),
    object(
      {
        ...parameterBase,
        type: { const: 4 },
        value: range,
        typeSettings: object({ selectableValues: list(range), allowCustom: flag }),
      },
      parameterOptions,
    ),
    object(
      {
        ...parameterBase,
        type: { const: 5 },
        value: { const: 'value::1' },
        defaultValue: { const: 'value::1' },
        typeSettings: object({
          resourceTypeFilter: { const: { [WORKSPACES]: true } },
          additionalResourceOptions: { const: ['value::1'] },
          showDefault: flag,
        }),
      },
      parameterOptions,
    ),
    object(
      {
        ...parameterBase,
        type: { const: 10 },
        value: text,
        jsonData: text,
        typeSettings: object({ additionalResourceOptions: { const: [] }, showDefault: flag }),
      },
      parameterOptions,
    ),
  ],
};
