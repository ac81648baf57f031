import { expression, literal, literals, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { enabledParameter, ruleKey, workspaceId } from '../names.ts';
import type { AnalyticRule, Named, Parser } from './content.ts';
import { isoDuration } from './durations.ts';
import { dependencies } from './functions.ts';
import { ContentError } from './read.ts';
import { techniquesOf } from './techniques.ts';

const operators: Readonly<Record<string, string>> = { gt: 'GreaterThan', lt: 'LessThan', eq: 'Equal', ne: 'NotEqual' };

const noGrouping: JsonFields = {
  enabled: false,
  reopenClosedIncident: false,
  lookbackDuration: 'PT5H',
  matchingMethod: 'AllEntities',
};

/**
 * A scheduled analytics rule. Its resource name is the YAML's id, so that a second deployment updates the rule, and the
 * incidents of our rules can be told by it.
 */
export function analyticRuleResource(named: Named<AnalyticRule>, parsers: readonly Named<Parser>[]): JsonFields {
  const { file, value: rule } = named;
  return {
    type: 'Microsoft.SecurityInsights/alertRules',
    apiVersion: '2025-09-01',
    name: rule.id,
    scope: expression(workspaceId),
    kind: 'Scheduled',
    condition: parameterValue('deployRules'),
    ...dependencies(rule.query, parsers),
    properties: {
      displayName: literal(rule.name),
      description: literal(rule.description.trim()),
      enabled: parameterValue(enabledParameter(ruleKey(file))),
      severity: rule.severity,
      query: literal(rule.query),
      queryFrequency: isoDuration(rule.queryFrequency),
      queryPeriod: isoDuration(rule.queryPeriod),
      triggerOperator: operators[rule.triggerOperator] ?? rule.triggerOperator,
      triggerThreshold: rule.triggerThreshold,
      // Both are required, even where nothing is suppressed.
      suppressionEnabled: rule.suppressionEnabled ?? false,
      suppressionDuration: isoDuration(rule.suppressionDuration ?? '5h'),
      tactics: rule.tactics,
      techniques: techniquesOf(rule.relevantTechniques),
      ...alerts(named),
      incidentConfiguration: incidents(named),
    },
  };
}

function alerts({ file, value: rule }: Named<AnalyticRule>): JsonFields {
  const { entityMappings, customDetails, alertDetailsOverride, eventGroupingSettings } = rule;
  const kind = eventGroupingSettings?.aggregationKind ?? 'SingleAlert';
  return {
    ...(entityMappings !== undefined && { entityMappings: literals(entityMappings) }),
    ...(customDetails !== undefined && { customDetails: literals(customDetails) }),
    ...(alertDetailsOverride !== undefined && { alertDetailsOverride: literals(alertDetailsOverride) }),
    eventGroupingSettings: { aggregationKind: spelling(file, kind, ['SingleAlert', 'AlertPerResult']) },
  };
}

function incidents({ file, value: rule }: Named<AnalyticRule>): JsonFields {
  const configuration = rule.incidentConfiguration ?? { createIncident: true };
  const grouping = configuration.groupingConfiguration;
  if (grouping === undefined)
    return { createIncident: configuration.createIncident, groupingConfiguration: noGrouping };
  const methods = ['AllEntities', 'AnyAlert', 'Selected'];
  return {
    createIncident: configuration.createIncident,
    groupingConfiguration: {
      ...grouping,
      lookbackDuration: isoDuration(grouping.lookbackDuration),
      matchingMethod: spelling(file, grouping.matchingMethod, methods),
    },
  };
}

/** Azure-Sentinel's YAML does not mind about capitals here, Resource Manager might. */
function spelling(file: string, text: string, known: readonly string[]): string {
  const found = known.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new ContentError(`Analytic Rules/${file}`, [`${text} is none of ${known.join(', ')}`]);
}
