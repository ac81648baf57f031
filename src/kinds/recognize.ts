import { isRecipeRow } from '../apono/event.ts';
import type { JsonObject } from '../ground/json.ts';
import { type ByContent, blankTemplate, likelyTemplate, saysSomething, withoutBlankFields } from './blank-template.ts';
import { objectAt } from './fields.ts';
import { evidences, type Problem, type Recognition, type WebhookKind } from './kind.ts';

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
  const candidates = kinds.map((kind) => {
    // The names of blank fields are evidence only next to fields that are not blank.
    const says = [filled, ...(filled !== value && saysSomething(value, kind) ? [value] : [])];
    return { kind, strength: Math.max(...says.map((said) => strengthOf(kind.recognize(said, kind.name === fixed)))) };
  });
  const strongest = Math.max(...candidates.map(({ strength }) => strength));
  const best = candidates.filter(({ strength }) => strength === strongest && strength >= 0).map(({ kind }) => kind);
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

/** The kind with the strongest evidence in the fields that are not blank, whatever the path says. */
function byContent(filled: JsonObject, kinds: readonly WebhookKind[]): ByContent {
  const candidates = kinds.flatMap((kind) => {
    const recognition = kind.recognize(filled, false);
    return 'missing' in recognition ? [] : [{ kind, evidence: recognition.evidence }];
  });
  const strongest = Math.max(...candidates.map(strengthOf));
  const best = candidates.filter((candidate) => strengthOf(candidate) === strongest);
  return best.length === 1 ? (best[0] ?? null) : null;
}

function strengthOf(recognition: Recognition): number {
  return 'missing' in recognition ? -1 : evidences.indexOf(recognition.evidence);
}

function mismatch(
  value: JsonObject,
  kinds: readonly WebhookKind[],
  { fixed, better }: { fixed: string; better: WebhookKind | undefined },
): Recognized {
  const wanted = kinds.find(({ name }) => name === fixed);
  const own = wanted?.recognize(value, true) ?? { missing: 'there is no such kind' };
  const elsewhere =
    better === undefined ? [] : [`it is one of kind ${better.name}, which belongs to ${pathOf(better)}`];
  const reasons = ['missing' in own ? [own.missing] : [], elsewhere].flat();
  const problems = [{ path: '', message: `is no event of kind ${fixed}: ${reasons.join('; ')}` }];
  return { code: 'kind_mismatch', problems: [...notAFeed(value), ...problems] };
}

function whyNone(value: JsonObject, kinds: readonly WebhookKind[]): Problem[] {
  const reasons = kinds.flatMap((kind) => {
    const recognition = kind.recognize(value, false);
    return 'missing' in recognition
      ? [{ path: '', message: `is no event of kind ${kind.name}: ${recognition.missing}` }]
      : [];
  });
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
