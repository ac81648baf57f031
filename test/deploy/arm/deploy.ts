import { functions, GROUP, type Value } from './functions.ts';
import { type Expression, parseTemplateString, textOf } from './parse.ts';

export type Fields = Readonly<Record<string, Value>>;

export interface ArmTemplate {
  readonly $schema: string;
  readonly contentVersion: string;
  readonly parameters: Readonly<Record<string, ArmParameter>>;
  readonly variables?: Readonly<Record<string, Value>>;
  readonly resources: readonly Fields[];
  readonly outputs?: Readonly<Record<string, { readonly type: string; readonly value: Value }>>;
}

export interface ArmParameter {
  readonly type: string;
  readonly defaultValue?: Value;
  readonly allowedValues?: readonly Value[];
  readonly minValue?: number;
  readonly maxValue?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly metadata: { readonly description: string };
}

/** What Azure would be told: the resources in an order in which it takes them, and the outputs. */
export interface Deployment {
  readonly resources: readonly DeployedResource[];
  readonly outputs: Fields;
  /** Names of the parameters that something asked for. */
  readonly used: ReadonlySet<string>;
}

export interface DeployedResource {
  readonly type: string;
  readonly name: string;
  readonly id: string;
  /** Id of the resource group in which the template was deployed that has it. */
  readonly group: string;
  readonly body: Fields;
}

/** What a deployment is made in. */
export interface Surroundings {
  readonly cloud?: 'AzureCloud' | 'AzureUSGovernment' | 'AzureChinaCloud';
  /** What `reference()` gives, by resource id. */
  readonly state?: Readonly<Record<string, Value>>;
  /** Id of the resource group. */
  readonly group?: string;
}

/**
 * Deploys a template as Resource Manager would, as far as that can be told without it: parameters checked, expressions
 * evaluated, conditions heeded, nested templates in their own scope, dependencies known and free of circles.
 */
export function deploy(template: ArmTemplate, parameters: Fields, surroundings: Surroundings = {}): Deployment {
  const used = new Set<string>();
  const values = parameterValues(template, parameters);
  const scope: Scope = {
    parameter: (name) => {
      used.add(name);
      const value = values[name];
      if (value === undefined) throw new Error(`there is no parameter ${name}`);
      return value;
    },
    variable: (name) => {
      const value = template.variables?.[name];
      if (value === undefined) throw new Error(`there is no variable ${name}`);
      return evaluate(value, scope);
    },
    surroundings,
    bound: {},
  };
  const declared = template.resources.map((resource) => ({
    id: idOf(resource, scope),
    resource,
    deployed: evaluate(resource['condition'] ?? true, scope) === true,
  }));
  checkDependencies(declared.map(({ id, resource }) => ({ id, on: dependenciesOf(resource, scope) })));
  const resources = declared
    .filter(({ deployed }) => deployed)
    .flatMap(({ id, resource }) => deployResource(id, resource, scope));
  const outputs = Object.entries(template.outputs ?? {}).map(([name, { value }]) => [name, evaluate(value, scope)]);
  return { resources, outputs: Object.fromEntries(outputs) as Fields, used };
}

interface Scope {
  readonly parameter: (name: string) => Value;
  readonly variable: (name: string) => Value;
  readonly surroundings: Surroundings;
  /** Arguments of the lambdas around. */
  readonly bound: Fields;
}

function parameterValues(template: ArmTemplate, given: Fields): Readonly<Record<string, Value>> {
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(template.parameters, name));
  if (unknown.length > 0) throw new Error(`the template has no parameter ${unknown.join(', ')}`);
  const scope: Scope = {
    parameter: (name) => {
      throw new Error(`a default refers to the parameter ${name}`);
    },
    variable: (name) => {
      throw new Error(`a default refers to the variable ${name}`);
    },
    surroundings: {},
    bound: {},
  };
  return Object.fromEntries(
    Object.entries(template.parameters).map(([name, parameter]) => {
      const value = given[name] ?? evaluate(parameter.defaultValue ?? null, scope);
      checkParameter(name, parameter, value);
      return [name, value];
    }),
  );
}

function checkParameter(name: string, parameter: ArmParameter, value: Value): void {
  const types = { string: 'string', secureString: 'string', bool: 'boolean', int: 'number', array: 'object' };
  const type = types[parameter.type as keyof typeof types];
  const refuse = (why: string) => {
    throw new Error(`${name} is ${JSON.stringify(value)}: ${why}`);
  };
  if (typeof value !== type || value === null) refuse(`no ${parameter.type}`);
  // Of a list any subset is allowed.
  const items = Array.isArray(value) ? (value as readonly Value[]) : [value];
  if (parameter.allowedValues !== undefined && !items.every((item) => parameter.allowedValues?.includes(item))) {
    refuse('not allowed');
  }
  if (typeof value === 'number' && (value < (parameter.minValue ?? value) || value > (parameter.maxValue ?? value))) {
    refuse('out of range');
  }
  if (typeof value === 'string' && value.length < (parameter.minLength ?? 0)) refuse('too short');
  if (typeof value === 'string' && value.length > (parameter.maxLength ?? value.length)) refuse('too long');
}

/** An extension resource's id is under what it extends. */
function idOf(resource: Fields, scope: Scope): string {
  const type = String(resource['type']);
  const names = String(evaluate(resource['name'] ?? null, scope)).split('/');
  const id = String(functions['resourceId']?.(...groupOf(resource, scope), type, ...names));
  const extended = resource['scope'];
  return extended === undefined ? id : `${String(evaluate(extended, scope))}${id.slice(id.indexOf('/providers/'))}`;
}

