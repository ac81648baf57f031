import type { OutboxOperator } from './operator.ts';
import type { OutboxRecords, RecordPage, RecordSummary } from './records.ts';

/** Pages of the outbox that one call looks through; a page of ours may be short, or empty, and still have a `next`. */
const MAX_PAGES_PER_CALL = 20;

/**
 * Which stream is on hold is delivery's knowledge and not the outbox's, so `held` and `waiting` are told apart here.
 * The cursor stays the outbox's own: a hold that begins or ends between two pages skips no record of either state.
 */
export function createHeldList(outbox: OutboxRecords, heldKinds: () => readonly string[]): OutboxOperator['list'] {
  return async ({ state, ...request }) => {
    if (state !== 'held' && state !== 'waiting') return outbox.list({ state, ...request });
    const held = heldKinds();
    const wanted = (kind: string | null): boolean => (kind !== null && held.includes(kind)) === (state === 'held');
    if (request.kind === undefined ? state === 'held' && held.length === 0 : !wanted(request.kind)) return noRecords;
    if (request.kind !== undefined || held.length === 0) return outbox.list({ state: 'waiting', ...request });
    return filtered(outbox, request, wanted);
  };
}

const noRecords: RecordPage = { records: [], next: null };

async function filtered(
  outbox: OutboxRecords,
  { after, limit }: { after?: string; limit: number },
  wanted: (kind: string | null) => boolean,
): Promise<RecordPage> {
  const records: RecordSummary[] = [];
  let next: string | null = after ?? null;
  for (let pages = 0; pages < MAX_PAGES_PER_CALL && records.length < limit; pages++) {
    const page = await outbox.list({
      state: 'waiting',
      limit: limit - records.length,
      ...(next !== null && { after: next }),
    });
    records.push(...page.records.filter(({ kind }) => wanted(kind)));
    next = page.next;
    if (next === null) break;
  }
  return { records, next };
}
