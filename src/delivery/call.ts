import type { RowRange } from '../ground/event.ts';
import type { Claimed, ClaimedEvent } from '../outbox/port.ts';

/** Where a row of a call comes from. */
export interface RowSource {
  readonly event: ClaimedEvent;
  readonly index: number;
}

/** What goes into one request. */
export interface Call {
  /** A JSON array of rows. */
  readonly text: string;
  /** Of `text` in UTF-8. */
  readonly bytes: number;
  /** Whose rows they are, in their order. */
  readonly sources: readonly RowSource[];
  /** Where each row begins in `text`, see ClaimedCall. */
  readonly starts: readonly number[];
}

/** `[]`, which Azure answers as it would answer rows, and of which it keeps nothing. */
export const emptyCall: Call = { text: '[]', bytes: 2, sources: [], starts: [] };

export function callsOf({ calls, events }: Claimed): Call[] {
  return calls.map(({ text, bytes, starts, parts }) => ({
    text,
    bytes,
    starts,
    sources: parts.flatMap(({ event: place, range: [from, to] }) => {
      const event = events[place];
      if (event === undefined) throw new RangeError(`A call names event ${place} of ${events.length}`);
      return Array.from({ length: to - from }, (_, offset) => ({ event, index: from + offset }));
    }),
  }));
}

/** The call's rows in two halves of their own. Only for calls with at least two rows. */
export function halve(call: Call): readonly [Call, Call] {
  const middle = Math.ceil(call.sources.length / 2);
  return [pick(call, (index) => index < middle), pick(call, (index) => index >= middle)];
}

/** A call of those rows whose place in `call` is chosen. */
export function pick({ text, sources, starts }: Call, isChosen: (index: number) => boolean): Call {
  const rows: string[] = [];
  const chosen: { readonly source: RowSource; readonly start: number }[] = [];
  let next = 1;
  for (const [index, source] of sources.entries()) {
    if (!isChosen(index)) continue;
    const row = text.slice(starts[index], (starts[index + 1] ?? text.length) - 1);
    chosen.push({ source, start: next });
    rows.push(row);
    next += row.length + 1;
  }
  const array = `[${rows.join(',')}]`;
  return {
    text: array,
    bytes: Buffer.byteLength(array),
    sources: chosen.map(({ source }) => source),
    starts: chosen.map(({ start }) => start),
  };
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
