import type { Waiter } from '../ground/clock.ts';
import type { RowRange } from '../ground/event.ts';
import {
  type Claimed,
  type ClaimedCall,
  type ClaimedEvent,
  MAX_CALL_BYTES,
  OutboxUnavailableError,
  type Queue,
  type RowSource,
  type Settlement,
  type SettlementOutcome,
} from '../outbox/port.ts';
import { countDead, countRows, joinCall, mergeRanges } from '../outbox/rows.ts';
import { retryDelayMs } from './backoff.ts';
import type { Contrast } from './contrast.ts';
import type { OnDeliveryEvent } from './event.ts';

/** The outbox is on this machine or near it: it may be asked more often than Azure. */
const MAX_PAUSE_MS = 5_000;

/** The call's rows in two halves of their own. Only for calls with at least two rows. */
export function halve(call: ClaimedCall): readonly [ClaimedCall, ClaimedCall] {
  const middle = Math.ceil(call.sources.length / 2);
  return [pick(call, (index) => index < middle), pick(call, (index) => index >= middle)];
}

/** A call of those rows whose place in `call` is chosen. */
export function pick({ text, sources, starts }: ClaimedCall, isChosen: (index: number) => boolean): ClaimedCall {
  const rows = starts.map((start, place) => text.slice(start, (starts[place + 1] ?? text.length) - 1));
  const keep = (_: unknown, place: number) => isChosen(place);
  return joinCall(rows.filter(keep), sources.filter(keep));
}

/** The rows of a call by event, as ranges. */
export function rangesByEvent(sources: readonly RowSource[]) {
  return [...Map.groupBy(sources, ({ event }) => event)].map(([event, rows]) => {
    const single = rows.map(({ index }): RowRange => [index, index + 1]);
    return [event, mergeRanges(single, [])] as const;
  });
}

/** What became of some rows of an event; unless it is said, nothing. */
export function settlementOf({ eventId, token }: ClaimedEvent, what: Partial<Settlement>): Settlement {
  return { eventId, token, delivered: [], dead: [], release: false, ...what };
}

export interface StreamClaimOptions {
  readonly kind: string;
  readonly stream: string;
  readonly outbox: Queue;
  readonly onEvent: OnDeliveryEvent;
  readonly random: () => number;
  readonly waiter: Waiter;
  readonly stopping: AbortSignal;
}

/** What one round of a stream has claimed of the outbox. */
export function createClaim({ kind, stream, outbox, onEvent, random, waiter, stopping }: StreamClaimOptions) {
  const oneRow = { kind, maxEvents: 1, maxBytes: 0 };
  /** The events with claimed rows that are not settled yet, and how many rows those are; by event id. */
  const unsettled = new Map<string, { readonly event: ClaimedEvent; rows: number }>();
  let isLost = false;
  /** Consecutive claims that failed. */
  let failures = 0;

  /** For a new round, whether the last one was settled or ended by a defect. */
  async function begin(find: () => Promise<Claimed>) {
    await release();
    isLost = false;
    try {
      const found = await find();
      failures = 0;
      for (const event of found.events) unsettled.set(event.eventId, { event, rows: countRows(event.ranges) });
      return found;
    } catch (error) {
      await failed('claim', error, failures++);
      return null;
    }
  }

  /** What was not settled can be claimed again. */
  async function release(): Promise<void> {
    // A claim whose rows are all settled has ended.
    const left = [...unsettled.values()].map(({ event }) => settlementOf(event, { release: true }));
    unsettled.clear();
    if (left.length > 0) await settleForSure(left);
  }

  /**
   * What Azure took must not be sent again: keep retrying the settlement until the outbox has committed it. Rejects only
   * when the settlement itself is wrong, which is a defect.
   */
  async function settleForSure(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]> {
    for (let tries = 0; ; tries++) {
      try {
        return await outbox.settle(settlements);
      } catch (error) {
        if (!(error instanceof OutboxUnavailableError)) throw error;
        // There is no time left while the service stops: these rows are sent once more after the next start.
        const isLast = stopping.aborted;
        await failed('settle', error, tries);
        if (isLast) return [];
      }
    }
  }

  async function failed(operation: 'claim' | 'settle', error: unknown, failuresBefore: number): Promise<void> {
    onEvent({ type: 'outbox_failed', stream, operation, message: error instanceof Error ? error.message : 'unknown' });
    await waiter.until(Math.min(retryDelayMs(failuresBefore, null, random), MAX_PAUSE_MS));
  }

  return {
    /** Something of it is another's now (fenced), or was purged: it is not known what else is. */
    isLost: () => isLost,
    release,

    /** Claims for a new round. Null: the outbox could not be asked, and a pause is over. */
    take: (calls: number) => begin(() => outbox.claim({ kind, maxBytes: calls * MAX_CALL_BYTES })),

    /**
     * As `take`, but one row alone, the one that is worth a try when Azure refused all that it was sent: a row of an event
     * that was not refused yet, otherwise the row that was not tried for the longest time.
     */
    takeRow: (contrast: Contrast) =>
      begin(async () => {
        const doubted = contrast.doubted();
        const fresh = await outbox.claim({ ...oneRow, except: doubted.map(({ eventId }) => eventId) });
        if (fresh.events.length > 0) return fresh;
        for (const { eventId, fromRows } of doubted) {
          for (const fromRow of fromRows) {
            const again = await outbox.claim({ ...oneRow, only: { eventId, fromRow } });
            if (again.events.length > 0) return again;
          }
          // It was purged or delivered.
          contrast.forget(eventId);
        }
        return fresh;
      }),

    /** Records what became of rows; returns once that is durable. */
    async settle(settlements: readonly Settlement[]): Promise<void> {
      const outcomes = await settleForSure(settlements);
      if (outcomes.includes('stale')) isLost = true;
      for (const { eventId, delivered, dead } of settlements) {
        const claimed = unsettled.get(eventId);
        if (claimed === undefined) continue;
        claimed.rows -= countRows(delivered) + countDead(dead);
        if (claimed.rows <= 0) unsettled.delete(eventId);
      }
    },
  };
}
