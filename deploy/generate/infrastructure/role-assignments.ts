import { expression, parameter, parameterValue, quoted } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { ruleId } from '../names.ts';

/** https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/monitor */
const monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb';
const monitoringReader = '43d0d8ad-25c7-4714-9337-8ba259a9fe05';

/** Writing through the rule, and nothing else; reading the rule where that was asked for. */
export function roleAssignments(): readonly JsonFields[] {
  const principalIsGiven = `not(empty(${parameter('principalId')}))`;
  return [
    assignment(monitoringMetricsPublisher, 'Sends rows through this rule.', principalIsGiven),
    assignment(
      monitoringReader,
      'Compares the columns of this rule with its own.',
      `and(${principalIsGiven}, ${parameter('assignMonitoringReader')})`,
    ),
  ];
}

/** The name is made of what it joins, so that a second deployment finds the first one's. */
function assignment(role: string, description: string, condition: string): JsonFields {
  return {
    type: 'Microsoft.Authorization/roleAssignments',
    apiVersion: '2022-04-01',
    name: expression(`guid(${ruleId}, ${parameter('principalId')}, ${quoted(role)})`),
    scope: expression(ruleId),
    condition: expression(condition),
    dependsOn: [expression(ruleId)],
    properties: {
      roleDefinitionId: expression(
        `subscriptionResourceId('Microsoft.Authorization/roleDefinitions', ${quoted(role)})`,
      ),
      principalId: parameterValue('principalId'),
      principalType: parameterValue('principalType'),
      description,
    },
  };
}