/** Subscription and name of the group that a nested deployment is made in; nothing for that of the template itself. */
function groupOf(resource: Fields, scope: Scope): readonly string[] {
  const { subscriptionId, resourceGroup } = resource;
  return [subscriptionId, resourceGroup]
    .filter((part) => part !== undefined)
    .map((part) => String(evaluate(part, scope)));
}

function dependenciesOf(resource: Fields, scope: Scope): readonly string[] {
  const list = resource['dependsOn'];
  return Array.isArray(list) ? list.map((id) => String(evaluate(id, scope))) : [];
}

function checkDependencies(nodes: readonly { readonly id: string; readonly on: readonly string[] }[]): void {
  const left = new Map(nodes.map(({ id, on }) => [id, on]));
  if (left.size !== nodes.length) throw new Error('two resources have one id');
  for (const { id, on } of nodes) {
    const unknown = on.find((other) => !left.has(other));
    if (unknown !== undefined) throw new Error(`${id} depends on ${unknown}, which the template does not have`);
  }
  while (left.size > 0) {
    const ready = [...left].filter(([, on]) => on.every((other) => !left.has(other)));
    if (ready.length === 0) throw new Error(`a circle of dependencies: ${[...left.keys()].join(', ')}`);
    for (const [id] of ready) left.delete(id);
  }
}

function deployResource(id: string, resource: Fields, scope: Scope): readonly DeployedResource[] {
  const type = String(resource['type']);
  if (type === 'Microsoft.Resources/deployments') return deployNested(resource, scope);
  const body = evaluate(resource, scope) as Fields;
  return [{ type, name: String(body['name']), id, group: scope.surroundings.group ?? GROUP, body }];
}

function deployNested(resource: Fields, scope: Scope): readonly DeployedResource[] {
  const properties = resource['properties'] as Fields;
  const { scope: evaluation } = properties['expressionEvaluationOptions'] as { readonly scope: string };
  if (evaluation !== 'inner') throw new Error('only the inner scope is known here');
  const given = evaluate(properties['parameters'] ?? {}, scope) as Readonly<Record<string, { readonly value: Value }>>;
  const parameters = Object.fromEntries(Object.entries(given).map(([name, { value }]) => [name, value]));
  const [subscription, group] = groupOf(resource, scope);
  const surroundings =
    group === undefined
      ? scope.surroundings
      : { ...scope.surroundings, group: `/subscriptions/${subscription}/resourceGroups/${group}` };
  return deploy(properties['template'] as unknown as ArmTemplate, parameters, surroundings).resources;
}

function evaluate(value: Value, scope: Scope): Value {
  if (typeof value === 'string') {
    const expression = parseTemplateString(value);
    return expression === null ? textOf(value) : compute(expression, scope);
  }
  if (Array.isArray(value)) return value.map((item: Value) => evaluate(item, scope));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [String(evaluate(key, scope)), evaluate(item as Value, scope)]),
  );
}

function compute(expression: Expression, scope: Scope): Value {
  switch (expression.type) {
    case 'value':
      return expression.value;
    case 'property': {
      const of = compute(expression.of, scope) as Fields;
      const found = of[expression.name];
      if (found === undefined) throw new Error(`no property ${expression.name} in ${JSON.stringify(of)}`);
      return found;
    }
    case 'item': {
      const of = compute(expression.of, scope) as readonly Value[];
      const found = of[expression.index];
      if (found === undefined) throw new Error(`no item ${expression.index} in ${JSON.stringify(of)}`);
      return found;
    }
    case 'call':
      return call(expression.name, expression.args, scope);
  }
}

function call(name: string, args: readonly Expression[], scope: Scope): Value {
  const value = (index: number): Value => {
    const argument = args[index];
    if (argument === undefined) throw new Error(`${name} has no argument ${index + 1}`);
    return compute(argument, scope);
  };
  // Only the branch that is taken is evaluated.
  if (name === 'if') return value(0) === true ? value(1) : value(2);
  if (name === 'parameters') return scope.parameter(String(value(0)));
  if (name === 'variables') return scope.variable(String(value(0)));
  if (name === 'map') return map(value(0) as readonly Value[], args[1], scope);
  if (name === 'lambdaVariables') return scope.bound[String(value(0))] ?? null;
  if (name === 'environment') return { name: scope.surroundings.cloud ?? 'AzureCloud' };
  if (name === 'reference') {
    const found = scope.surroundings.state?.[String(value(0))];
    if (found === undefined) throw new Error(`reference to ${String(value(0))}, which is not there`);
    return found;
  }
  const known = functions[name];
  if (known === undefined) throw new Error(`${name} is no function that this knows`);
  return known(...args.map((argument) => compute(argument, scope)));
}

function map(list: readonly Value[], lambda: Expression | undefined, scope: Scope): Value {
  if (lambda?.type !== 'call' || lambda.name !== 'lambda') throw new Error('map has no lambda');
  const [name, body] = lambda.args;
  if (name === undefined || body === undefined) throw new Error('a lambda without argument or body');
  const argument = String(compute(name, scope));
  return list.map((item) => compute(body, { ...scope, bound: { ...scope.bound, [argument]: item } }));
}
