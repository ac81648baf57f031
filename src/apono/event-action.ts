const KNOWN = ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed', 'Manual'] as const;

export const eventActions = [...KNOWN, 'Other'] as const;

/** What happened to a request, whatever Apono's spelling. `Other` is none of ours to refuse. */
export type EventAction = (typeof eventActions)[number];

const BY_SPELLING = new Map<string, EventAction>(
  KNOWN.flatMap((action) =>
    ['', 'request', 'accessrequest', 'access'].map((prefix) => [prefix + action.toLowerCase(), action]),
  ),
);

/**
 * `AccessRequestCreated` (in Apono's sample), `RequestCreated` (in its list of triggers) and `Created` (in older pages)
 * are one. Case, blanks, hyphens, underscores and dots do not count.
 */
export function eventAction(eventType: string): EventAction {
  return BY_SPELLING.get(eventType.toLowerCase().replace(/[\s._-]/g, '')) ?? 'Other';
}
