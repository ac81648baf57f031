/** What to enter in Apono for one of its webhooks, in the words of its forms. */
export interface BodyTemplate {
  readonly webhook: string;
  /** The path of the URL. One that names a kind is for feeds whose event types Apono does not document. */
  readonly path: `/apono/webhook${string}`;
  /** Event types to tick in Apono's form; empty where it asks for none. */
  readonly triggers: readonly string[];
  /** Works with whatever Apono's template engine allows. */
  readonly plain: RenderedTemplate;
  /** With block helpers, which carry more, if Apono allows them; null where they would not. */
  readonly each: RenderedTemplate | null;
}

export interface RenderedTemplate {
  text(): string;
  /** What the template carries and what it does not, a sentence or two each. */
  readonly notes: readonly string[];
}

/** A note for every template with `{{#each}}`. */
export const EACH_NOTE =
  'No page of Apono says that {{#each}} may be used. Try it with the Test button: if the body in "View Invocation Data" ' +
  'still shows {{#each}}, or Apono refuses it, use the default template.';

/**
 * JSON whose values are Handlebars expressions. Every value is in quotes, numbers and times too, because a placeholder
 * without quotes leaves no JSON where there is nothing to print.
 */
export type Tree = string | Raw | readonly Tree[] | { readonly [key: string]: Tree };

/** Text of the template that is not a JSON value. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** `{ name: '{{path.name}}' }` for each of the names. */
export function fields(path: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, `{{${path}.${name}}}`]));
}

export function repeat<Element>(count: number, element: (index: number) => Element): Element[] {
  return Array.from({ length: count }, (_, index) => element(index));
}

/** A list made by `{{#each}}`. */
export function each(path: string, element: Tree): Raw {
  return new Raw(`[\n{{#each ${path}}}\n${render(element, '')}{{#unless @last}},{{/unless}}\n{{/each}}\n]`);
}

/** The text of a template for an event with this `data`. What somebody typed must come first in it (ADR 3). */
export function eventTemplate(data: Tree): string {
  return `${render({ data, event_type: '{{event_type}}', event_time: '{{event_time}}' }, '')}\n`;
}

/** The members of an object whose names are not known; those that are objects again print as "[object Object]". */
export function eachMember(path: string): Raw {
  return new Raw(`{ {{#each ${path}}}"{{@key}}": "{{this}}"{{#unless @last}}, {{/unless}}{{/each}} }`);
}

/** Like JSON.stringify with an indent of 2, small objects on one line. Spaces keep braces of JSON and Handlebars apart. */
function render(tree: Tree, indent: string): string {
  if (tree instanceof Raw) return tree.text.replaceAll('\n', `\n${indent}`);
  if (typeof tree === 'string') return `"${tree}"`;
  const isList = isTreeList(tree);
  const inner = `${indent}  `;
  const entries = isList
    ? tree.map((element) => render(element, inner))
    : Object.entries(tree).map(([key, value]) => `"${key}": ${render(value, inner)}`);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  const line = `${open} ${entries.join(', ')} ${close}`;
  const flat = !isList && entries.length <= 4 && Object.values(tree).every((value) => typeof value === 'string');
  if (flat && indent !== '') return line;
  return `${open}\n${entries.map((entry) => `${inner}${entry}`).join(',\n')}\n${indent}${close}`;
}

function isTreeList(tree: Exclude<Tree, string | Raw>): tree is readonly Tree[] {
  return Array.isArray(tree);
}
