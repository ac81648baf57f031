import { isRecipeRow } from '../apono/event.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import { objectAt, textAt } from './field.ts';
import { evidences, type Problem, type Sign, type WebhookKind } from './kind.ts';

type Recognized =
  | { readonly kind: WebhookKind }
  | {
      readonly code: 'unknown_kind' | 'ambiguous_kind' | 'kind_mismatch' | 'blank_template';
      readonly problems: readonly Problem[];
    };

/**
 * The kind of an event is the one with the strongest evidence. It has none if no kind has any, or if two have equal
 * evidence, because a wrong guess would falsify the audit trail. `fixed` is the kind that the path of the URL names;
 * the event is then of that kind or of none.
 */
export function recognize(value: JsonObject, kinds: readonly WebhookKind[], fixed: string | null): Recognized {
  const filled = withoutBlankFields(value);
  const hasBlanks = filled !== value || isRecipeRow(value);
  const blank = hasBlanks ? blankTemplate(value, kinds, byContent(filled, kinds)) : null;
  if (blank !== null) return { code: 'blank_template', problems: [blank] };
  const { best } = strongest(kinds, (kind) => {
    const onItsPath = kind.name === fixed;
    const strength = strengthOf(kind, filled, onItsPath);
    // The names of blank fields are evidence only next to fields that are not blank.
    if (filled === value || !saysSomething(value, kind)) return strength;
    return Math.max(strength, strengthOf(kind, value, onItsPath));
  });
  const [first, second] = best;
  const likely = first === undefined ? likelyTemplate(value, kinds) : null;
  if (likely !== null) return { code: 'blank_template', problems: [likely] };
  if (fixed !== null) {
    const wanted = best.find(({ name }) => name === fixed);
    return wanted === undefined ? mismatch(value, kinds, { fixed, better: first }) : { kind: wanted };
  }
  if (first === undefined) return { code: 'unknown_kind', problems: whyNone(value, kinds) };
  return second === undefined ? { kind: first } : { code: 'ambiguous_kind', problems: [ambiguity(best)] };
}

/** The kind with the strongest evidence in the fields that are not blank, whatever the path says; null without one. */
function byContent(filled: JsonObject, kinds: readonly WebhookKind[]) {
  const { best, strength } = strongest(kinds, (kind) => strengthOf(kind, filled, false));
  const [kind, second] = best;
  return kind === undefined || second !== undefined ? null : { kind, strength };
}

type ByContent = ReturnType<typeof byContent>;

/** The kinds with the strongest evidence; empty if none has any. */
function strongest(kinds: readonly WebhookKind[], strength: (kind: WebhookKind) => number) {
  const strengths = kinds.map(strength);
  const most = Math.max(...strengths);
  return { best: kinds.filter((_, index) => most >= 0 && strengths[index] === most), strength: most };
}

/** Of the kind's strongest sign, as its place in `evidences`; -1 without any. */
function strengthOf(kind: WebhookKind, value: JsonObject, onItsPath: boolean): number {
  if (isRecipeRow(value)) return kind.recipeRowSchema === undefined ? -1 : evidences.indexOf('own_fields');
  if (missingMembers(value) !== null) return -1;
  const signs = kind.signs.filter((sign) => shows(sign, value, { kind, onItsPath }));
  return Math.max(-1, ...signs.map(({ evidence }) => evidences.indexOf(evidence)));
}

function shows(sign: Sign, value: JsonObject, { kind, onItsPath }: { kind: WebhookKind; onItsPath: boolean }): boolean {
  const type = typeof value['event_type'] === 'string' ? value['event_type'] : '';
  const data = objectAt(value['data']);
  const has = (name: string) => Object.hasOwn(data, name);
  const { only } = sign;
  return (
    (sign.onItsPath === undefined || onItsPath) &&
    (sign.type === undefined || sign.type.test(type)) &&
    (sign.hasAction === undefined || (kind.actionOf?.(type) ?? 'Other') !== 'Other') &&
    (sign.has ?? []).every((names) => names.some(has)) &&
    !(sign.lacks ?? []).some(has) &&
    (only === undefined || (data === value['data'] && Object.keys(data).every((name) => only.includes(name)))) &&
    Object.entries(sign.says ?? {}).every(([name, texts]) =>
      texts.includes(textAt(data[name], true)?.toLowerCase() ?? ''),
    )
  );
}

/** The members that every event but a recipe row must have and this one lacks, in words; null if it has them. */
function missingMembers(value: JsonObject): string | null {
  const missing = ['event_type', 'event_time', 'data'].filter((name) => !Object.hasOwn(value, name));
  return missing.length > 0 ? `it has no ${missing.join(', ')}` : null;
}

/** What speaks against a kind; empty if something speaks for it. */
function whyNot(kind: WebhookKind, value: JsonObject, onItsPath: boolean): string[] {
  if (strengthOf(kind, value, onItsPath) >= 0) return [];
  return [missingMembers(value) ?? kind.whatIsMissing(value, onItsPath)];
}

