import { readFileSync } from 'node:fs';
import type { JsonObject } from '../ground/json.ts';

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
  'No page of Apono says that {{#each}} may be used. Try it with the Test button of a second webhook that is Inactive: if ' +
  'Apono refuses it, or the body in "View Invocation Data" still shows {{#each}} or has no resources, use the default ' +
  'template. Otherwise paste it into the first webhook and delete the second: of two that are Active everything comes twice.';

/**
 * The texts are in schemas/templates/. In each of them
 * - every value is in quotes, numbers and times too, because a placeholder without quotes leaves no JSON where there is
 *   nothing to print,
 * - what somebody typed comes first in `data`, and the type and the time last. If it is not escaped and adds members of
 *   its own, the template repeats them after it, and a body that has a name twice is refused (ADR 3),
 * - block helpers are only in a file with `-each` in its name, since Apono documents nowhere that they may be used; there
 *   `this.` is everywhere, since handlebars.java looks for a plain name in the surrounding objects too,
 * - spaces keep braces of JSON and of Handlebars apart.
 */
export function templateFile(name: string): () => string {
  return () => readSchemaFile(`templates/${name}`);
}

/** A body as Apono sends it, from schemas/samples/, with what differs each time filled in. */
export function sampleBody(name: string, values: Readonly<Record<string, string>>): string {
  return readSchemaFile(`samples/${name}`).replaceAll(/\{\{(\w+)\}\}/g, (_, key: string) => values[key] ?? '');
}

/** The `createTestEvent` of a kind. */
export function testEvent(kind: string): (nowMs: number, random: string) => JsonObject {
  return (nowMs, random) => {
    const number = random.slice(0, 6).toUpperCase();
    return JSON.parse(sampleBody(`test-${kind}`, { time: String(nowMs / 1000), random, number })) as JsonObject;
  };
}

function readSchemaFile(name: string): string {
  return readFileSync(new URL(`../../schemas/${name}.handlebars`, import.meta.url), 'utf8');
}
