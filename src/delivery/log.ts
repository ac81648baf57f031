import type { Logger } from '../ground/log.ts';
import type { DeliveryEvent, Hold, UploadEvent } from './event.ts';
import type { UploadResult } from './ingestion.ts';

/** Writes ids, counts and codes to the log, and nothing that a row contains. */
export function logDelivery(log: Logger, event: DeliveryEvent): void {
  switch (event.type) {
    case 'uploaded': {
      // While a stream is on hold, the line of `still_held` says once a minute what every failed probe would say.
      const level = event.outcome === 'delivered' ? 'info' : event.duringHold ? 'debug' : 'warn';
      log[level](uploadFields(event), 'upload');
      break;
    }
    case 'delivered':
      break; // The line of the upload covers it.
    case 'retry_scheduled': {
      const { stream, failures, delayMs } = event;
      log.warn({ stream, failures, delay_ms: Math.round(delayMs) }, 'delivery will be tried again');
      break;
    }
    case 'held':
      log.error(holdFields(event.hold), 'delivery on hold');
      break;
    case 'still_held':
      log.error(holdFields(event.hold), 'delivery still on hold');
      break;
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

function uploadFields(event: UploadEvent) {
  return {
    stream: event.stream,
    rows: event.rows,
    bytes: event.bytes,
    outcome: event.outcome,
    duration_ms: Math.round(event.durationMs),
    ...resultFields(event.result),
  };
}

/** Leaves out the messages of Azure and Entra, which may quote a row, and keeps what names hosts and codes. */
function resultFields(result: UploadResult) {
  switch (result.type) {
    case 'answered':
      return {
        status: result.status,
        by: result.by,
        azure_code: result.code,
        client_request_id: result.clientRequestId,
      };
    case 'unanswered':
      return { failure: result.reason, error: result.message, client_request_id: result.clientRequestId };
    case 'no_token':
      return { failure: 'no_token', error: result.reason, aadsts: result.aadsts };
  }
}

function holdFields(hold: Hold) {
  return {
    kind: hold.kind,
    stream: hold.stream,
    since: new Date(hold.since).toISOString(),
    code: hold.code,
    reason: hold.reason,
    fix: hold.fix,
    client_request_id: hold.clientRequestId,
  };
}
