import type { RowSource } from '../outbox/port.ts';

/**
 * So many events may become dead letters between two rows that Azure takes. A rule that refuses nearly everything takes
 * a row now and then; without this limit one such row would turn all that waits into dead letters.
 */
const MAX_BURIED_EVENTS = 20;
/** Beyond this the oldest are forgotten, which costs calls and nothing else: some may have been purged. */
const MAX_DOUBTED_EVENTS = 10_000;

/** Tells a row that is refused for what is in it from a stream that takes no row at all. */
export class Contrast {
  /** How often Azure has taken rows so far. A later, higher number proves that it has taken others since. */
  taken = 0;
  /** Events whose rows were buried since the last time that Azure took one. */
  readonly #buried = new Set<string>();
  /** By event and row that was refused alone: `taken` at that time. Both maps are in the order of the last try. */
  readonly #doubts = new Map<string, Map<number, number>>();
  /** By event whose rows were refused with others: `taken` at that time. */
  readonly #suspects = new Map<string, number>();

  /** Azure took these rows. */
  took(rows: readonly RowSource[]): void {
    this.taken++;
    this.#buried.clear();
    for (const { event, index } of rows) {
      const doubted = this.#doubts.get(event.eventId);
      if (doubted?.delete(index) === true && doubted.size === 0) this.#doubts.delete(event.eventId);
    }
  }

  /** Azure refused a call of these rows when `taken` was `refusedAt`, and none of those that were tried alone was taken. */
  refusedTogether(rows: readonly RowSource[], refusedAt: number): void {
    for (const { eventId } of new Set(rows.map(({ event }) => event))) {
      if (!this.#suspects.has(eventId)) this.#suspects.set(eventId, refusedAt);
      limit(this.#suspects);
    }
  }

  /**
   * Azure refused this row in a call of its own. It refused the row before, in the same round when `taken` was
   * `refusedAt` or in an earlier one. True: it has taken other rows since then, so the row is at fault. False: it may be
   * the stream; the row is remembered as doubted.
   */
  isAtFault({ event: { eventId }, index }: RowSource, refusedAt: number): boolean {
    const rows = this.#doubts.get(eventId) ?? new Map<number, number>();
    const firstRefusedAt = rows.get(index) ?? this.#suspects.get(eventId) ?? refusedAt;
    const mayBury = this.#buried.has(eventId) || this.#buried.size < MAX_BURIED_EVENTS;
    const isAtFault = this.taken > firstRefusedAt && mayBury;
    if (isAtFault) this.#buried.add(eventId);
    rows.delete(index);
    // A replay of what was buried needs no new contrast if Azure refuses it again; otherwise one that is used up counts no more.
    rows.set(index, isAtFault ? firstRefusedAt : this.taken);
    this.#doubts.delete(eventId);
    this.#doubts.set(eventId, rows);
    limit(this.#doubts);
    return isAtFault;
  }

  /**
   * Events of which a row was refused alone, the one that was not tried for the longest time first, each with the rows to
   * try from: first the first row that was not refused alone, then the one that was not tried for the longest time.
   */
  doubted(): readonly { readonly eventId: string; readonly fromRows: readonly number[] }[] {
    return [...this.#doubts].map(([eventId, rows]) => {
      let untried = 0;
      while (rows.has(untried)) untried++;
      return { eventId, fromRows: [untried, ...rows.keys().take(1)] };
    });
  }

  /** The event is not in the outbox any more. */
  forget(eventId: string): void {
    this.#doubts.delete(eventId);
  }
}

function limit(events: Map<string, unknown>): void {
  const [oldest] = events.keys();
  if (oldest !== undefined && events.size > MAX_DOUBTED_EVENTS) events.delete(oldest);
}
