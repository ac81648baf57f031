import type { Clock } from '../ground/clock.ts';
import type { EventMeta } from '../outbox/port.ts';
import type { RowText } from '../sentinel/row.ts';

/** Of the rows of one body; more is rare, and made again from what the outbox has. */
export const MAX_KEPT_BYTES_PER_BODY = 32_768;
/** More than a second's intake, so that all are kept while delivery keeps up. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/**
 * Of the period after which all is thrown away that has been there for a whole one. Delivery asks within seconds, or is
 * behind; for what was purged, or another replica sends, it never does.
 */
const PERIOD_MS = 30_000;

/** An event that was stored just now. */
export interface FreshEvent {
  readonly eventId: string;
  readonly meta: Pick<EventMeta, 'receivedAt'>;
  /** All of its rows; null: there is nothing to keep. */
  readonly rows: readonly RowText[] | null;
}

export interface KeptRows {
  /** Only of an event that the outbox took as new. Nothing is kept while there is much, and nothing for over a minute. */
  keep(event: FreshEvent): void;
  /** Gives the rows of an event, once. Null: they have to be made. */
  take(event: Pick<FreshEvent, 'eventId' | 'meta'>): readonly RowText[] | null;
  /** Throws away all, and keeps nothing from then on: webhooks are still answered while delivery ends. */
  close(): void;
}

/**
 * The rows of events from when they are stored until they are sent for the first time, so that a body need not be read
 * twice. No more than a cache: what is not here is made of the body that the outbox has, and is the same.
 */
export function createKeptRows(clock: Clock): KeptRows {
  let young = emptyShelf();
  let old = emptyShelf();
  let cancelTurn: (() => void) | null = null;
  let isClosed = false;

  function turn(): void {
    cancelTurn = null;
    old = young;
    young = emptyShelf();
    if (old.events.size > 0) turnLater();
  }

  function turnLater(): void {
    cancelTurn ??= clock.setTimer(PERIOD_MS, turn);
  }

  return {
    keep({ eventId, meta, rows }) {
      if (rows === null || isClosed) return;
      const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
      if (young.bytes + old.bytes + bytes > MAX_KEPT_BYTES || young.events.has(eventId)) return;
      young.events.set(eventId, { rows, bytes, receivedAt: meta.receivedAt });
      young.bytes += bytes;
      turnLater();
    },
    take({ eventId, meta }) {
      for (const shelf of [young, old]) {
        const kept = shelf.events.get(eventId);
        if (kept === undefined) continue;
        shelf.events.delete(eventId);
        shelf.bytes -= kept.bytes;
        // An identity can be forgotten, and its event come again.
        if (kept.receivedAt === meta.receivedAt) return kept.rows;
      }
      return null;
    },
    close() {
      isClosed = true;
      cancelTurn?.();
      young = emptyShelf();
      old = emptyShelf();
    },
  };
}

/** What came within one period; thrown away as a whole at the end of the next. */
interface Shelf {
  readonly events: Map<
    string,
    { readonly rows: readonly RowText[]; readonly bytes: number; readonly receivedAt: number }
  >;
  bytes: number;
}

function emptyShelf(): Shelf {
  return { events: new Map(), bytes: 0 };
}
