import type { Clock } from '../ground/clock.ts';
import { MAX_CALL_BYTES, type Settlement } from '../outbox/port.ts';
import { countRows } from '../outbox/ranges.ts';
import { type Call, emptyCall, halve, pick, rangesByEvent } from './call.ts';
import type { Contrast } from './contrast.ts';
import type { OnDeliveryEvent } from './event.ts';
import type { Ingestion, UploadResult } from './ingestion.ts';
import { type Outcome, outcomeOf } from './outcome.ts';

/** In one transaction: webhooks that come meanwhile wait for its end. */
const MAX_SETTLEMENTS = 100;

/** Why a round had to stop: everything that was not settled waits. */
export interface Setback {
  readonly outcome: Extract<Outcome, { type: 'retry' | 'hold' }>;
  readonly result: UploadResult;
  /** For a hold `rows_refused`: what the contrast's `now` was when the rows were refused. */
  readonly refusedAt?: number;
}

export interface CourierOptions {
  readonly stream: string;
  readonly ingestion: Ingestion;
  readonly contrast: Contrast;
  readonly clock: Clock;
  readonly onEvent: OnDeliveryEvent;
  /** Records what became of rows; returns once that is durable. */
  readonly settle: (settlements: readonly Settlement[]) => Promise<void>;
  readonly isHeld: () => boolean;
  readonly onDelivered: () => void;
}

export interface Courier {
  /** Takes one call to its end: delivered, split, bisected, or a setback. Null: all of its rows are settled. */
  deliver(call: Call, signal: AbortSignal): Promise<Setback | null>;
}

/** Carries calls of one stream to Azure and does with their rows what the answers ask for. */
export function createCourier(options: CourierOptions): Courier {
  const { stream, ingestion, contrast, clock, onEvent } = options;

  async function upload(call: Call, signal: AbortSignal) {
    const started = performance.now();
    const result = await ingestion.upload(stream, call.text, { signal });
    const outcome = outcomeOf(result, clock.now());
    const durationMs = performance.now() - started;
    onEvent({
      type: 'uploaded',
      stream,
      rows: call.sources.length,
      bytes: call.bytes,
      outcome: outcome.type,
      result,
      durationMs,
      duringHold: options.isHeld(),
    });
    return { result, outcome };
  }

  async function deliver(call: Call, signal: AbortSignal): Promise<Setback | null> {
    if (call.bytes > MAX_CALL_BYTES) {
      await bury(call, 'row_too_large', `the row has ${call.bytes - 2} bytes, over ${MAX_CALL_BYTES}`);
      return null;
    }
    const { result, outcome } = await upload(call, signal);
    if (outcome.type !== 'refused') return act(call, outcome, result, signal);
    const refusedAt = contrast.now();
    // Azure refuses the rows or the stream itself; an empty call tells which, before any row is looked into.
    const probe = await upload(emptyCall, signal);
    if (probe.outcome.type === 'delivered') {
      if (call.sources.length === 1) return judge(call, outcome, result, refusedAt);
      return investigate(call, refusedAt, signal);
    }
    const setback = isSetback(probe.outcome) ? probe.outcome : ({ type: 'hold', code: 'stream_refused' } as const);
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
        contrast.took(call.sources);
        options.onDelivered();
        return settleDelivered(call);
      case 'split':
        if (call.sources.length > 1) return inTurn(halve(call), (half) => deliver(half, signal));
        // Nothing is wrong with the row: on a slow uplink it did not arrive in time.
        if (!outcome.isRowAtFault) return { outcome: { type: 'retry', retryAfterMs: null }, result };
        await bury(call, 'row_too_large', 'Azure refused the row alone as too large (413)');
        return null;
      case 'retry':
      case 'hold':
        return { outcome, result };
    }
  }

  async function settleDelivered(call: Call): Promise<null> {
    const byEvent = [...rangesByEvent(call.sources)];
    for (const [{ receivedAt }, delivered] of byEvent) {
      onEvent({ type: 'delivered', stream, receivedAt, rows: countRows(delivered) });
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

  /**
   * Finds the rows of a refused call that are at fault; the others are delivered on the way. First some single rows are
   * tried: when Azure takes none of them it may be refusing every row, and then none is called bad and all of them wait.
   */
  async function investigate(call: Call, refusedAt: number, signal: AbortSignal): Promise<Setback | null> {
    const tried = new Set<number>();
    const doubted: Call[] = [];
    let setback: Setback | null = null;
    for (const index of samplesOf(call)) {
      if (contrast.now() > refusedAt) break;
      const sample = pick(call, (each) => each === index);
      tried.add(index);
      setback = await narrow(sample, refusedAt, signal);
      if (setback === null) continue;
      if (setback.refusedAt === undefined) return setback;
      doubted.push(sample);
    }
    if (contrast.now() === refusedAt && setback !== null) {
      contrast.refusedTogether(call.sources, refusedAt);
      return setback;
    }
    const rest = pick(call, (index) => !tried.has(index));
    // Without a doubted sample it is the rest that made Azure refuse the call, so it is not sent as a whole again.
    const parts = doubted.length === 0 && rest.sources.length > 1 ? halve(rest) : [rest];
    return inTurn([...parts, ...doubted], (part) => narrow(part, refusedAt, signal));
  }

  /** Sends rows that were refused together with others, in ever smaller parts, until each is delivered or buried. */
  async function narrow(call: Call, refusedAt: number, signal: AbortSignal): Promise<Setback | null> {
    const { result, outcome } = await upload(call, signal);
    if (outcome.type !== 'refused') return act(call, outcome, result, signal);
    if (call.sources.length === 1) return judge(call, outcome, result, refusedAt);
    return inTurn(halve(call), (half) => narrow(half, refusedAt, signal));
  }

  /** Decides about a row that was refused in a call of its own. */
  async function judge(
    call: Call,
    refusal: Outcome & { type: 'refused' },
    result: UploadResult,
    refusedAt: number,
  ): Promise<Setback | null> {
    const [row] = call.sources;
    if (row === undefined || !contrast.isAtFault(row, refusedAt)) {
      return { outcome: { type: 'hold', code: 'rows_refused' }, result, refusedAt: contrast.now() };
    }
    await bury(call, 'refused_by_azure', `${refusal.code}: ${refusal.message}`);
    return null;
  }

  async function bury(call: Call, code: string, reason: string): Promise<void> {
    for (const [{ eventId, token }, rows] of rangesByEvent(call.sources)) {
      await options.settle([{ eventId, token, delivered: [], dead: [{ rows, code, reason }], release: false }]);
      onEvent({ type: 'buried', eventId, stream, rows: countRows(rows), code });
    }
  }

  return { deliver };
}

async function inTurn(calls: readonly Call[], send: (call: Call) => Promise<Setback | null>): Promise<Setback | null> {
  for (const call of calls) {
    if (call.sources.length === 0) continue;
    const setback = await send(call);
    if (setback !== null) return setback;
  }
  return null;
}

/** The last row, the first and one in the middle: most likely of different events, the newest one first. */
function samplesOf({ sources }: Call): ReadonlySet<number> {
  return new Set([sources.length - 1, 0, Math.floor(sources.length / 2)]);
}

function isSetback(outcome: Outcome): outcome is Setback['outcome'] {
  return outcome.type === 'retry' || outcome.type === 'hold';
}
