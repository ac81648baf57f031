import type { Template } from '../template.ts';
import { analyticRuleResource } from './analytic-rule.ts';
import type { Content } from './content.ts';
import { isCreatedRule, withCreatedRuleParameters } from './created-rule.ts';
import { functionResource, savedSearches } from './functions.ts';
import { huntingQueryResource } from './hunting-query.ts';
import { contentSwitches, sharedParameters } from './parameters.ts';
import { ruleParameters } from './rule-parameters.ts';
import { workbookResource } from './workbook.ts';

/** sentinel.json, and the nested template of azuredeploy.json: what reads the tables. It can be deployed again alone. */
export function contentTemplate({ parsers, rules, huntingQueries, workbooks }: Content): Template {
  const searches = savedSearches(parsers, huntingQueries);
  return {
    description:
      "Functions, analytics rules, hunting queries and workbook for Apono's events in Microsoft Sentinel. The tables must be there: azuredeploy.json makes them, and holds this template too.",
    parameters: [...sharedParameters, ...contentSwitches, ...ruleParameters(rules)],
    resources: [
      ...parsers.map((parser) => functionResource(parser, searches)),
      ...rules.map((rule) => {
        const resource = analyticRuleResource(rule, parsers);
        return isCreatedRule(rule) ? withCreatedRuleParameters(resource) : resource;
      }),
      ...huntingQueries.map((query) => huntingQueryResource(query, searches)),
      ...workbooks.map(workbookResource),
    ],
  };
}
