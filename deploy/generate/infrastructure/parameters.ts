import { tableParameter } from '../names.ts';
import type { TableStream } from '../streams.ts';
import type { Choice, TemplateParameter } from '../template.ts';

const rule: readonly TemplateParameter[] = [
  {
    name: 'dataCollectionRuleName',
    label: 'Name of the data collection rule',
    type: 'string',
    defaultValue: 'apono-sentinel',
    minLength: 3,
    maxLength: 64,
    pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{1,62}[A-Za-z0-9]$',
    description: 'Name of the data collection rule.',
  },
  {
    name: 'dataCollectionEndpointResourceId',
    label: 'Data collection endpoint (resource id)',
    type: 'string',
    defaultValue: '',
    pattern:
      '^(/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.Insights/dataCollectionEndpoints/[^/]+)?$',
    description:
      'For private link: resource id of a data collection endpoint in the same region. Empty: the rule has an endpoint of its own.',
  },
];

const identity: readonly TemplateParameter[] = [
  {
    name: 'principalId',
    label: 'Object id of the service principal or managed identity',
    type: 'string',
    defaultValue: '',
    pattern: '^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$',
    description:
      'Object id of the service principal (under Enterprise applications, not under App registrations) or of the managed identity that the service signs in with. It gets the role Monitoring Metrics Publisher on the rule. Empty: no role is assigned.',
  },
  {
    name: 'principalType',
    label: 'Type of the principal',
    type: 'string',
    defaultValue: 'ServicePrincipal',
    allowedValues: ['ServicePrincipal', 'Group', 'User'],
    description: 'What principalId is. A managed identity is a ServicePrincipal.',
  },
  {
    name: 'managedIdentity',
    label: 'Is it a managed identity?',
    type: 'bool',
    defaultValue: false,
    description: 'The service signs in with a managed identity: the output AZURE_TENANT_ID is then empty.',
  },
  {
    name: 'assignMonitoringReader',
    label: 'May it read the rule too?',
    type: 'bool',
    defaultValue: false,
    description:
      'Also give principalId the role Monitoring Reader on the rule, with which check --live compares columns.',
  },
];

const retention: readonly TemplateParameter[] = [
  {
    name: 'retentionInDays',
    label: 'Days for queries',
    type: 'int',
    defaultValue: -1,
    minValue: -1,
    maxValue: 730,
    choices: days('As the workspace', [30, 90, 180, 365, 730]),
    description: 'Days for which rows can be queried, 4 to 730. -1: those of the workspace.',
  },
  {
    name: 'totalRetentionInDays',
    label: 'Days in all',
    type: 'int',
    defaultValue: -1,
    minValue: -1,
    maxValue: 4383,
    choices: days('As for queries', [90, 180, 365, 730, 1095, 1826, 2556, 4383]),
    description: 'Days for which rows are kept in all, 4 to 4383. -1: retentionInDays.',
  },
];

const switches: readonly TemplateParameter[] = [
  {
    name: 'createDiagnosticSetting',
    label: 'Collect errors of the rule (DCRLogErrors)?',
    type: 'bool',
    defaultValue: true,
    description: 'Send the errors of the rule to the table DCRLogErrors of the workspace.',
  },
  {
    name: 'deployContent',
    label: 'Deploy functions, rules, hunting queries and workbook?',
    type: 'bool',
    defaultValue: true,
    description:
      'Deploy functions, analytics rules, hunting queries and workbook: the nested template, which is sentinel.json too.',
  },
];

/** Of azuredeploy.json, but for those of the nested template. */
export function infrastructureParameters(streams: readonly TableStream[]): readonly TemplateParameter[] {
  return [...rule, ...identity, ...tableParameters(streams), ...retention, ...switches];
}

function tableParameters(streams: readonly TableStream[]): readonly TemplateParameter[] {
  return [
    {
      name: 'createTables',
      label: 'Create tables?',
      type: 'bool',
      defaultValue: true,
      description:
        'Create the tables. Turn it off where they are there already: deploying an existing table deletes the columns that the template does not name. "az monitor log-analytics workspace table update" adds columns.',
    },
    ...streams.map(
      ({ table }): TemplateParameter => ({
        name: tableParameter(table.name),
        label: `Create ${table.name}?`,
        type: 'bool',
        defaultValue: true,
        description: `Create ${table.name}. Turn it off if it is there already.`,
      }),
    ),
  ];
}

function days(standard: string, numbers: readonly number[]): readonly Choice[] {
  return [{ label: standard, value: -1 }, ...numbers.map((value) => ({ label: `${value} days`, value }))];
}
