import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, valueAt } from '../ground/json.ts';
import type { Problem } from './kind.ts';

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
