import type { Config } from '../../config/config.ts';
import type { ReceivedBody } from '../../intake/understand.ts';
import type { Outbox, Received } from '../port.ts';
import type { SharedPace } from '../shared-pace.ts';
import type { OutboxStartCode } from '../start-error.ts';
import type { StoreEvent } from '../store.ts';

/** What the main thread and the store thread say to each other. */

/** What a thread is started with. */
export interface ThreadSettings {
  readonly outbox: Config['outbox'];
  readonly streams: Config['ingestion']['streams'];
  readonly escaping: Config['webhook']['escaping'];
  /** The thread before it met a damaged page. */
  readonly isSuspect: boolean;
}

/** What the main thread asks. `close` comes last: the thread ends after its answer. */
export type Operations = Omit<Outbox, 'receive'> &
  SharedPace & {
    /** `receivedAt`: when the body came, milliseconds since the epoch. */
    receive(body: ReceivedBody, receivedAt: number): Promise<Received>;
  };

export type Operation = keyof Operations;

export interface Request {
  readonly id: number;
  readonly operation: Operation;
  readonly args: readonly unknown[];
}

export type ToThread =
  | { readonly type: 'requests'; readonly requests: readonly Request[] }
  /** The answer to `token_wanted`; null: there is none, and `problem` says why. */
  | { readonly type: 'token'; readonly token: string | null; readonly problem: string };

export type Answer =
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  /** The store could not do it now. */
  | { readonly type: 'unavailable'; readonly id: number; readonly reason: string }
  /** The caller's fault: a RangeError there. */
  | { readonly type: 'defect'; readonly id: number; readonly message: string };

export type LogLine = {
  readonly type: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
};

export type FromThread =
  | { readonly type: 'opened'; readonly damagedFile: string | null }
  /** The thread ends after this. */
  | { readonly type: 'open_failed'; readonly code: OutboxStartCode; readonly message: string }
  | { readonly type: 'answers'; readonly answers: readonly Answer[] }
  | { readonly type: 'event'; readonly event: StoreEvent }
  | LogLine
  | { readonly type: 'token_wanted' };
