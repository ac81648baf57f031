import { readFileSync } from 'node:fs';
import type { JsonObject } from '../ground/json.ts';

/** What to enter in Apono for one of its webhooks, in the words of its forms. */
export interface BodyTemplate {
  readonly webhook: string;
  /** The path of the URL. One that names a kind is for feeds whose event types Apono does not document. */
  readonly path: `/apono/webhook${string}`;
  /** Event types to tick in Apono's form, where it asks for them. */
  readonly triggers?: readonly string[];
  /** What <kind>.handlebars carries and what it does not, a sentence or two each. */
  readonly notes: readonly string[];
  /** The same of <kind>-each.handlebars. Missing where block helpers would carry no more: then there is no such file. */
  readonly eachNotes?: readonly string[];
}

/**
 * The text to paste for a kind, from schemas/templates/; `each`: the one with block helpers. In each of them
 * - every value is in quotes, numbers and times too, because a placeholder without quotes leaves no JSON where there is
 *   nothing to print,
 * - what somebody typed comes first in `data`, and the type and the time last. If it is not escaped and adds members of
 *   its own, the template repeats them after it, and a body that has a name twice is refused (ADR 3),
 * - block helpers are only in a file with `-each` in its name, since Apono documents nowhere that they may be used; there
 *   `this.` is everywhere, since handlebars.java looks for a plain name in the surrounding objects too,
 * - spaces keep braces of JSON and of Handlebars apart.
 */
export function templateText(kind: string, each = false): string {
  return readSchemaFile(`templates/${kind}${each ? '-each' : ''}`);
}

/** A body as Apono sends it, from schemas/samples/, with what differs each time filled in. */
export function sampleBody(name: string, values: Readonly<Record<string, string>>): string {
  return readSchemaFile(`samples/${name}`).replaceAll(/\{\{(\w+)\}\}/g, (_, key: string) => values[key] ?? '');
}

/**
 * An event of a kind as Apono sends it, whose rows get `is_test`. `random`: what tells it from other tests, letters and
 * digits.
 */
export function testEvent(kind: string, nowMs: number, random: string): JsonObject {
  const number = random.slice(0, 6).toUpperCase();
  return JSON.parse(sampleBody(`test-${kind}`, { time: String(nowMs / 1000), random, number })) as JsonObject;
}

function readSchemaFile(name: string): string {
  return readFileSync(new URL(`../../schemas/${name}.handlebars`, import.meta.url), 'utf8');
}
