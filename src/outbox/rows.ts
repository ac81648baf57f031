import { type EventEntry, joinRow, type RowRange } from '../ground/event.ts';
import { textOf } from '../ground/json.ts';
import type { ClaimedRows, ClaimRequest } from './engine.ts';
import {
  type Claimed,
  type ClaimedCall,
  type ClaimedEvent,
  type DeadRows,
  MAX_CALL_BYTES,
  type RowSource,
  type Settlement,
} from './port.ts';
import type { StoredRecord } from './records.ts';

/**
 * The rows of an event, for both engines: lists of ranges as sets of rows, how rows are stored, which of them a claim
 * takes, and what a settlement makes of them. Functions of ranges take sorted, disjoint lists (`rangesProblem` says
 * whether a list is one) and return one in its shortest form: sorted, disjoint, and no two ranges that touch.
 */

/** What is kept of a reason, in characters. */
const MAX_REASON_LENGTH = 4_096;

/** What is wrong with a list of ranges that should be sorted, disjoint, not empty and within `rowCount`; null: nothing. */
export function rangesProblem(ranges: readonly RowRange[], rowCount: number): string | null {
  let end = 0;
  for (const [from, to] of ranges) {
    const isSound = Number.isSafeInteger(from) && Number.isSafeInteger(to) && from < to;
    if (!isSound || from < end || to > rowCount)
      return `[${from}, ${to}] is no range of the rows ${end} to ${rowCount}`;
    end = to;
  }
  return null;
}

/** As text, for engines to store. A list in its shortest form has one text only. */
export function formatRanges(ranges: readonly RowRange[]): string {
  return JSON.stringify(ranges);
}

export function parseRanges(text: string): readonly RowRange[] {
  return JSON.parse(text) as readonly RowRange[];
}

/** `0-2, 5`: as people count, both ends included, but from 0 as in `access_unit_index`. */
export function rangesText(ranges: readonly RowRange[]): string {
  return ranges.map(([from, to]) => (to - from === 1 ? String(from) : `${from}-${to - 1}`)).join(', ');
}

