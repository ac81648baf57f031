import type { EventEntry, QuarantineEntry, RowRange } from './port.ts';
import type { DeadLetter } from './records.ts';

/** A record of another database, as far as it came over. `storedAt` is milliseconds since the epoch. */
export type SalvagedRecord =
  | {
      readonly type: 'event';
      readonly entry: EventEntry;
      readonly storedAt: number;
      /** The rows that are still to be sent; the others were delivered or are dead. */
      readonly pending: readonly RowRange[];
      readonly deadLetters: readonly DeadLetter[];
    }
  | { readonly type: 'quarantine'; readonly entry: QuarantineEntry; readonly storedAt: number }
  /** An event that was delivered: only its identity was left. */
  | {
      readonly type: 'identity';
      readonly eventId: string;
      readonly storedAt: number;
      readonly deliveredAt: number;
    };

export type RestoreOutcome =
  /** In the order of the records: whether each is new here. */
  | { readonly outcome: 'stored'; readonly isNew: readonly boolean[] }
  /** OUTBOX_MAX_BYTES is reached; nothing was stored. */
  | { readonly outcome: 'full' };
