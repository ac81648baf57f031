import type { ClaimedEvent, Outbox, Settlement, SettlementOutcome } from '../outbox/port.ts';
import { countRows } from '../outbox/ranges.ts';
import type { RowText } from '../sentinel/row.ts';
import { retryDelayMs } from './backoff.ts';
import type { Contrast } from './contrast.ts';
import type { OnDeliveryEvent } from './event.ts';
import type { Waiter } from './waiter.ts';

export const MAX_EVENTS_PER_ROUND = 2_000;
/** While the outbox reads so many, webhooks wait. */
const MAX_EVENTS_PER_CLAIM = 250;
/** No limit for events that are claimed to choose one row among them, since only one of them is loaded. */
const MAX_PROBED_BYTES = 2 ** 50;
/** The outbox is ours to ask: it bears that more often than Azure, and what it comes back with is waited for. */
const MAX_PAUSE_MS = 5_000;

/** A claimed event with its rows, or with what they are made of. */
export type LoadedEvent = ClaimedEvent & ({ readonly rows: readonly RowText[] } | { readonly body: string });

export interface StreamClaimOptions {
  readonly kind: string;
  readonly stream: string;
  readonly outbox: Outbox;
  /** All rows of an event, where they were kept: it needs no body then. */
  readonly keptRowsOf: (event: ClaimedEvent) => readonly RowText[] | null;
  readonly onEvent: OnDeliveryEvent;
  readonly waiter: Waiter;
  /** Gives [0, 1). */
  readonly random: () => number;
  readonly isStopping: () => boolean;
}

/** What one round of a stream has claimed of the outbox. */
export interface StreamClaim {
  /** Claims for a new round. Null: the outbox could not be asked, and a pause is over. */
  take(maxMappedBytes: number): Promise<readonly LoadedEvent[] | null>;
  /** As `take`, but one row alone: the one that is worth a try when Azure refused all that it was sent. */
  takeRow(contrast: Contrast): Promise<readonly LoadedEvent[] | null>;
  /** Records what became of rows; returns once that is durable. */
  settle(settlements: readonly Settlement[]): Promise<void>;
  /** What was not settled can be claimed again. */
  release(): Promise<void>;
  /** Something of it is another's now (fenced), or was purged: it is not known what else is. */
  isLost(): boolean;
}

export function createStreamClaim(options: StreamClaimOptions): StreamClaim {
  const { kind, stream, outbox, keptRowsOf, onEvent, waiter } = options;
  let claimed: ClaimedEvent[] = [];
  /** How many rows of what is claimed nothing was settled of yet, by event. */
  const unsettled = new Map<string, number>();
  let isLost = false;
  /** In a row. */
  let failures = 0;

  async function take(maxMappedBytes: number): Promise<readonly LoadedEvent[] | null> {
    const loaded: LoadedEvent[] = [];
    const isClaimed = await begin(async () => {
      for (let isMore = true; isMore; ) {
        const part = await claimMore(maxMappedBytes - sizeOf(claimed));
        loaded.push(...(await load(part)));
        const hasRoom = claimed.length < MAX_EVENTS_PER_ROUND && sizeOf(claimed) < maxMappedBytes;
        isMore = part.length === MAX_EVENTS_PER_CLAIM && hasRoom;
      }
    });
    if (isClaimed || loaded.length > 0) return loaded;
    await giveUp();
    return null;
  }

  /**
   * Claims past events that were refused already, whatever their size, until there is one that was not: otherwise a large
   * event at the head would keep all that came after it from being tried. Only the event of the row is loaded.
   */
  async function takeRow(contrast: Contrast): Promise<readonly LoadedEvent[] | null> {
    let loaded: readonly LoadedEvent[] = [];
    const isClaimed = await begin(async () => {
      for (let isMore = true; isMore; ) {
        const part = await claimMore(MAX_PROBED_BYTES);
        const isOver = part.length < MAX_EVENTS_PER_CLAIM || claimed.length >= MAX_EVENTS_PER_ROUND;
        isMore = !isOver && part.every(contrast.isDoubted);
      }
      const row = contrast.nextOf(claimed);
      if (row === null) return;
      const [event] = await load([row.event]);
      if (event !== undefined) loaded = [{ ...event, pending: [[row.index, row.index + 1]] }];
    });
    if (isClaimed) return loaded;
    await giveUp();
    return null;
  }

  /** For a new round, whether the last one was settled or ended by a defect. False: the outbox could not be asked. */
  async function begin(act: () => Promise<void>): Promise<boolean> {
    await release();
    isLost = false;
    try {
      await act();
      failures = 0;
      return true;
    } catch (error) {
      onEvent({ type: 'outbox_failed', stream, operation: 'claim', message: messageOf(error) });
      return false;
    }
  }

  async function giveUp(): Promise<void> {
    await release();
    await pause(failures++);
  }

  async function claimMore(maxMappedBytes: number): Promise<readonly ClaimedEvent[]> {
    const part = await outbox.claim({ kind, maxEvents: MAX_EVENTS_PER_CLAIM, maxMappedBytes });
    claimed.push(...part);
    for (const { eventId, pending } of part) unsettled.set(eventId, countRows(pending));
    return part;
  }

  async function load(events: readonly ClaimedEvent[]): Promise<LoadedEvent[]> {
    const kept = events.map(keptRowsOf);
    const others = events.filter((_, index) => kept[index] === null);
    const bodies = (others.length === 0 ? [] : await outbox.bodies(others)).values();
    return events.flatMap((event, index): LoadedEvent[] => {
      const rows = kept[index] ?? null;
      if (rows !== null) return [{ ...event, rows }];
      const body = bodies.next().value ?? null;
      if (body !== null) return [{ ...event, body }];
      isLost = true;
      return [];
    });
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
    // An event of which all was settled is free by itself.
    const left = claimed.filter(({ eventId }) => unsettled.has(eventId));
    claimed = [];
    unsettled.clear();
    if (left.length === 0) return;
    await settleForSure(left.map(({ eventId, token }) => ({ eventId, token, delivered: [], dead: [], release: true })));
  }

  /** What Azure took must not be sent again: it is told to the outbox until that has written it down. */
  async function settleForSure(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]> {
    for (let tries = 0; ; tries++) {
      try {
        return await outbox.settle(settlements);
      } catch (error) {
        onEvent({ type: 'outbox_failed', stream, operation: 'settle', message: messageOf(error) });
        // At the end there is no time left: at the next start these rows are sent once more.
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

export function sizeOf(events: readonly ClaimedEvent[]): number {
  return events.reduce((sum, { mappedBytes }) => sum + mappedBytes, 0);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
