import { isRecipeRow } from '../apono/event.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, valueAt } from '../ground/json.ts';
import { blankTemplate, isFilled, likelyTemplate, without, withoutBlankFields } from './blank-template.ts';
import { objectAt, scalarText } from './field.ts';
import { evidences, type Problem, type Sign, type WebhookKind } from './kind.ts';

type Code = 'unknown_kind' | 'ambiguous_kind' | 'kind_mismatch' | 'blank_template';
type Recognized = { readonly kind: WebhookKind } | { readonly code: Code; readonly problems: readonly Problem[] };

/**
 * The kind of an event: the one with the strongest evidence, and none where two have equal evidence (ADR 14). `fixed`
 * is the kind that the path of the URL names; the event is then of that kind or of none.
 */
export function recognize(value: JsonObject, kinds: readonly WebhookKind[], fixed: string | null): Recognized {
  const filled = withoutBlankFields(value);
  const hasBlanks = filled !== value || isRecipeRow(value);
  const blank = hasBlanks ? blankTemplate(value, kinds, { content: byContent(filled, kinds), fixed }) : null;
  if (blank !== null) return { code: 'blank_template', problems: [blank] };
  const strength = (kind: WebhookKind): number => {
    const onItsPath = kind.name === fixed;
    // The names of blank fields are evidence only next to fields of the kind that are not blank.
    const namesCount = filled !== value && isFilled(objectAt(value['data']), kind.dataFields);
    return Math.max(strengthOf(kind, filled, onItsPath), namesCount ? strengthOf(kind, value, onItsPath) : -1);
  };
  const { best } = strongest(kinds, strength);
  const [first, second] = best;
  const likely = first === undefined ? likelyTemplate(value, kinds, fixed) : null;
  if (likely !== null) return { code: 'blank_template', problems: [likely] };
  if (fixed !== null) {
    const wanted = kinds.find(({ name }) => name === fixed);
    if (wanted !== undefined && (first === undefined ? mayBe(wanted, value, kinds) : best.includes(wanted)))
      return { kind: wanted };
    const own = wanted === undefined ? 'there is no such kind' : strength(wanted) < 0 && whyNot(wanted, value, true);
    const elsewhere = first !== undefined && `it is one of kind ${first.name}, which belongs to ${pathOf(first)}`;
    const message = `is no event of kind ${fixed}: ${[own, elsewhere].filter(Boolean).join('; ')}`;
    return { code: 'kind_mismatch', problems: [...notAFeed(value), { path: '', message }] };
  }
  if (first === undefined) return { code: 'unknown_kind', problems: whyNone(value, kinds) };
  return second === undefined ? { kind: first } : { code: 'ambiguous_kind', problems: [ambiguity(best)] };
}

function byContent(filled: JsonObject, kinds: readonly WebhookKind[]) {
  const { best, most } = strongest(kinds, (kind) => strengthOf(kind, filled, false));
  const [kind, second] = best;
  if (kind === undefined || second !== undefined) return null;
  return { kind, isCertain: most > evidences.indexOf('possible_type') };
}

/** The kinds with the strongest evidence; empty if none has any. */
function strongest(kinds: readonly WebhookKind[], strength: (kind: WebhookKind) => number) {
  const strengths = kinds.map(strength);
  const most = Math.max(0, ...strengths);
  return { best: kinds.filter((_, index) => strengths[index] === most), most };
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
      texts.includes(scalarText(data[name])?.toLowerCase() ?? ''),
    )
  );
}

/**
 * Of an event that no kind recognises: whether its filled fields are documented of this kind, one or more besides the id,
 * and none is of another kind alone.
 */
function mayBe(kind: WebhookKind, value: JsonObject, kinds: readonly WebhookKind[]): boolean {
  const data = objectAt(value['data']);
  const known = kinds.flatMap(({ dataFields }) => dataFields);
  const isForeign = isFilled(data, without(known, kind.dataFields));
  return missingMembers(value) === null && isFilled(data, kind.dataFields) && !isForeign;
}

