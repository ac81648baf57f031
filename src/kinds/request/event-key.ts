import type { EventAction } from '../../apono/event-action.ts';
import { canonicalHash } from '../../apono/identity.ts';

export interface EventKeyParts {
  readonly requestId: string | null;
  readonly eventType: string;
  readonly action: EventAction;
  /** As in the column event_time. */
  readonly eventTime: string | null;
  readonly eventId: string;
}

/**
 * The same for every body that reports the same step of the same request, so that overlapping webhooks, or a template
 * and a raw body, can be folded in a query. A body that does not name its request is like no other, and an event type
 * that nobody knows is told from the next one by its name.
 */
export function requestEventKey(parts: EventKeyParts): string {
  const step = parts.action === 'Other' ? `Other ${parts.eventType}` : parts.action;
  return `v1${canonicalHash(['request', parts.requestId ?? `event ${parts.eventId}`, step, parts.eventTime])}`;
}
