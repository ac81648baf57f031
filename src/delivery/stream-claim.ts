import type { Claimed, ClaimedEvent, Queue, Settlement, SettlementOutcome } from '../outbox/port.ts';
import { countRows } from '../outbox/ranges.ts';
import { retryDelayMs } from './backoff.ts';
import { type Call, callsOf } from './call.ts';
import type { Contrast } from './contrast.ts';
import type { OnDeliveryEvent } from './event.ts';
import type { Waiter } from './waiter.ts';

/** The outbox is on this machine or near it: it may be asked more often than Azure. */
const MAX_PAUSE_MS = 5_000;

export interface StreamClaimOptions {
  readonly kind: string;
  readonly stream: string;
  readonly outbox: Queue;
  readonly onEvent: OnDeliveryEvent;
  readonly waiter: Waiter;
  /** Gives [0, 1). */
  readonly random: () => number;
  readonly isStopping: () => boolean;
}

/** What a round has to send. */
export interface Taken {
  readonly calls: readonly Call[];
  /** There may be more to claim. */
  readonly mayBeMore: boolean;
}

/** What one round of a stream has claimed of the outbox. */
export interface StreamClaim {
  /** Claims for a new round. Null: the outbox could not be asked, and a pause is over. */
  take(maxCalls: number): Promise<Taken | null>;
  /** As `take`, but one row alone: the one that is worth a try when Azure refused all that it was sent. */
  takeRow(contrast: Contrast): Promise<Taken | null>;
  /** Records what became of rows; returns once that is durable. */
  settle(settlements: readonly Settlement[]): Promise<void>;
  /** What was not settled can be claimed again. */
  release(): Promise<void>;
  /** Something of it is another's now (fenced), or was purged: it is not known what else is. */
  isLost(): boolean;
}

const NOTHING: Claimed = { events: [], calls: [], mayBeMore: false };

export function createStreamClaim(options: StreamClaimOptions): StreamClaim {
  const { kind, stream, outbox, onEvent, waiter } = options;
  let claimed: readonly ClaimedEvent[] = [];
  /** How many claimed rows of each event are not settled yet. */
  const unsettled = new Map<string, number>();
  let isLost = false;
  /** Consecutive claims that failed. */
  let failures = 0;

  function take(maxCalls: number): Promise<Taken | null> {
    return begin(() => outbox.claim({ kind, maxCalls }));
  }

  /** A row of an event that was not refused yet, otherwise the row that was not tried for the longest time. */
  function takeRow(contrast: Contrast): Promise<Taken | null> {
    return begin(async () => {
      const fresh = await outbox.claim({ kind, maxCalls: 1, oneRow: { except: contrast.doubted() } });
      if (fresh.events.length > 0) return fresh;
      for (const { eventId, fromRows } of contrast.toRetry()) {
        for (const fromRow of fromRows) {
          const again = await outbox.claim({ kind, maxCalls: 1, oneRow: { eventId, fromRow } });
          if (again.events.length > 0) return again;
        }
        // It was purged or delivered.
        contrast.forget(eventId);
      }
      return NOTHING;
    });
  }

  /** For a new round, whether the last one was settled or ended by a defect. */
  async function begin(claim: () => Promise<Claimed>): Promise<Taken | null> {
    await release();
    isLost = false;
    try {
      const found = await claim();
      failures = 0;
      claimed = found.events;
      for (const { eventId, ranges } of claimed) unsettled.set(eventId, countRows(ranges));
      return { calls: callsOf(found), mayBeMore: found.mayBeMore };
    } catch (error) {
      onEvent({ type: 'outbox_failed', stream, operation: 'claim', message: messageOf(error) });
      await pause(failures++);
      return null;
    }
  }
  async function settle(settlements: readonly Settlement[]): Promise<void> {
    const outcomes = await settleForSure(settlements);
    if (outcomes.includes('stale')) isLost = true;
    for (const { eventId, delivered, dead } of settlements) {
      const settled = dead.reduce((sum, { rows }) => sum + countRows(rows), countRows(delivered));
      const left = (unsettled.get(eventId) ?? 0) - settled;
      if (left > 0) unsettled.set(eventId, left);
      else unsettled.delete(eventId);
    }
  }

  async function release(): Promise<void> {
    // A claim whose rows are all settled has ended.
    const left = claimed.filter(({ eventId }) => unsettled.has(eventId));
    claimed = [];
    unsettled.clear();
    if (left.length === 0) return;
    await settleForSure(left.map(({ eventId, token }) => ({ eventId, token, delivered: [], dead: [], release: true })));
  }

  /** What Azure took must not be sent again: keep retrying the settlement until the outbox has committed it. */
  async function settleForSure(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]> {
    for (let tries = 0; ; tries++) {
      try {
        return await outbox.settle(settlements);
      } catch (error) {
        onEvent({ type: 'outbox_failed', stream, operation: 'settle', message: messageOf(error) });
        // There is no time left while the service stops: these rows are sent once more after the next start.
        if (options.isStopping()) return [];
        await pause(tries);
      }
    }
  }

  function pause(failuresBefore: number): Promise<void> {
    const delayMs = Math.min(retryDelayMs(failuresBefore, null, options.random), MAX_PAUSE_MS);
    return waiter.until(delayMs, () => false);
  }

  return { take, takeRow, settle, release, isLost: () => isLost };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
