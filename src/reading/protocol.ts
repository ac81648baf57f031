import type { RowRange } from '../ground/event.ts';
import type { ReceivedBody, UnderstandOptions, Understood } from '../intake/understand.ts';
import type { StoredEvent } from '../kinds/plan-stored.ts';
import type { RowText } from '../sentinel/row.ts';

/** What a thread is started with. */
export type Settings = Pick<UnderstandOptions, 'streams' | 'escaping' | 'keptBytes'>;

/** A body without its bytes. */
export interface BodyPlace extends Omit<ReceivedBody, 'bytes'> {
  /** How many of the bytes that came are its own. */
  readonly length: number;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
}

export interface Operations {
  understand: {
    readonly args: {
      /** Of all bodies, one behind the other. */
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly bodies: readonly BodyPlace[];
    };
    /** One for each body. */
    readonly result: readonly UnderstoodBody[];
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

export interface UnderstoodBody {
  readonly understood: Understood;
  /** The fields of each line `mapping failed`, which is all that `understand` logs. */
  readonly mappingFailures: readonly object[];
}

export type Operation = keyof Operations;

export type Request = { [Op in Operation]: { readonly op: Op } & Operations[Op]['args'] }[Operation];

/** `ready` comes once, first. Then each request has its result, in their order. */
export type Reply = 'ready' | Operations[Operation]['result'];
