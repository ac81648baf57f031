import type { RowSource } from './call.ts';

/**
 * So many events may become dead letters between two rows that Azure takes. A rule that refuses nearly everything takes
 * a row now and then; without this limit one such row would turn all that waits into dead letters.
 */
const MAX_BURIED_EVENTS = 20;
/** Beyond this the oldest are forgotten, which costs calls and nothing else. */
const MAX_DOUBTED_EVENTS = 10_000;

/** Tells a row that is refused for what is in it from a stream that takes no row at all. */
export interface Contrast {
  /** How often Azure has taken rows so far. A later, higher number proves that it has taken others since. */
  now(): number;
  /** Azure took these rows. */
  took(rows: readonly RowSource[]): void;
  /** Azure refused a call of these rows when `now` was `refusedAt`, and none of those that were tried alone was taken. */
  refusedTogether(rows: readonly RowSource[], refusedAt: number): void;
  /**
   * Azure refused this row in a call of its own. It refused the row before, in the same round when `now` was `refusedAt`
   * or in an earlier one. True: it has taken other rows since then, so the row is at fault. False: it may be the stream;
   * the row is remembered as doubted.
   */
  isAtFault(row: RowSource, refusedAt: number): boolean;
  /** Events of which a row was refused alone. */
  doubted(): readonly string[];
  /**
   * The same, the one that was not tried for the longest time first, each with the rows to try from: first the first row
   * that was not refused alone, then the one that was not tried for the longest time.
   */
  toRetry(): readonly { readonly eventId: string; readonly fromRows: readonly number[] }[];
  /** The event is not in the outbox any more. */
  forget(eventId: string): void;
}

export function createContrast(): Contrast {
  let taken = 0;
  /** Events whose rows were buried since the last time that Azure took one. */
  const buried = new Set<string>();
  /** By event and row that was refused alone: `now` at that time. Both maps are in the order of the last try. */
  const doubts = new Map<string, Map<number, number>>();
  /** By event whose rows were refused with others: `now` at that time. */
  const suspects = new Map<string, number>();

  function clear({ event, index }: RowSource): void {
    const rows = doubts.get(event.eventId);
    if (rows?.delete(index) === true && rows.size === 0) doubts.delete(event.eventId);
  }

  function doubt({ event, index }: RowSource, refusedAt: number): void {
    const rows = doubts.get(event.eventId) ?? new Map<number, number>();
    rows.delete(index);
    rows.set(index, refusedAt);
    doubts.delete(event.eventId);
    doubts.set(event.eventId, rows);
    limit(doubts);
  }

  return {
    now: () => taken,
    took(rows) {
      taken++;
      buried.clear();
      if (doubts.size > 0) rows.forEach(clear);
    },
    refusedTogether(rows, refusedAt) {
      for (const { eventId } of new Set(rows.map(({ event }) => event))) {
        if (!suspects.has(eventId)) suspects.set(eventId, refusedAt);
        limit(suspects);
      }
    },
    isAtFault(row, refusedAt) {
      const { eventId } = row.event;
      const firstRefusedAt = doubts.get(eventId)?.get(row.index) ?? suspects.get(eventId) ?? refusedAt;
      if (taken > firstRefusedAt && (buried.has(eventId) || buried.size < MAX_BURIED_EVENTS)) {
        buried.add(eventId);
        // A replay of it that Azure refuses again needs no new contrast.
        doubt(row, firstRefusedAt);
        return true;
      }
      // A contrast that is used up counts no more.
      doubt(row, taken);
      return false;
    },
    doubted: () => [...doubts.keys()],
    toRetry: () =>
      [...doubts].map(([eventId, rows]) => ({
        eventId,
        fromRows: [firstMissing(rows), ...[...rows.keys()].slice(0, 1)],
      })),
    forget: (eventId) => void doubts.delete(eventId),
  };
}

/** Forgets the oldest: some events may have been purged, and would stay here for ever. */
function limit(events: Map<string, unknown>): void {
  const [oldest] = events.keys();
  if (oldest !== undefined && events.size > MAX_DOUBTED_EVENTS) events.delete(oldest);
}

/** The smallest row that is not in the map. */
function firstMissing(rows: ReadonlyMap<number, unknown>): number {
  let row = 0;
  while (rows.has(row)) row++;
  return row;
}
