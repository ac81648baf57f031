import { expression, literal, parameter, parameterValue, quoted, resourceId } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import type { Named, Parser, ParserParameter } from './content.ts';
import { reportedSteps } from './created-rule.ts';
import { ContentError } from './read.ts';

/** The function that users edit. */
const settings = 'AponoSettings';

/** A function of the workspace: a saved search with an alias. */
export function functionResource({ value: parser }: Named<Parser>, parsers: readonly Named<Parser>[]): JsonFields {
  const alias = parser.FunctionAlias;
  const others = parsers.filter(({ value }) => value.FunctionAlias !== alias);
  return {
    type: 'Microsoft.OperationalInsights/workspaces/savedSearches',
    apiVersion: '2025-07-01',
    name: savedSearchName(alias),
    ...(alias === settings && { condition: parameterValue('deploySettings') }),
    ...dependencies(parser.FunctionQuery, others),
    properties: {
      // Without it, deploying a second time is a 409. Resource Manager refuses an etag at the root of the resource:
      // https://github.com/Azure/bicep-types-az/issues/1872
      etag: '*',
      category: parser.Category,
      displayName: literal(parser.Function.Title),
      functionAlias: alias,
      ...(parser.FunctionParams !== undefined && {
        functionParameters: alias === settings ? settingsParameters(parser) : parameterList(parser),
      }),
      query: literal(parser.FunctionQuery),
      version: 2,
    },
  };
}

export function savedSearchName(name: string): string {
  return expression(`concat(${parameter('workspaceName')}, ${quoted(`/${name}`)})`);
}

/** The functions that a query names must be there before it: a rule with an unknown function is refused. */
export function dependencies(
  query: string,
  parsers: readonly Named<Parser>[],
): { readonly dependsOn?: readonly string[] } {
  const used = parsers.filter(({ value }) => new RegExp(`\\b${value.FunctionAlias}\\b`).test(query));
  if (used.length === 0) return {};
  return {
    dependsOn: used.map(({ value }) =>
      expression(
        resourceId(
          'Microsoft.OperationalInsights/workspaces/savedSearches',
          parameter('workspaceName'),
          quoted(value.FunctionAlias),
        ),
      ),
    ),
  };
}

/** Its parameter has what the deployment says as its default. */
function settingsParameters({ FunctionParams: parameters = [] }: Parser): string {
  const [steps, ...others] = parameters;
  if (steps?.Type !== 'string' || others.length > 0) {
    throw new ContentError('Parsers/AponoSettings.yaml', ['must have one parameter, a string: the steps to report']);
  }
  return expression(`concat(${quoted(`${steps.Name}:string = '`)}, ${reportedSteps()}, ${quoted("'")})`);
}

/** As Log Analytics reads a list of parameters: `at:datetime, disabled:bool = false`. */
export function parameterList({ FunctionParams: parameters = [] }: Parser): string {
  return parameters.map(declaration).join(', ');
}

function declaration({ Name, Type, Default }: ParserParameter): string {
  if (Default === undefined) return `${Name}:${Type}`;
  return `${Name}:${Type} = ${Type === 'string' ? `'${Default}'` : String(Default)}`;
}
