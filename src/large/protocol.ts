import type { UnderstandOptions, Understood } from '../apono/understand.ts';
import type { ReceivedBody } from '../http/receiver.ts';
import type { StoredEvent } from '../kinds/plan-stored.ts';
import type { RowRange } from '../outbox/port.ts';
import type { RowText } from '../sentinel/row.ts';

/** What the thread for large bodies is started with. */
export type Settings = Pick<UnderstandOptions, 'streams' | 'escaping'>;

export interface Operations {
  understand: {
    readonly args: { readonly body: ReceivedBody; readonly receivedAt: number };
    readonly result: {
      readonly understood: Understood;
      /** The fields of each line `mapping failed`, which is all that `understand` logs. */
      readonly mappingFailures: readonly object[];
    };
  };
  /** The first rows of a range, up to so many bytes and at least one. `event` is left out where the thread has it still. */
  rows: {
    readonly args: {
      readonly eventId: string;
      readonly event: StoredEvent | null;
      readonly range: RowRange;
      readonly maxBytes: number;
    };
    readonly result:
      | { readonly rows: readonly RowText[] }
      /** Ask again with the event. */
      | { readonly missing: true }
      /** Name of the error with which mapping failed behind these rows. */
      | { readonly rows: readonly RowText[]; readonly failed: string };
  };
}

export type Operation = keyof Operations;

/** Each is answered by its result before the next one comes. */
export type Request = { [Op in Operation]: { readonly op: Op } & Operations[Op]['args'] }[Operation];
