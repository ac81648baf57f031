import { isRecipeRow } from '../apono/event.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import { objectAt } from './fields.ts';
import type { evidences, Problem, WebhookKind } from './kind.ts';

/** Of Apono's own Sentinel recipe: what only a request has. */
const RESOURCE_FIELDS = ['resource_id', 'resource_name', 'permission'];

/** What an event is by its fields that are not blank; null: they do not say. */
export type ByContent = { readonly kind: WebhookKind; readonly evidence: (typeof evidences)[number] } | null;

/**
 * The event without those members of `data` that are blank, as a template leaves them where there is nothing to print;
 * the event itself where none is.
 */
export function withoutBlankFields(value: JsonObject): JsonObject {
  const data = objectAt(value['data']);
  const filled = Object.entries(data).filter(([, field]) => !isBlank(field));
  return filled.length === Object.keys(data).length ? value : { ...value, data: Object.fromEntries(filled) };
}

/** Whether any field of the kind but the id is filled: only then the names of its blank ones say something too. */
export function saysSomething(value: JsonObject, kind: WebhookKind): boolean {
  return isFilled(objectAt(value['data']), kind.dataFields);
}

/**
 * Says so where an event was made by the template of a kind whose own fields are all blank: such a template stands in the
 * webhook of another kind, and its rows would hold nothing. Not where the event is of that very kind and has an id, nor
 * where it says anything that only its own kind says: fields may be empty.
 */
export function blankTemplate(value: JsonObject, kinds: readonly WebhookKind[], content: ByContent): Problem | null {
  if (isRecipeRow(value))
    return isBlankRecipe(value) ? problem('', "Apono's recipe for Microsoft Sentinel", null) : null;
  const data = objectAt(value['data']);
  for (const kind of byLikeness(data, kinds)) {
    const other = content === null || content.kind === kind ? null : content.kind;
    if (!isBlankBeside(data, kind, other)) continue;
    const others = other === null ? kinds : [other];
    const shared = other === null ? [] : kind.dataFields;
    const speaksForItself = others.some(({ dataFields }) => isFilled(data, without(dataFields, shared)));
    if (speaksForItself || (content?.kind === kind && isSparse(content, data))) continue;
    return problem('/data', `the template of the ${kind.bodyTemplate.webhook}`, other);
  }
  return null;
}

/** The same of an event that is of no kind: what it says may be what another kind's event has in common with it. */
export function likelyTemplate(value: JsonObject, kinds: readonly WebhookKind[]): Problem | null {
  const data = objectAt(value['data']);
  const [kind] = byLikeness(data, kinds);
  if (kind === undefined) return null;
  const other = kinds.find((one) => one !== kind && isBlankBeside(data, kind, one) && isFilled(data, one.dataFields));
  return other === undefined ? null : problem('/data', `the template of the ${kind.bodyTemplate.webhook}`, null);
}

/** First the kind whose fields are most of those in the data. */
function byLikeness(data: JsonObject, kinds: readonly WebhookKind[]): readonly WebhookKind[] {
  const likeness = (kind: WebhookKind) => kind.dataFields.filter((name) => Object.hasOwn(data, name)).length;
  return kinds.toSorted((a, b) => likeness(b) - likeness(a));
}

/** Whether the fields that a kind does not share with another are there and blank. One is no template: admins add some. */
function isBlankBeside(data: JsonObject, kind: WebhookKind, other: WebhookKind | null): boolean {
  const own = without(kind.dataFields, ['id', ...(other?.dataFields ?? [])]).filter((name) =>
    Object.hasOwn(data, name),
  );
  return own.length >= 2 && !isFilled(data, own);
}

function isFilled(data: JsonObject, names: readonly string[]): boolean {
  return names.some((name) => name !== 'id' && !isBlank(data[name]));
}

/** Whether the event_type says which kind an event is of, and it has an id, or its template carries none. */
function isSparse({ evidence }: NonNullable<ByContent>, data: JsonObject): boolean {
  return evidence !== 'possible_type' && (!Object.hasOwn(data, 'id') || !isBlank(data['id']));
}

function isBlankRecipe(row: JsonObject): boolean {
  const names = Object.keys(row).filter((name) => name !== 'TimeGenerated' && name !== 'event_type');
  const isAnomaly = typeof row['event_type'] === 'string' && /anomaly/i.test(row['event_type']);
  // An anomaly may have a requester and a justification.
  const own = isAnomaly ? names.filter((name) => RESOURCE_FIELDS.includes(name)) : names;
  return own.length >= 2 && own.every((name) => isBlank(row[name]));
}

function problem(path: string, template: string, other: WebhookKind | null): Problem {
  const own =
    other === null
      ? 'the template of its own kind'
      : `that of the ${other.bodyTemplate.webhook} (template --kind ${other.name})`;
  const message = `looks like ${template}, and the fields of that are all blank: it stands in the webhook of another kind. Enter there ${own}`;
  return { path, message };
}

function without(names: readonly string[], others: readonly string[]): string[] {
  return names.filter((name) => !others.includes(name));
}

/** As a template leaves it, which prints nothing for null. */
function isBlank(value: JsonValue | undefined): boolean {
  if (value === undefined) return true;
  if (typeof value === 'string') return value.trim() === '';
  if (isJsonArray(value)) return value.every(isBlank);
  return isJsonObject(value) && Object.values(value).every(isBlank);
}
