import type { EventRows, RowRange } from '../ground/event.ts';
import type { ClaimedRows } from './engine.ts';
import { type Claimed, type ClaimedCall, MAX_CALL_BYTES } from './port.ts';

/** How the rows of an event are stored, and which of them a claim takes. Both engines keep to it. */

/** A row's own columns as one text, a line for each row. */
export function formatOwn({ own }: Pick<EventRows, 'own'>): string {
  return own.join('\n');
}

/** What is stored of the rows of one event. */
export interface StoredRows {
  readonly shared: string;
  /** See `formatOwn`. */
  readonly own: string;
}

export function parseRows({ shared, own }: StoredRows): EventRows {
  return { shared, own: own.split('\n') };
}

export interface TakenRows {
  readonly ranges: readonly RowRange[];
  /** The JSON of the rows of `ranges`, in order. */
  readonly rows: readonly string[];
  /** Of the rows, in UTF-8. */
  readonly bytes: number;
}

/**
 * The first of the pending rows that fit into `maxBytes`, at least one if `atLeastOne`. The JSON of the array needs a
 * byte more for each row and one more; that is counted.
 */
export function takeRows(
  stored: StoredRows,
  pending: readonly RowRange[],
  { maxBytes, atLeastOne }: { readonly maxBytes: number; readonly atLeastOne: boolean },
): TakenRows {
  const { shared, own } = parseRows(stored);
  const ranges: RowRange[] = [];
  const rows: string[] = [];
  let bytes = 0;
  for (const [from, to] of pending) {
    let end = from;
    for (; end < to; end++) {
      const columns = own[end];
      if (columns === undefined) throw new RangeError(`Row ${end} of an event is not stored`);
      const row = joinRow(shared, columns);
      const size = Buffer.byteLength(row) + 1;
      if (bytes + size > maxBytes && !(atLeastOne && rows.length === 0)) break;
      bytes += size;
      rows.push(row);
    }
    if (end > from) ranges.push([from, end]);
    if (end < to) break;
  }
  return { ranges, rows, bytes };
}

/** The pending rows at or after a row. */
export function rangesFrom(ranges: readonly RowRange[], first: number): RowRange[] {
  return ranges.filter(([, to]) => to > first).map(([from, to]) => [Math.max(from, first), to]);
}

/** The JSON array of all rows. */
export function arrayOf({ shared, own }: EventRows): string {
  return `[${own.map((each) => joinRow(shared, each)).join(',')}]`;
}

/** Joins claimed rows, in order, into JSON arrays of at most MAX_CALL_BYTES; a row that is larger has a call of its own. */
export function packCalls(claimed: readonly ClaimedRows[]): Pick<Claimed, 'events' | 'calls'> {
  const calls: ClaimedCall[] = [];
  let filling = new CallBuilder();
  for (const [event, { ranges, rows }] of claimed.entries()) {
    const texts = rows.values();
    for (const [from, to] of ranges) {
      for (let row = from; row < to; row++) {
        const text = texts.next().value ?? '';
        const bytes = Buffer.byteLength(text);
        if (!filling.hasRoom(bytes)) {
          calls.push(filling.finish());
          filling = new CallBuilder();
        }
        filling.add(text, bytes, event, row);
      }
    }
  }
  if (!filling.isEmpty) calls.push(filling.finish());
  return {
    events: claimed.map(({ eventId, token, receivedAt, ranges }) => ({ eventId, token, receivedAt, ranges })),
    calls,
  };
}

class CallBuilder {
  readonly #rows: string[] = [];
  readonly #starts: number[] = [];
  readonly #parts: { event: number; range: RowRange }[] = [];
  /** Both brackets are there from the beginning. */
  #bytes = 2;
  #length = 1;

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  hasRoom(rowBytes: number): boolean {
    return this.isEmpty || this.#bytes + 1 + rowBytes <= MAX_CALL_BYTES;
  }

  add(row: string, bytes: number, event: number, index: number): void {
    const separator = this.isEmpty ? 0 : 1;
    this.#starts.push(this.#length);
    this.#rows.push(row);
    this.#bytes += bytes + separator;
    this.#length += row.length + 1;
    const last = this.#parts.at(-1);
    if (last?.event === event && last.range[1] === index) last.range = [last.range[0], index + 1];
    else this.#parts.push({ event, range: [index, index + 1] });
  }

  finish(): ClaimedCall {
    return { text: `[${this.#rows.join(',')}]`, bytes: this.#bytes, starts: this.#starts, parts: this.#parts };
  }
}

/** The JSON of one row. */
export function joinRow(shared: string, own: string): string {
  return `${shared.slice(0, -1)},${own.slice(1)}`;
}
