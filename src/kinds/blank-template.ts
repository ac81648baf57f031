import { isRecipeRow } from '../apono/event.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import { objectAt } from './field.ts';
import type { Problem, WebhookKind } from './kind.ts';

/**
 * The kind with the strongest evidence in the fields that are not blank, whatever the path says; null without one.
 * `isCertain`: the event_type could not be one of another kind too.
 */
export type ByContent = { readonly kind: WebhookKind; readonly isCertain: boolean } | null;

const RECIPE = "Apono's recipe for Microsoft Sentinel";
/** Its fields that only a request has. */
const RESOURCE_FIELDS = ['resource_id', 'resource_name', 'permission'];

/**
 * The event without the blank members of `data`, which a template leaves where it has nothing to print. The same object
 * if no member is blank.
 */
export function withoutBlankFields(value: JsonObject): JsonObject {
  const data = objectAt(value['data']);
  const filled = Object.entries(data).filter(([, field]) => !isBlank(field));
  return filled.length === Object.keys(data).length ? value : { ...value, data: Object.fromEntries(filled) };
}

/** The problem of an event that another kind's template made; null if it does not look like one (ADR 14). */
export function blankTemplate(
  value: JsonObject,
  kinds: readonly WebhookKind[],
  { content, fixed }: { readonly content: ByContent; readonly fixed: string | null },
): Problem | null {
  if (isRecipeRow(value)) return isBlankRecipe(value) ? wrongTemplate('', RECIPE, null) : null;
  const data = objectAt(value['data']);
  const sender = senderOf(content, kinds, fixed);
  const known = kinds.flatMap(({ dataFields }) => dataFields);
  for (const kind of byLikeness(data, kinds)) {
    const other = content === null || content.kind === kind ? null : content.kind;
    if (!isBlankBeside(data, kind, other)) continue;
    const speaksForItself = isFilled(data, other === null ? known : without(other.dataFields, kind.dataFields));
    if (speaksForItself) continue;
    // An event of this very kind may have nothing else, if it has an id or its template has none.
    if (content?.kind === kind && content.isCertain && !isBlank(data['id'] ?? 'none')) continue;
    const hasUnknownField = isFilled(data, without(Object.keys(data), known));
    if (hasUnknownField && (sender === kind || kind.name === fixed)) return null;
    return blankFields(kind, sender);
  }
  return null;
}

/** As `blankTemplate`, for an event of no kind: its filled fields may be those that the two kinds have in common. */
export function likelyTemplate(value: JsonObject, kinds: readonly WebhookKind[], fixed: string | null): Problem | null {
  const data = objectAt(value['data']);
  const [kind] = byLikeness(data, kinds);
  if (kind === undefined) return null;
  const other = kinds.find((one) => one !== kind && isBlankBeside(data, kind, one) && isFilled(data, one.dataFields));
  return other === undefined ? null : blankFields(kind, senderOf(null, kinds, fixed));
}

/** The kind of the webhook that sent the event, as far as its event_type says so, or else its path; null if neither does. */
function senderOf(content: ByContent, kinds: readonly WebhookKind[], fixed: string | null): WebhookKind | null {
  return content?.isCertain ? content.kind : (kinds.find(({ name }) => name === fixed) ?? null);
}

/** Kinds in the order of how many of their fields are in the data, most first. */
function byLikeness(data: JsonObject, kinds: readonly WebhookKind[]): readonly WebhookKind[] {
  const likeness = (kind: WebhookKind) => kind.dataFields.filter((name) => Object.hasOwn(data, name)).length;
  return kinds.toSorted((a, b) => likeness(b) - likeness(a));
}

/** Whether two or more fields that a kind does not share are there, all blank. An admin may have added a single one. */
function isBlankBeside(data: JsonObject, kind: WebhookKind, other: WebhookKind | null): boolean {
  const present = kind.dataFields.filter((name) => Object.hasOwn(data, name));
  const own = without(present, ['id', ...(other?.dataFields ?? [])]);
  return own.length >= 2 && !isFilled(data, own);
}

/** Whether any of these fields but the id is filled. */
export function isFilled(data: JsonObject, names: readonly string[]): boolean {
  return names.some((name) => name !== 'id' && !isBlank(data[name]));
}

function isBlankRecipe(row: JsonObject): boolean {
  const names = Object.keys(row).filter((name) => name !== 'TimeGenerated' && name !== 'event_type');
  const isAnomaly = typeof row['event_type'] === 'string' && /anomaly/i.test(row['event_type']);
  // An anomaly may have a requester and a justification.
  const own = isAnomaly ? names.filter((name) => RESOURCE_FIELDS.includes(name)) : names;
  return own.length >= 2 && own.every((name) => isBlank(row[name]));
}

function blankFields(kind: WebhookKind, sender: WebhookKind | null): Problem {
  const template = `the template of the ${kind.bodyTemplate.webhook}`;
  if (sender !== kind) return wrongTemplate('/data', template, sender);
  const message =
    `looks like ${template}, and Apono filled in none of its fields: they have other names, or the webhook is of another ` +
    'kind than its URL says. Compare the names with the payload schema that Apono shows in the form of the webhook';
  return { path: '/data', message };
}

function wrongTemplate(path: string, template: string, sender: WebhookKind | null): Problem {
  const own =
    sender === null
      ? 'the template of its own kind'
      : `that of the ${sender.bodyTemplate.webhook} (${sender.name}.handlebars, which template --kind ${sender.name} prints)`;
  const message = `looks like ${template}, and the fields of that are all blank: it stands in the webhook of another kind. Enter there ${own}`;
  return { path, message };
}

export function without(names: readonly string[], others: readonly string[]): string[] {
  return names.filter((name) => !others.includes(name));
}

/** Blank as a template leaves it, which prints nothing for null. */
function isBlank(value: JsonValue | undefined): boolean {
  if (value === undefined) return true;
  if (typeof value === 'string') return value.trim() === '';
  if (isJsonArray(value)) return value.every(isBlank);
  return isJsonObject(value) && Object.values(value).every(isBlank);
}
