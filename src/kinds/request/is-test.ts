import { TEST_ID_PREFIX } from '../event-columns.ts';

interface RequestIds {
  readonly requestId: string | null;
  readonly friendlyId: string | null;
  readonly requesterId: string | null;
  readonly requesterEmail: string | null;
}

/**
 * Whether an event is no real one: `send-test`'s, or the sample of Apono's documentation, which its Test button sends
 * as far as is known. Two ids must agree, since rules leave test events out: a real request AR-123 has to stay in.
 */
export function isTestRequest(ids: RequestIds): boolean {
  if (ids.requestId?.startsWith(TEST_ID_PREFIX)) return true;
  const isSampleRequest = ids.requestId === '123' && ids.friendlyId === 'AR-123';
  return isSampleRequest || (ids.requesterId === 'user-1' && ids.requesterEmail === 'user@example.com');
}
