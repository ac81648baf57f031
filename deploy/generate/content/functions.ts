import { expression, literal, parameter, parameterValue, quoted, resourceId } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import type { HuntingQuery, Named, Parser, ParserParameter } from './content.ts';
import { reportedSteps } from './created-rule.ts';
import { ContentError } from './read.ts';

/** The function that users edit. */
const settings = 'AponoSettings';

/** A function of the workspace: a saved search with an alias. */
export function functionResource({ value: parser }: Named<Parser>, searches: SavedSearches): JsonFields {
  const alias = parser.FunctionAlias;
  return {
    type: 'Microsoft.OperationalInsights/workspaces/savedSearches',
    apiVersion: '2025-07-01',
    name: savedSearchName(alias),
    ...(alias === settings && { condition: parameterValue('deploySettings') }),
    ...searches.dependencies(alias, parser.FunctionQuery),
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

interface Dependencies {
  readonly dependsOn?: readonly string[];
}

export interface SavedSearches {
  /** What must be there before the function or hunting query of this name. */
  dependencies(name: string, query: string): Dependencies;
}

/**
 * They are deployed one after another: of several at once a workspace refuses some with a 409, "Newer data exists in the
 * Customer Configuration Store" (https://github.com/Azure/azure-guardrails/pull/61).
 */
export function savedSearches(
  parsers: readonly Named<Parser>[],
  huntingQueries: readonly Named<HuntingQuery>[],
): SavedSearches {
  const order = [
    ...calledFirst(parsers).map(({ value }) => value.FunctionAlias),
    ...huntingQueries.map(({ value }) => value.id),
  ];
  return {
    dependencies(name, query) {
      const before = order[order.indexOf(name) - 1];
      const named = namedIn(query, parsers).map(({ value }) => value.FunctionAlias);
      return dependsOn([
        ...new Set([...named.filter((other) => other !== name), ...(before === undefined ? [] : [before])]),
      ]);
    },
  };
}

/** The functions that a query names must be there before it: a rule with an unknown function is refused. */
export function dependencies(query: string, parsers: readonly Named<Parser>[]): Dependencies {
  return dependsOn(namedIn(query, parsers).map(({ value }) => value.FunctionAlias));
}

function dependsOn(names: readonly string[]): Dependencies {
  if (names.length === 0) return {};
  const type = 'Microsoft.OperationalInsights/workspaces/savedSearches';
  return { dependsOn: names.map((name) => expression(resourceId(type, parameter('workspaceName'), quoted(name)))) };
}

function namedIn(query: string, parsers: readonly Named<Parser>[]): readonly Named<Parser>[] {
  return parsers.filter(({ value }) => new RegExp(`\\b${value.FunctionAlias}\\b`).test(query));
}

/** Each after what it calls. The settings begin: without them, by `deploySettings`, the chain must not fall apart. */
function calledFirst(parsers: readonly Named<Parser>[]): readonly Named<Parser>[] {
  const left = parsers.toSorted(
    (one, other) => Number(other.value.FunctionAlias === settings) - Number(one.value.FunctionAlias === settings),
  );
  const ordered: Named<Parser>[] = [];
  while (left.length > 0) {
    const free = left.findIndex((one) => !namedIn(one.value.FunctionQuery, left).some((named) => named !== one));
    const [next] = left.splice(free, free === -1 ? 0 : 1);
    if (next === undefined) throw new ContentError(left.map(({ file }) => file).join(', '), ['call each other']);
    ordered.push(next);
  }
  return ordered;
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
