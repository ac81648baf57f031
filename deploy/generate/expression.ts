/**
 * ARM template expressions. A string that begins with `[` and ends with `]` is one; `[[` at its start makes it text.
 * https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions
 */

import { isList, type Json } from './json.ts';

/** Azure refuses a longer one. https://learn.microsoft.com/azure/azure-resource-manager/templates/best-practices#template-limits */
const MAX_EXPRESSION_LENGTH = 24_576;

/** `body` as the value of a property. */
export function expression(body: string): string {
  const text = `[${body}]`;
  if (text.length <= MAX_EXPRESSION_LENGTH) return text;
  throw new Error(
    `an expression has ${text.length} characters, Azure takes ${MAX_EXPRESSION_LENGTH}: ${body.slice(0, 80)}…`,
  );
}

/** Text as the value of a property, never read as an expression. */
export function literal(text: string): string {
  return text.startsWith('[') && text.endsWith(']') ? `[${text}` : text;
}

/** The same for all texts inside a value. */
export function literals<T extends Json>(value: T): T {
  return mapTexts(value) as T;
}

function mapTexts(value: Json): Json {
  if (typeof value === 'string') return literal(value);
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map(mapTexts);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item)]));
}

/** Text inside an expression. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function parameter(name: string): string {
  return `parameters(${quoted(name)})`;
}

/** A parameter as the value of a property. */
export function parameterValue(name: string): string {
  return expression(parameter(name));
}

/** The id of a resource in the deployment's resource group. `names` are expressions. */
export function resourceId(type: string, ...names: readonly string[]): string {
  return `resourceId(${[quoted(type), ...names].join(', ')})`;
}
