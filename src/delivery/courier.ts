import type { Clock } from '../ground/clock.ts';
import { MAX_CALL_BYTES, type Settlement } from '../outbox/port.ts';
import { countRows } from '../outbox/rows.ts';
import { type Call, halve, pick, rangesByEvent, settlementOf } from './claim.ts';
import type { Contrast } from './contrast.ts';
import type { OnDeliveryEvent } from './event.ts';
import { type Ingestion, type Outcome, outcomeOf, type UploadResult } from './outcome.ts';

/** In one transaction: webhooks that come meanwhile wait for its end. */
const MAX_SETTLEMENTS = 100;

/** Azure answers it as it would answer rows, and keeps nothing of it. */
const emptyCall: Call = { text: '[]', bytes: 2, sources: [], starts: [] };

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

interface CourierOptions {
  readonly stream: string;
  readonly ingestion: Ingestion;
  readonly contrast: Contrast;
  readonly clock: Clock;
  readonly onEvent: OnDeliveryEvent;
  /** Records what became of rows; returns once that is durable. */
  readonly settle: (settlements: readonly Settlement[]) => Promise<void>;
  readonly isHeld: () => boolean;
  /** Ends the uploads that are under way. */
  readonly signal: AbortSignal;
}

/** What became of a call that was taken to its end. Null: all of its rows are settled. */
type Ending = Promise<Setback | null>;

/** Carries calls of one stream to Azure and does with their rows what the answers ask for. */
export class Courier {
  readonly #options: CourierOptions;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Takes one call to its end: delivered, split, bisected, or a setback. */
  async deliver(call: Call): Ending {
    if (call.bytes > MAX_CALL_BYTES) {
      return this.#bury(call, 'row_too_large', `the row has ${call.bytes - 2} bytes, over ${MAX_CALL_BYTES}`);
    }
    return this.#send(call, async (refusal) => {
      const refusedAt = this.#options.contrast.taken;
      // Azure refuses the rows or the stream itself; an empty call tells which, before any row is looked into.
      const { outcome, result } = await this.#upload(emptyCall);
      if (outcome.type === 'retry' || outcome.type === 'hold') return { outcome, result };
      if (outcome.type !== 'delivered') return { outcome: { type: 'hold', code: 'stream_refused' }, result };
      return call.sources.length === 1 ? this.#judge(call, refusal, refusedAt) : this.#investigate(call, refusedAt);
    });
  }

  /** Sends a call and does what the answer asks for; `onRefused` decides where Azure refuses rows. */
  async #send(call: Call, onRefused: (refusal: Answered<'refused'>) => Ending): Ending {
    const { outcome, result } = await this.#upload(call);
    switch (outcome.type) {
      case 'delivered':
        return this.#delivered(call);
      case 'refused':
        return onRefused({ outcome, result });
      case 'split':
        if (call.sources.length > 1) return inTurn(halve(call), (half) => this.deliver(half));
        // Nothing is wrong with the row: on a slow uplink it did not arrive in time.
        if (!outcome.isRowAtFault) return { outcome: { type: 'retry', retryAfterMs: null }, result };
        return this.#bury(call, 'row_too_large', 'Azure refused the row alone as too large (413)');
      case 'retry':
      case 'hold':
        return { outcome, result };
    }
  }

  async #upload(call: Call): Promise<Answered<Outcome['type']>> {
    const { stream, ingestion, clock, signal, onEvent, isHeld } = this.#options;
    const started = performance.now();
    const result = await ingestion.upload(stream, call.text, signal);
    const outcome = outcomeOf(result, clock.now());
    const measured = { rows: call.sources.length, bytes: call.bytes, durationMs: performance.now() - started };
    onEvent({ type: 'uploaded', stream, ...measured, outcome: outcome.type, result, duringHold: isHeld() });
    return { outcome, result };
  }

  async #delivered({ sources }: Call): Promise<null> {
    const { stream, contrast, onEvent, settle } = this.#options;
    contrast.took(sources);
    const settlements: Settlement[] = [];
    for (const [event, delivered] of rangesByEvent(sources)) {
      onEvent({ type: 'delivered', stream, receivedAt: event.receivedAt, rows: countRows(delivered) });
      settlements.push(settlementOf(event, { delivered }));
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
  async #investigate(call: Call, refusedAt: number): Ending {
    const { contrast } = this.#options;
    const tried = new Set<number>();
    const doubted: Call[] = [];
    let setback: Setback | null = null;
    for (const index of samplesOf(call)) {
      if (contrast.taken > refusedAt) break;
      const sample = pick(call, (each) => each === index);
      tried.add(index);
      setback = await this.#narrow(sample, refusedAt);
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
    return inTurn([...parts, ...doubted], (part) => this.#narrow(part, refusedAt));
  }

  /** Sends rows that were refused together with others, in ever smaller parts, until each is delivered or buried. */
  #narrow(call: Call, refusedAt: number): Ending {
    return this.#send(call, (refusal) => {
      if (call.sources.length === 1) return this.#judge(call, refusal, refusedAt);
      return inTurn(halve(call), (half) => this.#narrow(half, refusedAt));
    });
  }

  /** Decides about a row that was refused in a call of its own. */
  async #judge(call: Call, { outcome, result }: Answered<'refused'>, refusedAt: number): Ending {
    const { contrast } = this.#options;
    const [row] = call.sources;
    if (row !== undefined && contrast.isAtFault(row, refusedAt)) {
      return this.#bury(call, 'refused_by_azure', `${outcome.code}: ${outcome.message}`);
    }
    return { outcome: { type: 'hold', code: 'rows_refused' }, result, refusedAt: contrast.taken };
  }

  async #bury({ sources }: Call, code: string, reason: string): Promise<null> {
    const { stream, settle, onEvent } = this.#options;
    for (const [event, rows] of rangesByEvent(sources)) {
      await settle([settlementOf(event, { dead: [{ rows, code, reason }] })]);
      onEvent({ type: 'buried', eventId: event.eventId, stream, rows: countRows(rows), code });
    }
    return null;
  }
}

async function inTurn(calls: readonly Call[], send: (call: Call) => Ending): Ending {
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
