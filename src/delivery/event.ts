import type { HoldCode } from './hold-code.ts';
import type { UploadResult } from './ingestion.ts';
import type { Outcome } from './outcome.ts';

/** What a person needs to know about a hold. `reason` and `fix` hold nothing of Azure's words but its code. */
export interface HoldExplanation {
  readonly reason: string;
  /** What to do. */
  readonly fix: string;
  /** Azure's own words, which may quote a row: for the admin port alone. Null where it said nothing. */
  readonly message: string | null;
}

/** Why a stream waits for a person, and since when (ms since the epoch). */
export interface Hold extends HoldExplanation {
  readonly kind: string;
  /** `off` where the stream of the kind is off. */
  readonly stream: string;
  readonly since: number;
  readonly code: HoldCode;
  /** x-ms-client-request-id of the request that was refused: Azure's DCRLogErrors shows it. Null where none was sent. */
  readonly clientRequestId: string | null;
}

/** One call to Logs Ingestion and what became of it. */
export interface UploadEvent {
  readonly type: 'uploaded';
  readonly stream: string;
  readonly rows: number;
  readonly bytes: number;
  readonly outcome: Outcome['type'];
  readonly result: UploadResult;
  readonly durationMs: number;
  /** Whether the stream was on hold when the call was made, which makes the call a probe. */
  readonly duringHold: boolean;
}

/** What delivery reports of itself, to the log and to the metrics. */
export type DeliveryEvent =
  | UploadEvent
  /** After `uploaded`, once for each event with rows in the call. `receivedAt` is in milliseconds since the epoch. */
  | { readonly type: 'delivered'; readonly stream: string; readonly receivedAt: number; readonly rows: number }
  | { readonly type: 'retry_scheduled'; readonly stream: string; readonly failures: number; readonly delayMs: number }
  /** `still_held` comes once a minute while the hold lasts. */
  | { readonly type: 'held' | 'still_held' | 'hold_ended'; readonly hold: Hold }
  | {
      readonly type: 'buried';
      readonly stream: string;
      readonly eventId: string;
      readonly rows: number;
      readonly code: string;
    }
  /** The outbox did not do what it was asked; delivery asks again. */
  | {
      readonly type: 'outbox_failed';
      readonly stream: string;
      readonly operation: 'claim' | 'settle';
      readonly message: string;
    }
  /** An exception that no code expects, which is a bug. */
  | { readonly type: 'defect'; readonly stream: string; readonly message: string };

/** Must neither throw nor wait: delivery calls it between two steps of its work. */
export type OnDeliveryEvent = (event: DeliveryEvent) => void;
