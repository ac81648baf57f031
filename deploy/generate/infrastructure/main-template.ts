import { sharedParameters } from '../content/parameters.ts';
import type { TableStream } from '../streams.ts';
import type { Template } from '../template.ts';
import { contentDeployment } from './content-deployment.ts';
import { dataCollectionRule } from './data-collection-rule.ts';
import { diagnosticSetting } from './diagnostic-setting.ts';
import { outputs } from './outputs.ts';
import { infrastructureParameters } from './parameters.ts';
import { roleAssignments } from './role-assignments.ts';
import { tableResource } from './tables.ts';

/** azuredeploy.json: everything that the service needs in Azure, in an order in which Azure takes it. */
export function mainTemplate(streams: readonly TableStream[], content: Template): Template {
  const shared = new Set(sharedParameters.map(({ name }) => name));
  return {
    description:
      "Apono's events in Microsoft Sentinel: tables, data collection rule, role, functions, analytics rules, hunting queries and workbook. Deploy it to the resource group of the workspace. The outputs are the variables of apono-sentinel.",
    parameters: [
      ...sharedParameters,
      ...infrastructureParameters(streams),
      ...content.parameters.filter(({ name }) => !shared.has(name)),
    ],
    resources: [
      ...streams.map(tableResource),
      dataCollectionRule(streams),
      ...roleAssignments(),
      diagnosticSetting(),
      contentDeployment(content, streams),
    ],
    outputs: outputs(streams),
  };
}
