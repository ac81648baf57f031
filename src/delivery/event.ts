import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import type { HeldKind } from '../outbox/operator.ts';
import type { ClaimedEvent } from '../outbox/port.ts';
import type { HoldCode, Outcome, UploadResult } from './outcome.ts';

/** What a person needs to know about an answer. */
export type Explanation = Pick<HeldKind, 'reason' | 'fix' | 'message'>;

export interface Hold extends HeldKind {
  readonly code: HoldCode;
}

/** A stream whose wait after a setback an operator ended. */
export interface Retried extends Pick<Hold, 'kind' | 'stream'> {
  /** That of the hold; null: it was waiting to try again, without a hold. */
  readonly code: HoldCode | null;
}

type HoldReason = Omit<Hold, 'kind' | 'stream' | 'since'>;

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
  /** After `uploaded`, once for each event with rows in the call. */
  | (Pick<ClaimedEvent, 'receivedAt' | 'action'> & {
      readonly type: 'delivered';
      readonly kind: string;
      readonly stream: string;
      readonly rows: number;
    })
  | { readonly type: 'retry_scheduled'; readonly stream: string; readonly failures: number; readonly delayMs: number }
  | ({ readonly type: 'retry_asked' } & Retried)
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

const HOLD_REMINDER_MS = 60_000;

/** The hold of one stream, while there is one. Reports when it begins, once a minute while it lasts, and when it ends. */
export function createHold(of: Pick<Hold, 'kind' | 'stream'>, clock: Clock, onEvent: OnDeliveryEvent) {
  let current: Hold | null = null;
  let cancelReminder = () => {};

  function remind(): void {
    cancelReminder = clock.setTimer(HOLD_REMINDER_MS, () => {
      if (current !== null) onEvent({ type: 'still_held', hold: current });
      remind();
    });
  }

  return {
    get current(): Hold | null {
      return current;
    },
    /** Begins it, or goes on with it for a reason that may be another one. */
    keep(why: HoldReason): void {
      const before = current;
      current = { ...of, since: before?.since ?? clock.now(), ...why };
      if (before !== null) return;
      onEvent({ type: 'held', hold: current });
      remind();
    },
    end(): void {
      const ended = current;
      current = null;
      cancelReminder();
      if (ended !== null) onEvent({ type: 'hold_ended', hold: ended });
    },
    close: () => cancelReminder(),
  };
}

/** Why a kind whose stream is off is held while events of it wait. */
export function whyOff({ name, streamVariable }: WebhookKind, count: number): HoldReason {
  const waiting = count === 1 ? `1 event of the kind ${name} waits` : `${count} events of the kind ${name} wait`;
  const reason = `${streamVariable} is off, and ${waiting} in the outbox, which nothing sends.`;
  const fix =
    `Set ${streamVariable} to a stream of the data collection rule and restart the service; or delete these events: ` +
    `\`apono-sentinel outbox purge --all --state held --kind ${name}\`.`;
  return { code: 'stream_off', reason, fix, message: null, clientRequestId: null };
}

/** Writes ids, counts and codes to the log, and nothing that a row contains. */
export function logDelivery(log: Logger, event: DeliveryEvent): void {
  switch (event.type) {
    case 'uploaded': {
      const { stream, rows, bytes, outcome, durationMs, result, duringHold } = event;
      // While a stream is on hold, the line of `still_held` says once a minute what every failed probe would say.
      const level = outcome === 'delivered' ? 'info' : duringHold ? 'debug' : 'warn';
      const fields = { stream, rows, bytes, outcome, duration_ms: Math.round(durationMs), ...resultFields(result) };
      log[level](fields, 'upload');
      break;
    }
    case 'delivered':
      break; // The line of the upload covers it.
    case 'retry_scheduled': {
      const { stream, failures, delayMs } = event;
      log.warn({ stream, failures, delay_ms: Math.round(delayMs) }, 'delivery will be tried again');
      break;
    }
    case 'retry_asked': {
      const { type, ...fields } = event;
      log.info(fields, 'delivery tries again at once, as an operator asked');
      break;
    }
    case 'held':
    case 'still_held': {
      const { kind, stream, since, code, reason, fix, clientRequestId: client_request_id } = event.hold;
      const fields = { kind, stream, since: new Date(since).toISOString(), code, reason, fix, client_request_id };
      log.error(fields, event.type === 'held' ? 'delivery on hold' : 'delivery still on hold');
      break;
    }
    case 'hold_ended':
      log.info({ kind: event.hold.kind, stream: event.hold.stream }, 'delivery resumed');
      break;
    case 'buried': {
      const { eventId, stream, rows, code } = event;
      log.error({ event_id: eventId, stream, rows, code }, 'rows became dead letters');
      break;
    }
    case 'outbox_failed': {
      const { stream, operation, message } = event;
      log.error({ stream, operation, error: message }, 'outbox failed');
      break;
    }
    case 'defect':
      log.error({ stream: event.stream, error: event.message }, 'defect in delivery');
      break;
    default:
      event satisfies never;
  }
}

/** Leaves out the messages of Azure and Entra, which may quote a row, and keeps what names hosts and codes. */
function resultFields(result: UploadResult) {
  if (result.type === 'no_token') {
    return { failure: 'no_token', error: result.failure.message, aadsts: result.failure.aadsts };
  }
  const { clientRequestId: client_request_id } = result;
  if (result.type === 'unanswered') return { failure: result.reason, error: result.message, client_request_id };
  return { status: result.status, by: result.by, azure_code: result.code, client_request_id };
}
