import type { HoldExplanation } from '../delivery/event.ts';
import { type HoldCode, type Ingestion, outcomeOf, type UploadResult } from '../delivery/outcome.ts';
import type { Clock } from '../ground/clock.ts';
import type { Row } from '../sentinel/row.ts';

/** `retry`: the failure passes. `hold`: a person has to change something. */
export type HeartbeatOutcome = 'delivered' | 'retry' | 'hold';

export interface HeartbeatFailure {
  readonly outcome: Exclude<HeartbeatOutcome, 'delivered'>;
  /** The pause that Azure asked for. */
  readonly retryAfterMs: number | null;
  readonly reason: string;
  /** What a person has to do. */
  readonly fix: string;
  /** x-ms-client-request-id, which Azure's DCRLogErrors shows; null where nothing was sent. */
  readonly clientRequestId: string | null;
}

/** The last failure of a series, and when the series began (milliseconds since the epoch). */
export interface FailingHeartbeat extends HeartbeatFailure {
  readonly since: number;
}

export interface BeatOptions {
  readonly stream: string;
  readonly ingestion: Ingestion;
  readonly makeRow: () => Promise<Row>;
  readonly explain: (result: UploadResult, code: HoldCode | null) => HoldExplanation;
  readonly clock: Clock;
}

/** Sends one fresh row. Null: Azure took it. Never rejects; ignore the failure when `signal` was aborted. */
export async function beat(options: BeatOptions, signal: AbortSignal): Promise<HeartbeatFailure | null> {
  try {
    const rows = JSON.stringify([await options.makeRow()]);
    const result = await options.ingestion.upload(options.stream, rows, signal);
    return failureOf(result, options);
  } catch (error) {
    return defect(error);
  }
}

function failureOf(result: UploadResult, { explain, clock }: BeatOptions): HeartbeatFailure | null {
  const outcome = outcomeOf(result, clock.now());
  const clientRequestId = result.type === 'no_token' ? null : result.clientRequestId;
  switch (outcome.type) {
    case 'delivered':
      return null;
    case 'retry': {
      const { reason, fix } = explain(result, null);
      return { outcome: 'retry', retryAfterMs: outcome.retryAfterMs, clientRequestId, reason, fix };
    }
    // A call with this one row cannot be split, and another one would fail the same way. Azure's message, which may quote
    // the row, is left out, since a failure is shown in /healthz and in the log.
    case 'split':
    case 'refused':
    case 'hold': {
      const { reason, fix } = explain(result, outcome.type === 'hold' ? outcome.code : null);
      return { outcome: 'hold', retryAfterMs: null, clientRequestId, reason, fix };
    }
  }
}

/** Neither port throws because of Azure, the network or the outbox, so an exception is a bug of ours. */
function defect(error: unknown): HeartbeatFailure {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
  return {
    outcome: 'hold',
    retryAfterMs: null,
    reason: `A defect of this service: ${what}`,
    fix: 'Please report it. It is tried again.',
    clientRequestId: null,
  };
}
