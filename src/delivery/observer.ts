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

export interface UploadEvent {
  readonly stream: string;
  readonly rows: number;
  readonly bytes: number;
  readonly outcome: Outcome['type'];
  readonly result: UploadResult;
  readonly durationMs: number;
  /** Whether the stream was on hold when the call was made, so that this is its probe. */
  readonly duringHold: boolean;
}

/** Rows of one event that Azure took with one call. */
export interface DeliveredRows {
  readonly stream: string;
  /** When the event was received, milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly rows: number;
}

/** What delivery tells of itself; the log listens, and whoever counts. No method may throw or wait. */
export interface DeliveryObserver {
  uploaded(event: UploadEvent): void;
  /** Behind `uploaded`, once for each event of the call. */
  delivered(event: DeliveredRows): void;
  retryScheduled(event: { stream: string; failures: number; delayMs: number }): void;
  held(hold: Hold): void;
  /** Once a minute while the hold lasts. */
  stillHeld(hold: Hold): void;
  holdEnded(hold: Hold): void;
  buried(event: { eventId: string; stream: string; rows: number; code: string }): void;
  /** The outbox could not be asked or told; it is tried again. */
  outboxFailed(event: { stream: string; operation: 'claim' | 'settle'; message: string }): void;
  /** Something threw that never should. */
  defect(event: { stream: string; message: string }): void;
}
