import type { HoldExplanation } from '../delivery/event.ts';
import type { HoldCode } from '../delivery/hold-code.ts';
import type { Ingestion, UploadResult } from '../delivery/ingestion.ts';
import { outcomeOf } from '../delivery/outcome.ts';
import type { Clock } from '../ground/clock.ts';
import type { Row } from '../sentinel/row.ts';

/** `retry`: it passes. `hold`: a person has to change something. */
export type HeartbeatOutcome = 'delivered' | 'retry' | 'hold';

export interface HeartbeatFailure {
  readonly outcome: Exclude<HeartbeatOutcome, 'delivered'>;
  /** What Azure asked for. */
  readonly retryAfterMs: number | null;
  readonly reason: string;
  /** What a person has to do. */
  readonly fix: string;
  /** x-ms-client-request-id, which Azure's DCRLogErrors shows; null where nothing was sent. */
  readonly clientRequestId: string | null;
}

export interface BeatOptions {
  readonly stream: string;
  readonly ingestion: Ingestion;
  /** A row of this moment. */
  readonly makeRow: () => Promise<Row>;
  readonly explain: (result: UploadResult, code: HoldCode | null) => HoldExplanation;
  readonly clock: Clock;
}

/** Sends one fresh row. Null: Azure took it. Never rejects; an aborted `signal` makes a failure that means nothing. */
export async function beat(options: BeatOptions, signal: AbortSignal): Promise<HeartbeatFailure | null> {
  try {
    const result = await options.ingestion.upload(options.stream, [JSON.stringify(await options.makeRow())], {
      signal,
    });
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
    // There is one row, and nothing in it that a smaller or another call would mend. Azure's message stays out of it:
    // a failure is shown in /healthz and in the log.
    case 'split':
    case 'refused':
    case 'hold': {
      const { reason, fix } = explain(result, outcome.type === 'hold' ? outcome.code : null);
      return { outcome: 'hold', retryAfterMs: null, clientRequestId, reason, fix };
    }
  }
}

/** Neither port throws for what Azure, the network or the outbox do. */
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