export function countRows(ranges: readonly RowRange[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** The rows that are in `a` or in `b`. */
export function mergeRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...a, ...b].sort((x, y) => x[0] - y[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** The rows that are in `a` and not in `b`. */
export function subtractRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const holes = mergeRanges(b, []);
  const left: RowRange[] = [];
  let hole = 0;
  for (const [from, to] of mergeRanges(a, [])) {
    let start = from;
    // Both lists are sorted, so a hole that ends before this range is of no concern to the later ones either.
    while ((holes[hole]?.[1] ?? Number.POSITIVE_INFINITY) <= start) hole++;
    for (let i = hole; start < to; i++) {
      const [holeFrom, holeTo] = holes[i] ?? [to, to];
      if (start < holeFrom) left.push([start, Math.min(holeFrom, to)]);
      start = Math.max(start, holeTo);
    }
  }
  return left;
}

/** The rows that are in both. */
export function intersectRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  return subtractRanges(a, subtractRanges(a, b));
}

type StoredRows = Pick<EventEntry, 'shared' | 'own'>;

/** What is stored of the rows of one event, unless somebody deleted it. */
export type FoundRows = { readonly [Column in keyof StoredRows]: StoredRows[Column] | null };

/** What both engines write into `events` and `bodies`; an identity has no rows. */
export function columnsOf(record: Exclude<StoredRecord, { type: 'quarantine' }>) {
  const noRows = { shared: null, own: null, rowCount: 0, mappedBytes: 0, pending: [], deadLetters: [] };
  const others = { kind: '', receivedAt: record.storedAt, deliveredAt: null, feed: null };
  const { type: _, pending, deadLetters, ...columns } = { ...noRows, ...others, ...record };
  return {
    ...columns,
    bodyBytes: Buffer.byteLength(columns.shared ?? '') + Buffer.byteLength(columns.own ?? ''),
    pending: formatRanges(pending),
    pendingRows: countRows(pending),
    deadRows: countDead(deadLetters),
  };
}

/** The JSON array of all rows; empty if they are missing. */
export function bodyOf({ shared, own }: FoundRows): Uint8Array {
  const rows = shared === null || own === null ? [] : own.split('\n').map((each) => joinRow(shared, each));
  return new TextEncoder().encode(`[${rows.join(',')}]`);
}

/**
 * The first of the pending rows that fit into `maxBytes`, at least one if `atLeastOne`. The JSON of the array needs a
 * byte more for each row and one more; that is counted.
 */
export function takeRows(
  { shared, own }: StoredRows,
  pending: readonly RowRange[],
  { maxBytes, atLeastOne }: { readonly maxBytes: number; readonly atLeastOne: boolean },
): Pick<ClaimedRows, 'ranges' | 'rows' | 'bytes'> {
  const lines = own.split('\n');
  const ranges: RowRange[] = [];
  const rows: string[] = [];
  let bytes = 0;
  for (const [from, to] of pending) {
    let end = from;
    for (; end < to; end++) {
      const columns = lines[end];
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

/**
 * What a claim takes of the oldest events: `candidates` in their order, with the rows that are pending. Throws where rows
 * are missing, which is said until a person has seen it.
 */
export function takeEvents<Event extends Pick<ClaimedRows, 'eventId'>>(
  candidates: Iterable<Event & FoundRows & { readonly pending: readonly RowRange[] }>,
  { maxEvents, maxBytes, only }: Pick<ClaimRequest, 'maxEvents' | 'maxBytes' | 'only'>,
) {
  const taken: (Omit<Event, 'pending' | keyof StoredRows> & ReturnType<typeof takeRows> & { action: string })[] = [];
  let bytes = 0;
  for (const { pending, shared, own, ...event } of candidates) {
    if (shared === null || own === null) {
      throw new Error(`The rows of event ${event.eventId} are missing from the outbox; \`outbox purge\` ends this`);
    }
    const wanted = subtractRanges(pending, [[0, only?.fromRow ?? 0]]);
    const limits = { maxBytes: maxBytes - bytes, atLeastOne: taken.length === 0 };
    const rows = takeRows({ shared, own }, wanted, limits);
    if (rows.rows.length === 0) break;
    bytes += rows.bytes;
    // Not every table has the column.
    taken.push({ ...event, ...rows, action: textOf(JSON.parse(shared).event_action) ?? 'Other' });
    // What is left of an event is older than the events after it.
    const isPart = countRows(rows.ranges) < countRows(wanted);
    if (isPart || taken.length >= maxEvents || bytes >= maxBytes) break;
  }
  return taken;
}

/** Joins claimed rows, in order, into JSON arrays of at most MAX_CALL_BYTES; a row that is larger has a call of its own. */
export function packCalls(claimed: readonly ClaimedRows[]): Pick<Claimed, 'events' | 'calls'> {
  const events: ClaimedEvent[] = [];
  const calls: ClaimedCall[] = [];
  let texts: string[] = [];
  let sources: RowSource[] = [];
  // Each row brings the comma or bracket that follows it; the first bracket is there from the beginning.
  let bytes = 1;
  for (const { rows, bytes: _, ...event } of claimed) {
    events.push(event);
    const indexes = event.ranges.flatMap(([from, to]) =>
      Array.from({ length: to - from }, (_, offset) => from + offset),
    );
    for (const [place, row] of rows.entries()) {
      const size = Buffer.byteLength(row) + 1;
      if (texts.length > 0 && bytes + size > MAX_CALL_BYTES) {
        calls.push(joinCall(texts, sources));
        [texts, sources, bytes] = [[], [], 1];
      }
      texts.push(row);
      sources.push({ event, index: indexes[place] ?? 0 });
      bytes += size;
    }
  }
  return { events, calls: texts.length === 0 ? calls : [...calls, joinCall(texts, sources)] };
}

/** The call of these rows. */
export function joinCall(rows: readonly string[], sources: readonly RowSource[]): ClaimedCall {
  const text = `[${rows.join(',')}]`;
  let next = 1;
  const starts = rows.map(({ length }) => {
    const start = next;
    next += length + 1;
    return start;
  });
  return { text, bytes: Buffer.byteLength(text), starts, sources };
}

/**
 * What a settlement makes of an event's rows: those that are still `pending`, those that were `buried` now, and those that
 * the claim still holds (none ends it). `held`: the rows of the claim, since others may have come to wait after it was
 * taken. A row that is not pending any more keeps the fate it has: naming it again is no error. Throws a RangeError when
 * the settlement names rows that the event does not have, or gives a row two fates.
 */
export function settleRows(
  settlement: Settlement,
  event: { readonly rowCount: number; readonly pending: readonly RowRange[] },
  held: readonly RowRange[],
) {
  const named = namedRows(settlement, event.rowCount);
  let pending = subtractRanges(event.pending, intersectRanges(held, settlement.delivered));
  const buried: DeadRows[] = [];
  for (const { rows, code, reason } of settlement.dead) {
    const dying = intersectRanges(intersectRanges(pending, held), rows);
    if (dying.length === 0) continue;
    // toWellFormed: a cut through a surrogate pair would leave half a character, which is no valid text.
    buried.push({ rows: dying, code, reason: reason.slice(0, MAX_REASON_LENGTH).toWellFormed() });
    pending = subtractRanges(pending, dying);
  }
  return { pending, buried, held: settlement.release ? [] : subtractRanges(held, named) };
}

function namedRows({ eventId, delivered, dead }: Settlement, rowCount: number): readonly RowRange[] {
  let named: readonly RowRange[] = [];
  for (const rows of [delivered, ...dead.map((each) => each.rows)]) {
    const problem = rangesProblem(rows, rowCount);
    if (problem !== null) throw new RangeError(`Settlement of event ${eventId}: ${problem}`);
    if (intersectRanges(named, rows).length > 0) {
      throw new RangeError(`Settlement of event ${eventId}: a row is named twice`);
    }
    named = mergeRanges(named, rows);
  }
  return named;
}

export function countDead(buried: readonly DeadRows[]): number {
  return buried.reduce((sum, { rows }) => sum + countRows(rows), 0);
}
