import { hash } from 'node:crypto';
import table from '../../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import { canonicalJson, type EventAction } from '../../apono/event.ts';
import type { TableSchema } from '../../sentinel/table.ts';
import { TEST_ID_PREFIX } from '../event-columns.ts';
import { rowMapper } from '../rows.ts';

export const requestTable = table as TableSchema;

export const writeRequestRows = rowMapper(requestTable);

interface EventKeyParts {
  readonly requestId: string | null;
  readonly eventType: string;
  readonly action: EventAction;
  /** The value of the column event_time. */
  readonly eventTime: string | null;
  readonly eventId: string;
}

/**
 * The column event_key: the same for every body that reports the same step of the same request, so that a query can fold
 * overlapping webhooks, or a template and a raw body. A body that does not name its request has a key of its own, and
 * event types that nobody knows differ by their names.
 */
export function requestEventKey(parts: EventKeyParts): string {
  const step = parts.action === 'Other' ? `Other ${parts.eventType}` : parts.action;
  return `v1${hash('sha256', canonicalJson(['request', parts.requestId ?? `event ${parts.eventId}`, step, parts.eventTime]))}`;
}

interface RequestIds {
  readonly requestId: string | null;
  readonly friendlyId: string | null;
  readonly requesterId: string | null;
  readonly requesterEmail: string | null;
}

/**
 * The column is_test: whether the event comes from `send-test`, or is the sample of Apono's documentation, which Apono's
 * Test button sends as far as is known. Two ids must match the sample, because the rules leave test events out and a real
 * request AR-123 has to stay in.
 */
export function isTestRequest(ids: RequestIds): boolean {
  if (ids.requestId?.startsWith(TEST_ID_PREFIX)) return true;
  const isSampleRequest = ids.requestId === '123' && ids.friendlyId === 'AR-123';
  return isSampleRequest || (ids.requesterId === 'user-1' && ids.requesterEmail === 'user@example.com');
}
