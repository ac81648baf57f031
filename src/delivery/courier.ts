import type { Clock } from '../ground/clock.ts';
import { type ClaimedCall, MAX_REQUEST_BYTES, type Settlement } from '../outbox/port.ts';
import { countRows } from '../outbox/rows.ts';
import { type createClaim, halve, pick, rangesByEvent, type StreamClaimOptions, settlementOf } from './claim.ts';
import type { Contrast } from './contrast.ts';
import { type Ingestion, type Outcome, outcomeOf, type UploadResult } from './outcome.ts';

/** In one transaction: webhooks that come meanwhile wait for its end. */
const MAX_SETTLEMENTS = 100;

/** Azure answers it as it would answer rows, and keeps nothing of it. */
const emptyCall: ClaimedCall = { text: '[]', bytes: 2, sources: [], starts: [] };

/** An answer of Azure that means `Type`. */
interface Answered<Type extends Outcome['type']> {
  readonly outcome: Extract<Outcome, { type: Type }>;
  readonly result: UploadResult;
}

/** Why a round had to stop: everything that was not settled waits. */
export interface Setback extends Answered<'retry' | 'hold'> {
  /** For a hold `rows_refused`: what the contrast's `taken` was when the rows were refused. */
  readonly refusedAt?: number;
}

interface CourierOptions extends Pick<StreamClaimOptions, 'kind' | 'stream' | 'onEvent'> {
  readonly ingestion: Ingestion;
  readonly contrast: Contrast;
  readonly clock: Clock;
  readonly settle: ReturnType<typeof createClaim>['settle'];
  readonly isHeld: () => boolean;
  /** Ends the uploads that are under way. */
  readonly signal: AbortSignal;
}

/** What became of a call that was taken to its end. Null: all of its rows are settled. */
type Ending = Promise<Setback | null>;

/**
 * Carries calls of one stream to Azure and does with their rows what the answers ask for. What it gives takes one call to
 * its end: delivered, split, bisected, or a setback.
 */
export function createCourier(options: CourierOptions) {
  const { kind, stream, ingestion, contrast, clock, onEvent, settle, isHeld, signal } = options;
  async function deliver(call: ClaimedCall): Ending {
    if (call.bytes > MAX_REQUEST_BYTES) {
      return bury(call, 'row_too_large', `the row has ${call.bytes - 2} bytes, and a request ${MAX_REQUEST_BYTES}`);
    }
    return send(call, async (refusal) => {
      const refusedAt = contrast.taken;
      // Azure refuses the rows or the stream itself; an empty call tells which, before any row is looked into.
      const { outcome, result } = await upload(emptyCall);
      if (outcome.type === 'retry' || outcome.type === 'hold') return { outcome, result };
      if (outcome.type !== 'delivered') return { outcome: { type: 'hold', code: 'stream_refused' }, result };
      return call.sources.length === 1 ? judge(call, refusal, refusedAt) : investigate(call, refusedAt);
    });
  }

  /** Sends a call and does what the answer asks for; `onRefused` decides where Azure refuses rows. */
  async function send(call: ClaimedCall, onRefused: (refusal: Answered<'refused'>) => Ending): Ending {
    const { outcome, result } = await upload(call);
    switch (outcome.type) {
      case 'delivered':
        return delivered(call);
      case 'refused':
        return onRefused({ outcome, result });
      case 'split':
        if (call.sources.length > 1) return inTurn(halve(call), deliver);
        if (outcome.alone !== null) return { outcome: outcome.alone, result };
        return bury(call, 'row_too_large', 'Azure refused the row alone as too large (413)');
      case 'retry':
      case 'hold':
        return { outcome, result };
    }
  }

  async function upload(call: ClaimedCall): Promise<Answered<Outcome['type']>> {
    const started = performance.now();
    const result = await ingestion.upload(stream, call.text, signal);
    const outcome = outcomeOf(result, clock.now());
    const measured = { rows: call.sources.length, bytes: call.bytes, durationMs: performance.now() - started };
    onEvent({ type: 'uploaded', stream, ...measured, outcome: outcome.type, result, duringHold: isHeld() });
    return { outcome, result };
  }

  async function delivered({ sources }: ClaimedCall): Promise<null> {
    contrast.took(sources);
    const settlements: Settlement[] = [];
    for (const [event, rows] of rangesByEvent(sources)) {
      const { receivedAt, action } = event;
      onEvent({ type: 'delivered', kind, stream, receivedAt, action, rows: countRows(rows) });
      settlements.push(settlementOf(event, { delivered: rows }));
    }
    for (let from = 0; from < settlements.length; from += MAX_SETTLEMENTS) {
      await settle(settlements.slice(from, from + MAX_SETTLEMENTS));
    }
    return null;
  }

  /**
   * Finds the rows of a refused call that are at fault; the others are delivered on the way. First some single rows are
   * tried: when Azure takes none of them it may be refusing every row, and then none is called bad and all of them wait.
   */
  async function investigate(call: ClaimedCall, refusedAt: number): Ending {
    const tried = new Set<number>();
    const doubted: ClaimedCall[] = [];
    let setback: Setback | null = null;
    // The last row, the first and one in the middle: most likely of different events, the newest one first.
    const last = call.sources.length - 1;
    for (const index of new Set([last, 0, Math.ceil(last / 2)])) {
      if (contrast.taken > refusedAt) break;
      const sample = pick(call, (each) => each === index);
      tried.add(index);
      setback = await narrow(sample, refusedAt);
      if (setback === null) continue;
      if (setback.refusedAt === undefined) return setback;
      doubted.push(sample);
    }
    if (contrast.taken === refusedAt && setback !== null) {
      contrast.refusedTogether(call.sources, refusedAt);
      return setback;
    }
    const rest = pick(call, (index) => !tried.has(index));
    // Without a doubted sample it is the rest that made Azure refuse the call, so it is not sent as a whole again.
    const parts = doubted.length === 0 && rest.sources.length > 1 ? halve(rest) : [rest];
    return inTurn([...parts, ...doubted], (part) => narrow(part, refusedAt));
  }

  /** Sends rows that were refused together with others, in ever smaller parts, until each is delivered or buried. */
  function narrow(call: ClaimedCall, refusedAt: number): Ending {
    return send(call, (refusal) => {
      if (call.sources.length === 1) return judge(call, refusal, refusedAt);
      return inTurn(halve(call), (half) => narrow(half, refusedAt));
    });
  }

  /** Decides about a row that was refused in a call of its own. */
  async function judge(call: ClaimedCall, { outcome, result }: Answered<'refused'>, refusedAt: number): Ending {
    const [row] = call.sources;
    if (row !== undefined && contrast.isAtFault(row, refusedAt)) {
      return bury(call, 'refused_by_azure', `${outcome.code}: ${outcome.message}`);
    }
    return { outcome: { type: 'hold', code: 'rows_refused' }, result, refusedAt: contrast.taken };
  }

  async function bury({ sources }: ClaimedCall, code: string, reason: string): Promise<null> {
    for (const [event, rows] of rangesByEvent(sources)) {
      await settle([settlementOf(event, { dead: [{ rows, code, reason }] })]);
      onEvent({ type: 'buried', eventId: event.eventId, stream, rows: countRows(rows), code });
    }
    return null;
  }

  return deliver;
}

async function inTurn(calls: readonly ClaimedCall[], send: (call: ClaimedCall) => Ending): Ending {
  for (const call of calls) {
    if (call.sources.length === 0) continue;
    const setback = await send(call);
    if (setback !== null) return setback;
  }
  return null;
}
