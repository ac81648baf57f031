import type { Clock } from '../clock.ts';
import type { ClaimedEvent, DeadRows, Settlement } from '../outbox/port.ts';
import { countRows } from '../outbox/ranges.ts';
import { type Call, halve, rangesByEvent } from './batch.ts';
import type { Ingestion, UploadResult } from './ingestion.ts';
import type { DeliveryObserver } from './observer.ts';
import { type Outcome, outcomeOf } from './outcome.ts';

/** In one transaction: webhooks that come meanwhile wait for its end. */
const MAX_SETTLEMENTS = 100;

/** Why a round had to stop: everything that was not settled waits. */
export interface Setback {
  readonly outcome: Extract<Outcome, { type: 'retry' | 'hold' }>;
  readonly result: UploadResult;
}

export interface CourierOptions {
  readonly stream: string;
  readonly ingestion: Ingestion;
  readonly clock: Clock;
  readonly observer: DeliveryObserver;
  /** Records what became of rows; returns once that is durable. */
  readonly settle: (settlements: readonly Settlement[]) => Promise<void>;
  readonly isHeld: () => boolean;
  readonly onDelivered: () => void;
}

export interface Courier {
  /** Takes one call to its end: delivered, split, bisected, or a setback. Null: all of its rows are settled. */
  deliver(call: Call, signal: AbortSignal): Promise<Setback | null>;
  /** Settles rows as dead letters. */
  bury(event: ClaimedEvent, dead: DeadRows): Promise<void>;
}

/** Carries calls of one stream to Azure and does with their rows what the answers ask for. */
export function createCourier(options: CourierOptions): Courier {
  const { stream, ingestion, clock, observer } = options;

  async function upload(call: Pick<Call, 'rows' | 'bytes'>, signal: AbortSignal) {
    const started = performance.now();
    const result = await ingestion.upload(stream, call.rows, { signal });
    const outcome = outcomeOf(result, clock.now());
    const durationMs = performance.now() - started;
    const { rows, bytes } = call;
    observer.uploaded({
      stream,
      rows: rows.length,
      bytes,
      outcome: outcome.type,
      result,
      durationMs,
      duringHold: options.isHeld(),
    });
    return { result, outcome };
  }

  async function deliver(call: Call, signal: AbortSignal): Promise<Setback | null> {
    const { result, outcome } = await upload(call, signal);
    if (outcome.type !== 'refused') return act(call, outcome, result, signal);
    // Azure refuses the rows or the stream itself; an empty call tells which, before any row is buried.
    const probe = await upload({ rows: [], bytes: 2 }, signal);
    if (probe.outcome.type === 'delivered') return bisect(call, outcome, signal);
    // Told apart by [] alone: whatever is wrong is not in the rows.
    const setback = isSetback(probe.outcome) ? probe.outcome : ({ type: 'hold' } as const);
    return { outcome: setback, result: probe.result };
  }

  /** What to do with an answer other than "refused". */
  async function act(
    call: Call,
    outcome: Exclude<Outcome, { type: 'refused' }>,
    result: UploadResult,
    signal: AbortSignal,
  ): Promise<Setback | null> {
    switch (outcome.type) {
      case 'delivered':
        options.onDelivered();
        return settleDelivered(call);
      case 'split':
        if (call.rows.length > 1) return inHalves(call, (half) => deliver(half, signal));
        await buryAll(call, 'row_too_large', 'Azure refused the row alone as too large (413)');
        return null;
      case 'retry':
      case 'hold':
        return { outcome, result };
    }
  }

  async function settleDelivered(call: Call): Promise<null> {
    const byEvent = [...rangesByEvent(call.sources)];
    for (const [{ meta }, delivered] of byEvent) {
      observer.delivered({ stream, receivedAt: meta.receivedAt, rows: countRows(delivered) });
    }
    const settlements = byEvent.map(([{ eventId, token }, delivered]) => ({
      eventId,
      token,
      delivered,
      dead: [],
      release: false,
    }));
    for (let from = 0; from < settlements.length; from += MAX_SETTLEMENTS) {
      await options.settle(settlements.slice(from, from + MAX_SETTLEMENTS));
    }
    return null;
  }

  /** Finds the rows that Azure refuses; those that it takes are delivered on the way. */
  async function bisect(
    call: Call,
    refusal: Outcome & { type: 'refused' },
    signal: AbortSignal,
  ): Promise<Setback | null> {
    if (call.rows.length <= 1) {
      await buryAll(call, 'refused_by_azure', `${refusal.code}: ${refusal.message}`);
      return null;
    }
    return inHalves(call, async (half) => {
      const { result, outcome } = await upload(half, signal);
      return outcome.type === 'refused' ? bisect(half, outcome, signal) : act(half, outcome, result, signal);
    });
  }

  async function buryAll(call: Call, code: string, reason: string): Promise<void> {
    for (const [event, rows] of rangesByEvent(call.sources)) await bury(event, { rows, code, reason });
  }

  async function bury(event: ClaimedEvent, dead: DeadRows): Promise<void> {
    const { eventId, token } = event;
    await options.settle([{ eventId, token, delivered: [], dead: [dead], release: false }]);
    observer.buried({ eventId, stream, rows: countRows(dead.rows), code: dead.code });
  }

  return { deliver, bury };
}

async function inHalves(call: Call, send: (half: Call) => Promise<Setback | null>): Promise<Setback | null> {
  for (const half of halve(call)) {
    const setback = await send(half);
    if (setback !== null) return setback;
  }
  return null;
}

function isSetback(outcome: Outcome): outcome is Setback['outcome'] {
  return outcome.type === 'retry' || outcome.type === 'hold';
}
