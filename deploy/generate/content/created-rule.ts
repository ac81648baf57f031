import { expression, parameter, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { ruleKey } from '../names.ts';
import type { TemplateParameter } from '../template.ts';
import type { AnalyticRule, Named } from './content.ts';

/**
 * The rule of Apono's own recipe: an alert for each access request. It is off by default, since that is an alert for
 * each access request, and what it is raised for and as can be chosen. The recipe files it under T1650 (Acquire Access),
 * which is here and not in the YAML file because Azure-Sentinel's validator does not know that technique.
 */
export const createdRuleFile = 'AponoAccessRequestCreated.yaml';
const key = ruleKey(createdRuleFile);

const actions = ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed', 'Manual', 'Other'];
const tactics = [
  'Reconnaissance',
  'ResourceDevelopment',
  'InitialAccess',
  'Execution',
  'Persistence',
  'PrivilegeEscalation',
  'DefenseEvasion',
  'CredentialAccess',
  'Discovery',
  'LateralMovement',
  'Collection',
  'Exfiltration',
  'CommandAndControl',
  'Impact',
];

export function isCreatedRule({ file }: Named<AnalyticRule>): boolean {
  return file === createdRuleFile;
}

export const createdRuleParameters: readonly TemplateParameter[] = [
  {
    name: `${key}EventActions`,
    label: 'It is raised for',
    choices: [
      { label: 'Created', value: 'Created' },
      { label: 'Created, granted', value: 'Created,Granted' },
      { label: 'Every step', value: actions.join(',') },
    ],
    type: 'array',
    defaultValue: ['Created'],
    description: 'What the rule on created access requests is raised for: values of event_action or event_type.',
  },
  {
    name: `${key}Severity`,
    label: 'Its severity',
    type: 'string',
    defaultValue: 'Informational',
    allowedValues: ['Informational', 'Low', 'Medium', 'High'],
    description: 'Severity of the alerts on created access requests.',
  },
  {
    name: `${key}Tactic`,
    label: 'Its tactic',
    type: 'string',
    defaultValue: 'ResourceDevelopment',
    allowedValues: tactics,
    description: 'Tactic of the alerts on created access requests. The technique must be one of its.',
  },
  {
    name: `${key}Technique`,
    label: 'Its technique',
    pattern: '^(T[0-9]{4})?$',
    type: 'string',
    defaultValue: 'T1650',
    description: 'Technique of the alerts on created access requests, as in ATT&CK. Empty: none.',
  },
];

/** The resource of that rule, with its parameters in place. */
export function withCreatedRuleParameters(resource: JsonFields): JsonFields {
  const technique = parameter(`${key}Technique`);
  return {
    ...resource,
    properties: {
      ...(resource['properties'] as JsonFields),
      severity: parameterValue(`${key}Severity`),
      tactics: expression(`createArray(${parameter(`${key}Tactic`)})`),
      techniques: expression(`if(empty(${technique}), createArray(), createArray(${technique}))`),
    },
  };
}

/**
 * Which steps the rule reports is the default of a parameter of AponoSettings, since the queries themselves are literals.
 * Quotes and backslashes would end the text; no event type has any.
 */
export function reportedSteps(): string {
  return `replace(replace(join(${parameter(`${key}EventActions`)}, ','), '''', ''), '\\', '')`;
}
