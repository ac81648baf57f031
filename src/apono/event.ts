import { isJsonObject, type JsonObject } from '../ground/json.ts';

/**
 * Whether an object is a row of Apono's own Sentinel recipe (or of one that an admin extended): it has the table's
 * TimeGenerated where an event has event_time and data.
 */
export function isRecipeRow(value: JsonObject): boolean {
  return Object.hasOwn(value, 'TimeGenerated') && !Object.hasOwn(value, 'event_time') && !isJsonObject(value['data']);
}

const KNOWN = ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed', 'Manual'] as const;

export const eventActions = [...KNOWN, 'Other'] as const;

/** What happened to a request, however Apono spells it. An event type that nobody knows is `Other`, and accepted too. */
export type EventAction = (typeof eventActions)[number];

const BY_SPELLING = new Map<string, EventAction>(
  KNOWN.flatMap((action) =>
    ['', 'request', 'accessrequest', 'access'].map((prefix) => [prefix + action.toLowerCase(), action]),
  ),
);

/**
 * `AccessRequestCreated` (in Apono's sample), `RequestCreated` (in its list of triggers) and `Created` (in older pages)
 * mean the same. Case, blanks, hyphens, underscores and dots do not count.
 */
export function eventAction(eventType: string): EventAction {
  return BY_SPELLING.get(eventType.toLowerCase().replace(/[\s._-]/g, '')) ?? 'Other';
}
