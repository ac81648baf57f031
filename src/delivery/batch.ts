import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RowPlan } from '../kinds/kind.ts';
import type { ClaimedEvent, RowRange } from '../outbox/port.ts';
import type { RowText } from '../sentinel/row.ts';
import type { LoadedEvent } from './stream-claim.ts';

/** Azure refuses over 1,048,576 bytes, and the SDK splits at 1,000,000 by a count of its own; this stays below both. */
export const MAX_CALL_BYTES = 950_000;

/** A round has hundreds of events, and a webhook needs several turns of the event loop: behind so much work it gets one. */
const MAX_TURN_MS = 1;

/** Where a row of a call comes from. */
export interface RowSource {
  readonly event: ClaimedEvent;
  readonly index: number;
}

/** What goes into one request. */
export interface Call {
  /** Each the JSON of one row. */
  readonly rows: readonly string[];
  /** In the order of `rows`. */
  readonly sources: readonly RowSource[];
  /** Size of the JSON array. */
  readonly bytes: number;
}

/** Rows that cannot become part of any call. */
export interface Unsendable {
  readonly event: ClaimedEvent;
  readonly rows: readonly RowRange[];
  readonly code: string;
  readonly reason: string;
}

export type BatchItem = { readonly type: 'call'; readonly call: Call } | ({ readonly type: 'unsendable' } & Unsendable);

/** Rows that are made elsewhere, some at a time. */
export interface RemotePlan {
  chunks(range: RowRange): AsyncIterable<Iterable<RowText>>;
}

/** Rows that are made here, as they are asked for, or there already. */
export type LocalPlan = Pick<RowPlan, 'rows'>;

export type PlanOf = (event: LoadedEvent) => LocalPlan | RemotePlan;

function chunksOf(
  plan: LocalPlan | RemotePlan,
  range: RowRange,
): AsyncIterable<Iterable<RowText>> | [Iterable<RowText>] {
  return 'chunks' in plan ? plan.chunks(range) : [plan.rows(range)];
}

/**
 * Fills calls with the pending rows of the events, in order, one row at a time: at most one call's rows are held.
 * A mapper that throws gives up its event's remaining rows and nobody else's.
 */
export async function* batches(events: Iterable<LoadedEvent>, planOf: PlanOf): AsyncGenerator<BatchItem> {
  const filling = new CallBuilder();
  let turnEndsAt = performance.now() + MAX_TURN_MS;
  for (const event of events) {
    if (performance.now() >= turnEndsAt) {
      await nextTurn();
      turnEndsAt = performance.now() + MAX_TURN_MS;
    }
    let next = event.pending[0]?.[0] ?? 0;
    try {
      const plan = planOf(event);
      for (const range of event.pending) {
        next = range[0];
        for await (const chunk of chunksOf(plan, range)) {
          for (const { json, bytes } of chunk) {
            const source = { event, index: next };
            next++;
            if (bytes + 2 > MAX_CALL_BYTES) {
              yield rowTooLarge(source, bytes);
              continue;
            }
            if (!filling.hasRoom(bytes)) yield { type: 'call', call: filling.take() };
            filling.add(json, source, bytes);
          }
        }
      }
    } catch (error) {
      const name = error instanceof Error ? error.name : 'unknown';
      yield unsendable(event, rangesFrom(event.pending, next), 'mapping_failed', `mapping to rows failed: ${name}`);
    }
  }
  if (!filling.isEmpty()) yield { type: 'call', call: filling.take() };
}

/** The call's rows in two halves of their own. Only for calls with at least two rows. */
export function halve(call: Call): readonly [Call, Call] {
  const middle = Math.ceil(call.rows.length / 2);
  return [pick(call, (index) => index < middle), pick(call, (index) => index >= middle)];
}

/** A call of those rows whose place in `call` is chosen. */
export function pick(call: Call, isChosen: (index: number) => boolean): Call {
  const rows = call.rows.filter((_, index) => isChosen(index));
  return { rows, sources: call.sources.filter((_, index) => isChosen(index)), bytes: arrayBytes(rows) };
}

/** Of the JSON array of these rows. */
function arrayBytes(rows: readonly string[]): number {
  return rows.reduce((sum, row) => sum + Buffer.byteLength(row), 2 + Math.max(0, rows.length - 1));
}

/** The rows of a call by event, as ranges. */
export function rangesByEvent(sources: readonly RowSource[]): Map<ClaimedEvent, RowRange[]> {
  const byEvent = new Map<ClaimedEvent, RowRange[]>();
  for (const { event, index } of sources) {
    const ranges = byEvent.get(event) ?? [];
    const last = ranges.at(-1);
    if (last?.[1] === index) ranges[ranges.length - 1] = [last[0], index + 1];
    else ranges.push([index, index + 1]);
    byEvent.set(event, ranges);
  }
  return byEvent;
}

class CallBuilder {
  #rows: string[] = [];
  #sources: RowSource[] = [];
  #bytes = 2;

  isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  hasRoom(rowBytes: number): boolean {
    return this.isEmpty() || this.#bytes + 1 + rowBytes <= MAX_CALL_BYTES;
  }

  add(row: string, source: RowSource, bytes: number): void {
    this.#bytes += bytes + (this.isEmpty() ? 0 : 1);
    this.#rows.push(row);
    this.#sources.push(source);
  }

  take(): Call {
    const call = { rows: this.#rows, sources: this.#sources, bytes: this.#bytes };
    this.#rows = [];
    this.#sources = [];
    this.#bytes = 2;
    return call;
  }
}

function rowTooLarge({ event, index }: RowSource, bytes: number): BatchItem {
  const reason = `the row has ${bytes} bytes, over ${MAX_CALL_BYTES}`;
  return unsendable(event, [[index, index + 1]], 'row_too_large', reason);
}

function unsendable(event: ClaimedEvent, rows: readonly RowRange[], code: string, reason: string): BatchItem {
  return { type: 'unsendable', event, rows, code, reason };
}

/** What of the ranges lies at or behind `first`. */
function rangesFrom(ranges: readonly RowRange[], first: number): RowRange[] {
  return ranges.filter(([, to]) => to > first).map(([from, to]) => [Math.max(from, first), to]);
}
