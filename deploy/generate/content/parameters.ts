import type { TemplateParameter } from '../template.ts';

/** Parameters that both templates have. */
export const sharedParameters: readonly TemplateParameter[] = [
  {
    name: 'workspaceName',
    label: 'Workspace',
    type: 'string',
    minLength: 4,
    maxLength: 63,
    description:
      'Name of the Log Analytics workspace with Microsoft Sentinel, in the resource group of the deployment.',
  },
  {
    name: 'location',
    label: 'Region',
    type: 'string',
    defaultValue: '[resourceGroup().location]',
    description: 'Region of the workspace. The data collection rule must be in the same one.',
  },
];

/** What of the content is deployed. */
export const contentSwitches: readonly TemplateParameter[] = [
  {
    name: 'deploySettings',
    label: 'Deploy the function AponoSettings?',
    type: 'bool',
    defaultValue: true,
    description:
      'Deploy the function AponoSettings. Turn it off when you deploy again after editing it: the edit would be overwritten.',
  },
  {
    name: 'deployRules',
    label: 'Deploy analytics rules?',
    type: 'bool',
    defaultValue: true,
    description: 'Deploy the analytics rules. Edits of rules that are there are overwritten.',
  },
  {
    name: 'deployHuntingQueries',
    label: 'Deploy hunting queries?',
    type: 'bool',
    defaultValue: true,
    description: 'Deploy the hunting queries.',
  },
  {
    name: 'deployWorkbook',
    label: 'Deploy the workbook?',
    type: 'bool',
    defaultValue: true,
    description: 'Deploy the workbook.',
  },
];
