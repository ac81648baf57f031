import { expression, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { ruleId } from '../names.ts';
import type { TableStream } from '../streams.ts';
import { renderTemplate, type Template } from '../template.ts';
import { tableId } from './tables.ts';

/**
 * The template sentinel.json inside azuredeploy.json: a template that is pasted into the portal has no place that a link
 * could be relative to. It comes last, since an analytics rule whose tables do not exist is refused.
 */
export function contentDeployment(content: Template, streams: readonly TableStream[]): JsonFields {
  return {
    type: 'Microsoft.Resources/deployments',
    apiVersion: '2025-04-01',
    name: 'apono-sentinel-content',
    condition: parameterValue('deployContent'),
    dependsOn: [...streams.map(({ table }) => expression(tableId(table.name))), expression(ruleId)],
    properties: {
      mode: 'Incremental',
      // Its expressions are its own: the text is the same as that of sentinel.json.
      expressionEvaluationOptions: { scope: 'inner' },
      parameters: Object.fromEntries(content.parameters.map(({ name }) => [name, { value: parameterValue(name) }])),
      template: renderTemplate(content),
    },
  };
}
