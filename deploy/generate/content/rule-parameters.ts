import { enabledParameter, ruleKey } from '../names.ts';
import type { TemplateParameter } from '../template.ts';
import type { AnalyticRule, Named } from './content.ts';
import { createdRuleFile, createdRuleParameters, isCreatedRule } from './created-rule.ts';
import { ContentError } from './read.ts';

/** Of each rule whether it runs, and what else can be chosen. */
export function ruleParameters(rules: readonly Named<AnalyticRule>[]): readonly TemplateParameter[] {
  if (!rules.some(isCreatedRule))
    throw new ContentError('Analytic Rules', [`has no ${createdRuleFile}, which has parameters`]);
  return rules.flatMap((rule) => [
    enabled(rule, !isCreatedRule(rule)),
    ...(isCreatedRule(rule) ? createdRuleParameters : []),
  ]);
}

function enabled({ file, value }: Named<AnalyticRule>, defaultValue: boolean): TemplateParameter {
  return {
    name: enabledParameter(ruleKey(file)),
    label: value.name,
    type: 'bool',
    defaultValue,
    description: `Whether the rule "${value.name}" runs.`,
  };
}