/** The members that every event but a recipe row must have and this one lacks, in words; null if it has them. */
function missingMembers(value: JsonObject): string | null {
  const missing = ['event_type', 'event_time', 'data'].filter((name) => !Object.hasOwn(value, name));
  return missing.length > 0 ? `it has no ${missing.join(', ')}` : null;
}

/** What speaks against a kind for which nothing speaks. */
function whyNot(kind: WebhookKind, value: JsonObject, onItsPath: boolean): string {
  return missingMembers(value) ?? kind.whatIsMissing(value, onItsPath);
}

function whyNone(value: JsonObject, kinds: readonly WebhookKind[]): Problem[] {
  const reasons = kinds.map((kind) => `is no event of kind ${kind.name}: ${whyNot(kind, value, false)}`);
  return [...notAFeed(value), ...reasons.map((message) => ({ path: '', message }))];
}

/** Fields by which Apono's manual webhook is recognised, which asks for a decision about a request. */
const MANUAL_FIELDS = ['requester', 'justification', 'access_groups', 'access_flow', 'friendly_id'];

/** Anyone who points a manual webhook here must know that it gets no decision. */
function notAFeed(value: JsonObject): Problem[] {
  if (isEvent(value)) return [];
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

/** How many levels of a value are searched for an event, its own included. */
const MAX_LEVELS = 4;

/** Why a value is not an event of any kind; null if it may be one. The problem never quotes its values. */
export function whyNoEvent(value: JsonValue) {
  if (isJsonObject(value)) {
    const path = placeholderLeft(value);
    if (path !== undefined) return { code: 'placeholders_left', problem: { path, message: PLACEHOLDER } } as const;
    if (isEvent(value)) return null;
  }
  const wrapped = eventInside(value);
  return wrapped === null ? null : ({ code: 'wrapped_event', problem: wrapped } as const);
}

function isEvent(value: JsonObject): boolean {
  return Object.hasOwn(value, 'event_type') || Object.hasOwn(value, 'TimeGenerated');
}

const PLACEHOLDER = 'is a placeholder {{…}} that was not filled in';

/** Looks only at members that Apono fills: a requester may type `{{x}}`, and such an event must be accepted. */
function placeholderLeft(value: JsonObject): string | undefined {
  return ['/event_type', '/event_time', '/TimeGenerated', '/data/id'].find((path) => {
    const text = valueAt(value, ...path.slice(1).split('/'));
    return typeof text === 'string' && /\{\{[^{}]*\}\}/.test(text);
  });
}

/**
 * Whether another member of a template-made event has fields of `data`. Text that was not escaped can close `data` with
 * fields of its own, and open such a member for those that the template has after it.
 */
export function hasDataElsewhere(value: JsonObject, dataFields: readonly string[]): boolean {
  return Object.entries(value).some(
    ([name, member]) =>
      name !== 'data' && isJsonObject(member) && dataFields.filter((field) => Object.hasOwn(member, field)).length >= 2,
  );
}

/** Relays, and the templates that Apono shows for other tools, put the event into a member, as an object or as text. */
function eventInside(value: JsonValue, path = '', levels = MAX_LEVELS): Problem | null {
  const found = eventAt(value);
  if (found !== null) return { path, message: `${found}. Send that alone` };
  if (levels === 1 || !isJsonObject(value)) return null;
  for (const [name, member = null] of Object.entries(value)) {
    // No relay has a name that needs an escape in a path.
    const inside = /^[\w .-]{1,64}$/.test(name) ? eventInside(member, `${path}/${name}`, levels - 1) : null;
    if (inside !== null) return inside;
  }
  return null;
}

function eventAt(value: JsonValue): string | null {
  if (typeof value === 'string') return holdsEventText(value) ? 'holds the event as text' : null;
  if (isJsonArray(value)) return isJsonObject(value[0]) && isEvent(value[0]) ? 'holds the events' : null;
  return isJsonObject(value) && isEvent(value) ? 'holds the event' : null;
}

function holdsEventText(text: string): boolean {
  return /^\s*[[{]/.test(text) && /(?:"|&quot;)(?:event_type|TimeGenerated)(?:"|&quot;)/.test(text);
}