function mismatch(
  value: JsonObject,
  kinds: readonly WebhookKind[],
  { fixed, better }: { fixed: string; better: WebhookKind | undefined },
): Recognized {
  const wanted = kinds.find(({ name }) => name === fixed);
  const own = wanted === undefined ? ['there is no such kind'] : whyNot(wanted, value, true);
  const elsewhere =
    better === undefined ? [] : [`it is one of kind ${better.name}, which belongs to ${pathOf(better)}`];
  const message = `is no event of kind ${fixed}: ${[...own, ...elsewhere].join('; ')}`;
  return { code: 'kind_mismatch', problems: [...notAFeed(value), { path: '', message }] };
}

function whyNone(value: JsonObject, kinds: readonly WebhookKind[]): Problem[] {
  const reasons = kinds.flatMap((kind) =>
    whyNot(kind, value, false).map((why) => ({ path: '', message: `is no event of kind ${kind.name}: ${why}` })),
  );
  return [...notAFeed(value), ...reasons];
}

/** Fields by which Apono's manual webhook is recognised, which asks for a decision about a request. */
const MANUAL_FIELDS = ['requester', 'justification', 'access_groups', 'access_flow', 'friendly_id'];

/** Anyone who points a manual webhook here must know that it gets no decision. */
function notAFeed(value: JsonObject): Problem[] {
  if (Object.hasOwn(value, 'event_type') || Object.hasOwn(value, 'TimeGenerated')) return [];
  const data = objectAt(value['data']);
  if (!MANUAL_FIELDS.some((name) => Object.hasOwn(data, name))) return [{ path: '/event_type', message: 'is missing' }];
  const message =
    'is missing. A manual webhook, which asks for a decision within an access flow, is no feed of events: this service ' +
    'cannot answer it. Use a request, audit log, anomaly or integration webhook';
  return [{ path: '/event_type', message }];
}

function ambiguity(best: readonly WebhookKind[]): Problem {
  const names = best.map(({ name }) => name).join(' and ');
  const paths = best.map(pathOf).join(' or ');
  return { path: '', message: `could be of kind ${names}: send it to ${paths}, whichever it is` };
}

function pathOf({ name }: WebhookKind): string {
  return `/apono/webhook/${name}`;
}

/** Fields of Apono's own Sentinel recipe that only a request has. */
const RESOURCE_FIELDS = ['resource_id', 'resource_name', 'permission'];

/**
 * The event without the blank members of `data`, which a template leaves where it has nothing to print. The same object
 * if no member is blank.
 */
function withoutBlankFields(value: JsonObject): JsonObject {
  const data = objectAt(value['data']);
  const filled = Object.entries(data).filter(([, field]) => !isBlank(field));
  return filled.length === Object.keys(data).length ? value : { ...value, data: Object.fromEntries(filled) };
}

/** Whether any field of the kind but the id is filled. Only then the names of its blank fields are evidence too. */
function saysSomething(value: JsonObject, kind: WebhookKind): boolean {
  return isFilled(objectAt(value['data']), kind.dataFields);
}

/**
 * The problem of an event that was made by the template of one kind in the webhook of another: all fields of the first
 * are blank, and its rows would say nothing. Null if the event is of that kind and has an id, or has any field that
 * only its own kind has, since fields may be empty.
 */
function blankTemplate(value: JsonObject, kinds: readonly WebhookKind[], content: ByContent): Problem | null {
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

/** As `blankTemplate`, for an event of no kind: its filled fields may be those that the two kinds have in common. */
function likelyTemplate(value: JsonObject, kinds: readonly WebhookKind[]): Problem | null {
  const data = objectAt(value['data']);
  const [kind] = byLikeness(data, kinds);
  if (kind === undefined) return null;
  const other = kinds.find((one) => one !== kind && isBlankBeside(data, kind, one) && isFilled(data, one.dataFields));
  return other === undefined ? null : problem('/data', `the template of the ${kind.bodyTemplate.webhook}`, null);
}

/** Kinds in the order of how many of their fields are in the data, most first. */
function byLikeness(data: JsonObject, kinds: readonly WebhookKind[]): readonly WebhookKind[] {
  const likeness = (kind: WebhookKind) => kind.dataFields.filter((name) => Object.hasOwn(data, name)).length;
  return kinds.toSorted((a, b) => likeness(b) - likeness(a));
}

/** Whether two or more fields that a kind does not share are there, all blank. An admin may have added a single one. */
function isBlankBeside(data: JsonObject, kind: WebhookKind, other: WebhookKind | null): boolean {
  const own = without(kind.dataFields, ['id', ...(other?.dataFields ?? [])]).filter((name) =>
    Object.hasOwn(data, name),
  );
  return own.length >= 2 && !isFilled(data, own);
}

function isFilled(data: JsonObject, names: readonly string[]): boolean {
  return names.some((name) => name !== 'id' && !isBlank(data[name]));
}

/** Whether the event_type says which kind an event is of, and the event has an id or its template has none. */
function isSparse({ strength }: NonNullable<ByContent>, data: JsonObject): boolean {
  return strength > evidences.indexOf('possible_type') && (!Object.hasOwn(data, 'id') || !isBlank(data['id']));
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

/** Blank as a template leaves it, which prints nothing for null. */
function isBlank(value: JsonValue | undefined): boolean {
  if (value === undefined) return true;
  if (typeof value === 'string') return value.trim() === '';
  if (isJsonArray(value)) return value.every(isBlank);
  return isJsonObject(value) && Object.values(value).every(isBlank);
}
